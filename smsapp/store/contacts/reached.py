"""One person, by the user id that programs know, with the number by which a channel reaches them."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.contacts.contacts import Contact


class Reached(NamedTuple):
    """A contact with their number; "" without one."""

    id: int
    phone: str


# Built once, and run without the ORM: programs ask for many messages a second.
_PHONES_OF = sa.select(Contact.id, Contact.phones).where(Contact.xwho == sa.bindparam("xwho"))


def find(session: Session, xwho: str, phone_property: str) -> Reached | None:
    """Return the contact of this user id; None if there is none."""
    row = session.connection().execute(_PHONES_OF, {"xwho": xwho}).one_or_none()
    return None if row is None else Reached(row[0], row[1].get(phone_property) or "")
