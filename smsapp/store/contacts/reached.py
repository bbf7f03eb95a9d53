"""One person, by the user id that programs know, with the number by which a channel reaches them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.contacts.contacts import Contact


def phone(session: Session, xwho: str, phone_property: str) -> str | None:
    """Return the number of the contact of this user id, "" without one; None if there is no such contact."""
    phones = session.scalar(sa.select(Contact.phones).where(Contact.xwho == xwho))
    return None if phones is None else phones.get(phone_property) or ""
