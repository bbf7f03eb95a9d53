"""Maps providers' own ids to messages, for kinds whose receipts do not name our reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, BigId, one_of, upsert
from smsapp.store.runs.runs import MessageKey


class ProviderRef(Base):
    """Maps a provider's own id to its message, for kinds whose receipts do not name our reference."""

    __tablename__ = "provider_ref"
    __table_args__ = {"sqlite_with_rowid": False}

    channel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ref: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    phone: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    """The message's number: only id and number together name a message, because providers reuse ids."""
    run_id: Mapped[int] = mapped_column(BigId)
    seq: Mapped[int]
    at: Mapped[int] = mapped_column(sa.BigInteger)
    """Unix seconds at which the provider gave the message this id."""


def store_refs(session: Session, channel_id: int, run_id: int, refs: Iterable[tuple[str, str, int]], at: int) -> None:
    """Store the provider's ids, (ref, phone, seq), of messages of a run; `at` in Unix seconds.

    An id that the same number had before then belongs to the newer message.
    """
    where = {"channel_id": channel_id, "run_id": run_id, "at": at}
    rows = [where | {"ref": ref, "phone": phone, "seq": seq} for ref, phone, seq in refs]
    if rows:
        session.connection().execute(_newest(), rows)


def _newest() -> Any:
    new = upsert(ProviderRef)
    newer = {name: new.excluded[name] for name in ("run_id", "seq", "at")}
    keys = ("channel_id", "ref", "phone")
    return new.on_conflict_do_update(index_elements=keys, set_=newer, where=ProviderRef.at <= new.excluded.at)


def owners(session: Session, channel_id: int, refs: Sequence[str], since: int) -> dict[str, dict[str, MessageKey]]:
    """Return ref -> phone -> message for ids the provider gave at `since` (Unix seconds) or later."""
    rows = session.execute(
        sa.select(ProviderRef.ref, ProviderRef.phone, ProviderRef.run_id, ProviderRef.seq).where(
            ProviderRef.channel_id == channel_id, one_of(ProviderRef.ref, refs), ProviderRef.at >= since
        )
    )
    owners: dict[str, dict[str, MessageKey]] = {}
    for ref, phone, run_id, seq in rows:
        owners.setdefault(ref, {})[phone] = MessageKey(run_id, seq)
    return owners
