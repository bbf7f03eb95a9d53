"""The steps before the first campaign, in their order."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from smsapp.domain.sms_template import Audit
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate


@dataclass(frozen=True)
class Setup:
    """Which of the steps are done."""

    channel: bool
    contacts: bool
    segment: bool
    template: bool
    campaign: bool = False
    """Nobody who has made one is shown these steps."""

    @property
    def next(self) -> str:
        """The first step that is not done."""
        return next(name for name, done in asdict(self).items() if not done)


def setup() -> Setup:
    """Return which steps are done: whether there is one of each."""
    result = current_session().execute(
        sa.select(
            sa.exists().where(ChannelRow.active),
            sa.select(Contact.id).limit(1).exists(),
            sa.select(Segment.id).limit(1).exists(),
            sa.exists().where(SmsTemplate.audit == Audit.APPROVED),
        )
    )
    return Setup(*map(bool, result.one()))
