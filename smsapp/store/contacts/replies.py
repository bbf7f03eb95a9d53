"""Replies and opt-outs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.optout import Confirmation
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import Base, BigId, changed, one_of, upsert
from smsapp.store.runs.runs import Message, Run


class Reply(Base):
    __tablename__ = "reply"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    inbox_id: Mapped[int | None] = mapped_column(BigId)
    position: Mapped[int] = mapped_column(default=0)
    """Index within its callback; (inbox_id, position) makes applying idempotent."""
    channel_id: Mapped[int | None] = mapped_column(sa.ForeignKey("channel.id", ondelete="SET NULL"))
    campaign_id: Mapped[int | None] = mapped_column(sa.ForeignKey("campaign.id", ondelete="SET NULL"))
    phone: Mapped[str] = mapped_column(sa.String(16), index=True)
    """E.164; "" if no number could be read from `sender`."""
    text: Mapped[str] = mapped_column(sa.Text)
    opt_out: Mapped[bool] = mapped_column(default=False)
    sender: Mapped[str] = mapped_column(sa.String(80), default="")
    """The provider's text that is no number; "" if it is one."""
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
    """A number that no campaign sends to, until a person removes it."""

    __tablename__ = "opt_out"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    """Names the row in URLs and forms, which must not contain numbers."""
    phone: Mapped[str] = mapped_column(sa.String(16), unique=True)
    source: Mapped[str] = mapped_column(sa.String(20))
    """domain/optout.py OptOutSource"""
    note: Mapped[str] = mapped_column(sa.String(255), default="")
    channel_id: Mapped[int | None]
    campaign_id: Mapped[int | None]
    at: Mapped[dt.datetime]
    confirmation: Mapped[str] = mapped_column(sa.String(12), default="")
    """domain/optout.py Confirmation; "" = none is wanted."""
    confirmed_at: Mapped[dt.datetime | None]

    @property
    def is_confirmed(self) -> bool:
        """Whether the text that confirms it was sent."""
        return self.confirmation == Confirmation.SENT

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
"""States in which the person may have got the message and may reply."""
AT_ONCE = 500


def add_reply(session: Session, values: Mapping[str, Any]) -> bool:
    """Store a reply; return False if (inbox_id, position) is stored already."""
    new = upsert(Reply).values(values).on_conflict_do_nothing()
    return session.execute(new.returning(Reply.id)).first() is not None


def add_opt_outs(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Store numbers that are not on the list yet; return how many were new. `rows` hold different phones."""
    new = 0
    for start in range(0, len(rows), AT_ONCE):
        statement = upsert(OptOut).values(list(rows[start : start + AT_ONCE])).on_conflict_do_nothing()
        new += len(session.execute(statement.returning(OptOut.id)).all())
    return new


def recipients(session: Session, keys: Sequence[tuple[int, int]]) -> list[Any]:
    """Return (phone, channel_id, campaign_id) of these messages (run, seq)."""
    rows: list[Any] = []
    for start in range(0, len(keys), AT_ONCE):
        chunk = sa.tuple_(Message.run_id, Message.seq).in_(keys[start : start + AT_ONCE])
        query = sa.select(Message.phone, Run.channel_id, Run.campaign_id).join(Run, Run.id == Message.run_id)
        rows += session.execute(query.where(chunk)).all()
    return rows


def due_confirmations(session: Session, limit: int) -> list[int]:
    """Return the ids of opt-outs that are to be confirmed, oldest first."""
    due = sa.select(OptOut.id).where(OptOut.confirmation == "due").order_by(OptOut.id).limit(limit)
    return list(session.scalars(due))


def move_confirmation(session: Session, opt_out_id: int, begins: str, ends: str, now: dt.datetime) -> bool:
    """Change the state of a confirmation from `begins` to `ends`; return False if it is no longer in `begins`."""
    step = sa.update(OptOut).where(OptOut.id == opt_out_id, OptOut.confirmation == begins)
    return changed(session, step.values(confirmation=ends, confirmed_at=now)) == 1


def likely_campaign(session: Session, channel_id: int, phone: str, since: dt.datetime) -> int | None:
    """Return the id of the campaign of the latest run since then that sent to this number through this channel.

    Looks up the number in the unique (run, phone) index, newest runs first; never scans the ledger.
    """
    runs = session.execute(
        sa.select(Run.id, Run.campaign_id)
        .where(Run.channel_id == channel_id, Run.opened_at >= since)
        .order_by(Run.id.desc())
    )
    for chunk in runs.partitions(AT_ONCE):
        campaign_of: dict[int, int] = {run.id: run.campaign_id for run in chunk}
        run_id = session.scalar(
            sa.select(sa.func.max(Message.run_id)).where(
                Message.run_id.in_(campaign_of), Message.phone == phone, Message.status.in_(SENT_STATES)
            )
        )
        if run_id is not None:
            return campaign_of[run_id]
    return None


def newest_of(session: Session, phones: Collection[str], most: int) -> list[Reply]:
    """Return the newest replies from these numbers."""
    query = sa.select(Reply).where(Reply.phone.in_(phones)).order_by(Reply.id.desc()).limit(most)
    return list(session.scalars(query))


def opt_outs_of(session: Session, phones: Collection[str]) -> list[OptOut]:
    """Return the opt-outs of these numbers."""
    return list(session.scalars(sa.select(OptOut).where(OptOut.phone.in_(phones)).order_by(OptOut.id)))


def waiting(session: Session, before: int | None, limit: int) -> list[Reply]:
    """Return replies without a readable number that no person has handled, newest first."""
    query = sa.select(Reply).where(Reply.waits).order_by(Reply.id.desc()).limit(limit)
    return list(session.scalars(query if before is None else query.where(Reply.id < before)))


def waiting_reply(session: Session, reply_id: int) -> Reply | None:
    """Return this reply, locked; None if it does not wait (any more)."""
    query = sa.select(Reply).where(Reply.id == reply_id, Reply.waits).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def opted_out(session: Session, phones: Collection[str]) -> set[str]:
    """Return the numbers among these that have opted out."""
    return set(session.scalars(sa.select(OptOut.phone).where(one_of(OptOut.phone, phones))))


def replies(
    session: Session,
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
    return list(session.scalars(query))


def campaign_names(session: Session, ids: Iterable[int | None]) -> dict[int, str]:
    """Return {campaign id: name}; deleted campaigns are left out, because they have no pages."""
    campaign_ids = {campaign_id for campaign_id in ids if campaign_id is not None}
    rows = session.execute(
        sa.select(Campaign.id, Campaign.name).where(Campaign.id.in_(campaign_ids), Campaign.deleted_at.is_(None))
    )
    return {row.id: row.name for row in rows}


def opt_outs(
    session: Session, *, phone: str = "", ending: str = "", before: int | None = None, limit: int = 50
) -> list[OptOut]:
    """Return one page of the opt-out list, newest first; `ending` are the last digits of a number."""
    query = sa.select(OptOut).order_by(OptOut.id.desc()).limit(limit)
    if phone:
        query = query.where(OptOut.phone == phone)
    if ending:
        query = query.where(OptOut.phone.endswith(ending, autoescape=True))
    if before is not None:
        query = query.where(OptOut.id < before)
    return list(session.scalars(query))


def stream_opt_outs(session: Session) -> Iterable[OptOut]:
    """Yield all opt-outs, oldest first, without holding all in memory."""
    last = 0
    while True:
        query = sa.select(OptOut).where(OptOut.id > last).order_by(OptOut.id).limit(1000)
        rows = session.scalars(query).all()
        yield from rows
        if len(rows) < 1000:
            return
        last = rows[-1].id
        session.expunge_all()
