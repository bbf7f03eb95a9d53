"""The contacts behind a number of a report, as one SELECT: whom `recipients.page` lists, each once."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.domain.recipients import EVERY_STATE, Group
from smsapp.store.contacts.contacts import Contact, ContactIds
from smsapp.store.runs import retries
from smsapp.store.runs.recipients import is_in_flight
from smsapp.store.runs.runs import Exclusion, Message


def contact_ids(session: Session, run_ids: Sequence[int], group: Group, *, merged: bool) -> ContactIds:
    """Return the select of the contacts of this group in these runs who are still there.

    `merged`: a person who was retried counts with the state of the last try, and as excluded in the first run only.
    """
    repeating = retries.repeating(session, run_ids) if merged else {}
    firsts = {*repeating.values()} & {*run_ids}
    parts = []
    if group.states:
        last = Message.run_id.in_([id_ for id_ in run_ids if id_ not in firsts])
        first = sa.and_(Message.run_id.in_(firsts), ~retries.repeated(Message.run_id))
        runs = sa.or_(last, first) if firsts else last
        parts.append(sa.select(Message.contact_id).where(runs, *_conditions(group)))
    if group.left:
        runs = Exclusion.run_id.in_([id_ for id_ in run_ids if id_ not in repeating])
        parts.append(sa.select(Exclusion.contact_id).where(runs, Exclusion.reason.in_(sorted(group.left))))
    return sa.select(Contact.id).where(Contact.id.in_(sa.union(*parts)))


def _conditions(group: Group) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if group.states in ({Status.QUEUED}, {Status.IN_FLIGHT}):
        claimed = is_in_flight()
        conditions += [Message.status == Status.QUEUED, claimed if Status.IN_FLIGHT in group.states else ~claimed]
    elif not group.states >= EVERY_STATE:
        conditions.append(Message.status.in_(sorted(group.states - {Status.IN_FLIGHT})))
    if group.reason:
        conditions.append(Message.reason == group.reason)
    if group.but:
        conditions.append(sa.func.coalesce(Message.reason, "") != group.but)
    return conditions
