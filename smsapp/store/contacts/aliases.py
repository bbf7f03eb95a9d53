"""Aliases: which registered user id an anonymous id belongs to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, changed, one_of, upsert


class Alias(Base):
    """Binds an anonymous id to a registered one: one to one, and the first binding wins."""

    __tablename__ = "alias"

    anonymous_id: Mapped[str] = mapped_column(sa.String(254), primary_key=True)
    xwho: Mapped[str] = mapped_column(sa.String(254), unique=True)
    trusted: Mapped[bool] = mapped_column(default=True)
    """False if a public key said so: see domain/trust.py leads_on."""
    created_at: Mapped[dt.datetime]


def bindings(session: Session, ids: Collection[str], registered: Collection[str] = ()) -> dict[str, str]:
    """Return the bindings {anonymous id: registered id} of these anonymous ids, and those of these registered ones."""
    if not session.scalar(sa.select(sa.select(Alias.anonymous_id).exists())):
        return {}  # Most servers hear of none: to look for thousands of ids takes thirty times as long.
    sides = one_of(Alias.anonymous_id, ids)
    if registered:
        sides = sa.or_(sides, one_of(Alias.xwho, registered))
    rows = session.execute(sa.select(Alias.anonymous_id, Alias.xwho).where(sides))
    return {anonymous_id: xwho for anonymous_id, xwho in rows}  # noqa: C416 a Row is no pair to mypy


def public_bindings(session: Session, anonymous_ids: Collection[str]) -> set[str]:
    """Return the anonymous ids among these that a public key has bound."""
    if not anonymous_ids:
        return set()
    query = sa.select(Alias.anonymous_id).where(one_of(Alias.anonymous_id, anonymous_ids), sa.not_(Alias.trusted))
    return set(session.scalars(query))


def add_bindings(session: Session, aliases: Mapping[str, str], public: Collection[str], now: dt.datetime) -> None:
    """Store new bindings {anonymous id: registered id}; if either side is bound already nothing changes.

    `public` are the anonymous ids that a public key binds.
    """
    rows = [
        {"anonymous_id": anonymous, "xwho": xwho, "trusted": anonymous not in public, "created_at": now}
        for anonymous, xwho in sorted(aliases.items())
    ]
    session.execute(upsert(Alias).on_conflict_do_nothing(), rows)


def remove_bindings(session: Session, anonymous_ids: Collection[str], since: dt.datetime) -> int:
    """Remove those bindings of these anonymous ids that were made since then; return how many."""
    of_ids = one_of(Alias.anonymous_id, anonymous_ids)
    return changed(session, sa.delete(Alias).where(of_ids, Alias.created_at >= since))


def anonymous_ids(session: Session, xwho: str) -> list[str]:
    """Return the anonymous ids bound to this contact."""
    return list(session.scalars(sa.select(Alias.anonymous_id).where(Alias.xwho == xwho)))
