"""Which of the steps before the first campaign are done, in one query."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.sms_template import Audit
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import Segment
from smsapp.store.sms_templates import SmsTemplate


class Present(NamedTuple):
    """Whether there is one of each."""

    active_channel: bool
    contact: bool
    segment: bool
    approved_template: bool


def present(session: Session) -> Present:
    """Return whether there is an active channel, a contact, a segment and an approved template."""
    query = sa.select(
        sa.exists().where(ChannelRow.active),
        sa.select(Contact.id).limit(1).exists(),
        sa.select(Segment.id).limit(1).exists(),
        sa.exists().where(SmsTemplate.audit == Audit.APPROVED),
    )
    return Present(*map(bool, session.execute(query).one()))
