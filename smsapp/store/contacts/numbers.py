"""Numbers that are not mobile: stored once each when they are read, so that an audience can exclude them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain import numbering
from smsapp.domain.numbering import NumberClass
from smsapp.store.db import Base, upsert

AT_ONCE = 500


class SpecialNumber(Base):
    """The class of a number that is not mobile. A number without a row is mobile."""

    __tablename__ = "special_number"

    phone: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    number_class: Mapped[str] = mapped_column(sa.String(12))
    """domain/numbering.py NumberClass"""

    __table_args__ = {"sqlite_with_rowid": False}


def classify(session: Session, numbers: Iterable[str | None]) -> None:
    """Store the class of each of these numbers (E.164) that is not mobile, in the caller's transaction."""
    unusual = sorted({number for number in numbers if number and not numbering.is_ordinary(number)})
    classes = ((number, numbering.number_class(number)) for number in unusual)
    rows = [{"phone": number, "number_class": kind} for number, kind in classes if kind is not NumberClass.MOBILE]
    for start in range(0, len(rows), AT_ONCE):
        statement = upsert(SpecialNumber).values(rows[start : start + AT_ONCE])
        upserted = statement.on_conflict_do_update(
            index_elements=["phone"], set_={"number_class": statement.excluded.number_class}
        )
        session.execute(upserted)


def is_special(phone: sa.ColumnElement[Any], allowed: Collection[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a number's class is neither mobile nor among the allowed ones."""
    rows = sa.exists().where(SpecialNumber.phone == phone)
    return rows.where(SpecialNumber.number_class.not_in(sorted(allowed))) if allowed else rows


def is_abroad(phone: sa.ColumnElement[Any], countries: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a number belongs to none of these countries."""
    own, foreign = numbering.prefixes(countries)
    within = sa.or_(sa.false(), *(phone.startswith(prefix) for prefix in own))
    beyond = sa.or_(sa.false(), *(phone.startswith(prefix) for prefix in foreign))
    return sa.or_(sa.not_(within), beyond)
