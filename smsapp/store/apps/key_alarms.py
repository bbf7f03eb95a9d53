"""Alarms of AppKeys: unusual hours, until a person has taken note of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.key_watch import Alarm
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import Base, changed, holds, upsert


class KeyAlarm(Base):
    """One kind of unusual thing in one hour of a key."""

    __tablename__ = "key_alarm"
    __table_args__ = (
        sa.UniqueConstraint("app_key_id", "hour", "kind"),
        sa.Index("ix_key_alarm_open", "id", sqlite_where=sa.text("noted_at IS NULL"),
                 postgresql_where=sa.text("noted_at IS NULL")),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    app_key_id: Mapped[int] = mapped_column(sa.ForeignKey("app_key.id", ondelete="CASCADE"))
    hour: Mapped[dt.datetime]
    kind: Mapped[str] = mapped_column(sa.String(10))
    """domain/key_watch.py AlarmKind"""
    n: Mapped[int]
    names: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """{country, block of numbers or sign: n}"""
    disabled: Mapped[bool] = mapped_column(default=False)
    """The key was disabled because of it."""
    raised_at: Mapped[dt.datetime]
    noted_at: Mapped[dt.datetime | None]
    """When a person took note of it."""
    noted_by: Mapped[str] = mapped_column(sa.String(120), default="")


def add(session: Session, key_id: int, hour: dt.datetime, alarm: Alarm, now: dt.datetime, *, disabled: bool) -> bool:
    """Raise an alarm; False if it was raised before: then its numbers are brought up to date."""
    values = {"n": alarm.n, "names": dict(alarm.names)}
    same = (KeyAlarm.app_key_id == key_id, KeyAlarm.hour == hour, KeyAlarm.kind == alarm.kind.value)
    if changed(session, sa.update(KeyAlarm).where(*same).values(**values)):
        return False
    new = upsert(KeyAlarm).values(
        app_key_id=key_id, hour=hour, kind=alarm.kind.value, disabled=disabled, raised_at=now, noted_by="", **values
    )
    return changed(session, new.on_conflict_do_nothing()) > 0


_UNNOTED = (
    sa.select(KeyAlarm, AppKey.name)
    .join(AppKey, AppKey.id == KeyAlarm.app_key_id)
    .where(KeyAlarm.noted_at.is_(None))
    .order_by(KeyAlarm.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def unnoted(session: Session, most: int) -> list[tuple[KeyAlarm, str]]:
    """Return the newest alarms that nobody has taken note of, each with the name of its key."""
    return [(alarm, name) for alarm, name in session.execute(_UNNOTED, {"most": most})]


def of_key(session: Session, key_id: int, most: int) -> list[KeyAlarm]:
    """Return the newest alarms of a key, those first that nobody has taken note of."""
    query = sa.select(KeyAlarm).where(KeyAlarm.app_key_id == key_id)
    return list(session.scalars(query.order_by(KeyAlarm.noted_at.is_not(None), KeyAlarm.id.desc()).limit(most)))


def note_all(session: Session, key_id: int, until: int, by: str, now: dt.datetime) -> int:
    """Take note of the alarms of a key with an id up to this one; return how many."""
    seen = sa.update(KeyAlarm).where(KeyAlarm.app_key_id == key_id, KeyAlarm.id <= until, KeyAlarm.noted_at.is_(None))
    return changed(session, seen.values(noted_at=now, noted_by=by))


def delete_old(session: Session, before: dt.datetime) -> int:
    """Delete alarms of hours before a moment that somebody has taken note of; return how many."""
    return changed(session, sa.delete(KeyAlarm).where(KeyAlarm.hour < before, KeyAlarm.noted_at.is_not(None)))


def blocks(
    session: Session, prefix: str, properties: Collection[str], since: dt.datetime, digits: int, fewest: int, most: int
) -> Mapping[str, int]:
    """Return {number without its last `digits`: contacts} of contacts created since then by the key whose sources begin
    with `prefix`; only the `most` largest with at least `fewest`."""
    first = _first_since(session, since)
    totals: dict[str, int] = {}
    for name in sorted(properties):
        number = Contact.phones[name].as_string()
        block = sa.func.substr(number, 1, sa.func.length(number) - digits).label("block")
        query = (
            sa.select(block, sa.func.count().label("n"))
            .where(Contact.id >= first, holds(sa.cast(Contact.sources, sa.Text), f'"{prefix}'))
            .where(number.is_not(None), number != "")
            .group_by(sa.text("block"))
            .having(sa.func.count() >= fewest)
            .order_by(sa.text("n DESC"))
            .limit(most)
        )
        totals |= {text: n for text, n in session.execute(query)}  # noqa: C416 a Row is no pair to mypy
    return totals


def _first_since(session: Session, since: dt.datetime) -> int:
    """Return an id from which on all contacts were created since then: ids grow with time."""
    low, high = 0, (session.scalar(sa.select(sa.func.max(Contact.id))) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = session.execute(
            sa.select(Contact.id, Contact.created_at).where(Contact.id >= middle).order_by(Contact.id).limit(1)
        ).one_or_none()
        if row is None or row.created_at >= since:
            high = middle
        else:
            low = row.id + 1
    return low
