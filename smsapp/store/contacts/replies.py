"""What people text back, and who does not want to be written to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import Base, BigId, changed, current_session, one_of, upsert
from smsapp.store.runs.runs import Message, Run


class Reply(Base):
    __tablename__ = "reply"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    inbox_id: Mapped[int | None] = mapped_column(BigId)
    position: Mapped[int] = mapped_column(default=0)
    """Which one within its callback; (inbox_id, position) makes applying twice harmless."""
    channel_id: Mapped[int | None] = mapped_column(sa.ForeignKey("channel.id", ondelete="SET NULL"))
    campaign_id: Mapped[int | None] = mapped_column(sa.ForeignKey("campaign.id", ondelete="SET NULL"))
    phone: Mapped[str] = mapped_column(sa.String(16), index=True)
    """E.164; "" where no number could be read from `sender`."""
    text: Mapped[str] = mapped_column(sa.Text)
    opt_out: Mapped[bool] = mapped_column(default=False)
    sender: Mapped[str] = mapped_column(sa.String(80), default="")
    """What the provider wrote instead of a number, "" if it wrote one."""
    waits: Mapped[bool] = mapped_column(default=False)
    """True until a person says whose reply this is, or dismisses it."""
    received_at: Mapped[dt.datetime] = mapped_column(index=True)

    __table_args__ = (
        sa.UniqueConstraint("inbox_id", "position"),
        sa.Index("ix_reply_waits", "id", sqlite_where=sa.text("waits"), postgresql_where=sa.text("waits")),
    )

    def __repr__(self) -> str:
        return f"<Reply {self.id}>"


class OptOut(Base):
    """A number nobody writes to, for every campaign, until a person removes it."""

    __tablename__ = "opt_out"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    """Names the row in addresses and forms, where a number must not stand."""
    phone: Mapped[str] = mapped_column(sa.String(16), unique=True)
    source: Mapped[str] = mapped_column(sa.String(20))
    """domain/optout.py OptOutSource"""
    note: Mapped[str] = mapped_column(sa.String(255), default="")
    channel_id: Mapped[int | None]
    campaign_id: Mapped[int | None]
    at: Mapped[dt.datetime]
    confirmation: Mapped[str] = mapped_column(sa.String(12), default="")
    """domain/optout.py Confirmation; "" = nobody asked for one."""
    confirmed_at: Mapped[dt.datetime | None]

    __table_args__ = (
        sa.Index(
            "ix_opt_out_due",
            "id",
            sqlite_where=sa.text("confirmation = 'due'"),
            postgresql_where=sa.text("confirmation = 'due'"),
        ),
    )

    def __repr__(self) -> str:
        return f"<OptOut {self.id}>"


SENT_STATES = [*sorted(ACCEPTED_STATES), Status.UNCONFIRMED]
"""The person may have read the message, so may answer it."""
AT_ONCE = 500


def add_reply(session: Session, values: Mapping[str, Any]) -> bool:
    """Store a reply; False if this one (inbox_id, position) is there already."""
    new = upsert(Reply).values(values).on_conflict_do_nothing()
    return session.execute(new.returning(Reply.id)).first() is not None


def add_opt_outs(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Store numbers that are not on the list yet; return how many were new. `rows` hold different phones."""
    new = 0
    for start in range(0, len(rows), AT_ONCE):
        some = upsert(OptOut).values(list(rows[start : start + AT_ONCE])).on_conflict_do_nothing()
        new += len(session.execute(some.returning(OptOut.id)).all())
    return new


def recipients(session: Session, keys: Sequence[tuple[int, int]]) -> list[Any]:
    """Return (phone, channel_id, campaign_id) of these messages (run, seq)."""
    found: list[Any] = []
    for start in range(0, len(keys), AT_ONCE):
        some = sa.tuple_(Message.run_id, Message.seq).in_(keys[start : start + AT_ONCE])
        chosen = sa.select(Message.phone, Run.channel_id, Run.campaign_id).join(Run, Run.id == Message.run_id)
        found += session.execute(chosen.where(some)).all()
    return found


def due_confirmations(limit: int) -> list[int]:
    """Return the opt-outs that are to be confirmed, oldest first."""
    due = sa.select(OptOut.id).where(OptOut.confirmation == "due").order_by(OptOut.id).limit(limit)
    return list(current_session().scalars(due))


def move_confirmation(session: Session, opt_out_id: int, begins: str, ends: str, now: dt.datetime) -> bool:
    """Say how far a confirmation has come; False if somebody else was first."""
    step = sa.update(OptOut).where(OptOut.id == opt_out_id, OptOut.confirmation == begins)
    return changed(session, step.values(confirmation=ends, confirmed_at=now)) == 1


def likely_campaign(channel_id: int, phone: str, since: dt.datetime) -> int | None:
    """Return the campaign of the latest run since then that sent to this number through this channel.

    Looks the number up run by run, newest first, in the unique (run, phone) index: the ledger is never scanned.
    """
    runs = current_session().execute(
        sa.select(Run.id, Run.campaign_id)
        .where(Run.channel_id == channel_id, Run.opened_at >= since)
        .order_by(Run.id.desc())
    )
    for some in runs.partitions(AT_ONCE):
        campaign_of: dict[int, int] = {run.id: run.campaign_id for run in some}
        found = current_session().scalar(
            sa.select(sa.func.max(Message.run_id)).where(
                Message.run_id.in_(campaign_of), Message.phone == phone, Message.status.in_(SENT_STATES)
            )
        )
        if found is not None:
            return campaign_of[found]
    return None


def newest_of(phones: Collection[str], most: int) -> list[Reply]:
    """Return the newest replies from these numbers."""
    found = sa.select(Reply).where(Reply.phone.in_(phones)).order_by(Reply.id.desc()).limit(most)
    return list(current_session().scalars(found))


def opt_outs_of(phones: Collection[str]) -> list[OptOut]:
    """Return what is known of the opt-outs of these numbers."""
    return list(current_session().scalars(sa.select(OptOut).where(OptOut.phone.in_(phones)).order_by(OptOut.id)))


def waiting(session: Session, before: int | None, limit: int) -> list[Reply]:
    """Return replies that nobody's number could be read from and no person has looked at, newest first."""
    query = sa.select(Reply).where(Reply.waits).order_by(Reply.id.desc()).limit(limit)
    return list(session.scalars(query if before is None else query.where(Reply.id < before)))


def waiting_reply(session: Session, reply_id: int) -> Reply | None:
    """Return this reply for this transaction alone, None if it does not wait (any more)."""
    query = sa.select(Reply).where(Reply.id == reply_id, Reply.waits).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def opted_out(phones: Collection[str]) -> set[str]:
    """Return those of the numbers that nobody may write to."""
    return set(current_session().scalars(sa.select(OptOut.phone).where(one_of(OptOut.phone, phones))))


def replies(
    *,
    opt_out: bool | None = None,
    phone: str = "",
    words: str = "",
    whole: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[Reply]:
    """Return one page of replies, newest first; `phone` is a whole number, `words` is part (or `whole`) of the text.

    `before` is the last id of the page before.
    """
    query = sa.select(Reply).order_by(Reply.id.desc()).limit(limit)
    if opt_out is not None:
        query = query.where(Reply.opt_out == opt_out)
    if phone:
        query = query.where(Reply.phone == phone)
    if words:
        query = query.where(Reply.text == words if whole else Reply.text.icontains(words, autoescape=True))
    if before is not None:
        query = query.where(Reply.id < before)
    return list(current_session().scalars(query))


def campaign_names(ids: Iterable[int | None]) -> dict[int, str]:
    """Return the names of these campaigns; deleted ones are left out, their pages are gone."""
    wanted = {campaign_id for campaign_id in ids if campaign_id is not None}
    rows = current_session().execute(
        sa.select(Campaign.id, Campaign.name).where(Campaign.id.in_(wanted), Campaign.deleted_at.is_(None))
    )
    return {row.id: row.name for row in rows}


def opt_outs(*, phone: str = "", ending: str = "", before: int | None = None, limit: int = 50) -> list[OptOut]:
    """Return one page of the opt-out list, newest first; `ending` are the last digits of a number."""
    query = sa.select(OptOut).order_by(OptOut.id.desc()).limit(limit)
    if phone:
        query = query.where(OptOut.phone == phone)
    if ending:
        query = query.where(OptOut.phone.endswith(ending, autoescape=True))
    if before is not None:
        query = query.where(OptOut.id < before)
    return list(current_session().scalars(query))


def stream_opt_outs() -> Iterable[OptOut]:
    """Yield the whole list, oldest first, without holding it in memory."""
    last = 0
    while True:
        query = sa.select(OptOut).where(OptOut.id > last).order_by(OptOut.id).limit(1000)
        rows = current_session().scalars(query).all()
        yield from rows
        if len(rows) < 1000:
            return
        last = rows[-1].id
        current_session().expunge_all()
