"""The properties that hold phones: normalised once a channel reads one, deleted once none does."""

from __future__ import annotations

from sqlalchemy.orm import Session

from smsapp.domain import phone
from smsapp.store import queue
from smsapp.store.contacts import contacts, property_catalogue
from smsapp.store.db import after_commit, writing
from smsapp.store.settings import settings

REBUILD_CHUNK = 5000


def note_phone_property(session: Session, name: str) -> None:
    """Enqueue `rebuild_phones` for a property after the commit of this transaction."""
    after_commit(session, lambda: queue.enqueue(queue.PERIODIC, "rebuild_phones", name))


def note_left_property(session: Session, name: str) -> None:
    """Enqueue `rebuild_phones`, which deletes a property's numbers, if no channel reads the property any more."""
    if name not in property_catalogue.phone_properties(session):
        note_phone_property(session, name)


def rebuild_phones(name: str) -> int:
    """Normalise the numbers of one property of all contacts anew, a chunk per transaction; return how many contacts.

    If no channel reads the property any more they are deleted: its values would look like wrong numbers.

    It may be interrupted and started again: each chunk is complete by itself.
    """
    region = settings().DEFAULT_REGION
    after = total = 0
    while True:
        with writing() as session:
            used = name in property_catalogue.phone_properties(session)
            rows = contacts.phones_after(session, name, after, REBUILD_CHUNK)
            if not rows:
                return total
            numbers = [
                (id_, None if not used or value in (None, "") else phone.normalise(value, region))
                for id_, value in rows
            ]
            contacts.set_phones(session, name, numbers)
        after = rows[-1][0]
        total += len(rows)
