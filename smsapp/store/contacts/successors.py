"""Contacts that turn out to be other ones: an anonymous visitor has signed in."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.contacts.contacts import Contact, ids_of
from smsapp.store.db import changed, one_of


def absorb(session: Session, successors: Mapping[str, str]) -> None:
    """Delete contacts that are other ones {user id: user id that stays}; those take over segments, consents and
    single messages that are not planned yet."""
    if not successors:
        return
    ids = ids_of(session, {*successors, *successors.values()})
    pairs = [{"old": ids[old], "new": ids[new]} for old, new in successors.items() if old in ids]
    if pairs:
        for statement in (_ADOPT_SEGMENTS, _ADOPT_CONSENTS, _ADOPT_MESSAGES):
            session.execute(statement, pairs)
    changed(session, sa.delete(Contact).where(one_of(Contact.xwho, successors.keys())))


_ADOPT_SEGMENTS = sa.text(
    "INSERT INTO segment_member (segment_id, contact_id) SELECT segment_id, :new FROM segment_member "
    "WHERE contact_id = :old ON CONFLICT DO NOTHING"
)
_ADOPT_CONSENTS = sa.text("UPDATE consent SET contact_id = :new WHERE contact_id = :old")
# A contact that is newer than a request is not the one it was made for (store/runs/api_messages.py), so that its time
# moves up to that of the successor. A run has one message to each contact.
_ADOPT_MESSAGES = sa.text(
    "UPDATE api_message SET contact_id = :new, "
    "at = CASE WHEN api_message.at < successor.created_at THEN successor.created_at ELSE api_message.at END "
    "FROM contact AS successor WHERE successor.id = :new AND api_message.contact_id = :old "
    "AND api_message.given IS NOT NULL AND NOT EXISTS (SELECT 1 FROM api_message AS other "
    "WHERE other.run_id = api_message.run_id AND other.contact_id = :new)"
)
