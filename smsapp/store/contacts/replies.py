"""Replies and opt-outs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain import phone
from smsapp.domain.optout import Confirmation
from smsapp.domain.refusal import Suspicion
from smsapp.domain.scope import Scope
from smsapp.domain.webhook import EventKind
from smsapp.store import journal
from smsapp.store.apps import webhook_outbox
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.scopes import covers, includes
from smsapp.store.db import Base, BigId, changed, one_of, upsert
from smsapp.store.privacy import erased_numbers
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
    suspicion: Mapped[str] = mapped_column(sa.String(10), default=Suspicion.NONE, server_default=Suspicion.NONE)
    """domain/refusal.py Suspicion"""
    decided_at: Mapped[dt.datetime | None]
    """When a person decided about it."""
    replaced: Mapped[dict[str, Any] | None]
    """What the number had refused before that decision changed it, as `OptOut.as_json`; {} if nothing; NULL if the
    decision changed nothing."""
    received_at: Mapped[dt.datetime] = mapped_column(index=True)

    __table_args__ = (
        sa.UniqueConstraint("inbox_id", "position"),
        sa.Index(
            "ix_reply_suspicion",
            "suspicion",
            "id",
            sqlite_where=sa.text("suspicion <> ''"),
            postgresql_where=sa.text("suspicion <> ''"),
        ),
        sa.Index("ix_reply_waits", "id", sqlite_where=sa.text("waits"), postgresql_where=sa.text("waits")),
    )

    def __repr__(self) -> str:
        return f"<Reply {self.id}>"


RESTORED = ("scope", "signatures", "source", "note", "channel_id", "campaign_id")
"""What a decision about a reply may change of an opt-out, besides `at`."""


class OptOut(Base):
    """A number that refuses texts, until a person removes it; one row holds all that it refuses."""

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
    scope: Mapped[str] = mapped_column(sa.String(12), default=Scope.EVERYTHING, server_default=Scope.EVERYTHING)
    """What is refused, whatever the signature: a domain/scope.py Scope."""
    signatures: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    """The signatures whose texts are refused as well, each in its brackets; "" if none or everything is."""
    confirmation: Mapped[str] = mapped_column(sa.String(12), default="")
    """domain/optout.py Confirmation; "" = none is wanted."""
    confirmed_at: Mapped[dt.datetime | None]

    def as_json(self) -> dict[str, Any]:
        """Return what `restore` puts back."""
        return {name: getattr(self, name) for name in RESTORED} | {"at": self.at.isoformat()}

    def restore(self, value: Mapping[str, Any]) -> None:
        """Become what `as_json` returned."""
        for name in RESTORED:
            setattr(self, name, value[name])
        self.at = dt.datetime.fromisoformat(value["at"])

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


AT_ONCE = 500


def add_reply(session: Session, values: Mapping[str, Any]) -> bool:
    """Store a reply; return False if (inbox_id, position) is stored already."""
    new = upsert(Reply).values(values).on_conflict_do_nothing()
    return session.execute(new.returning(Reply.id)).first() is not None


def add_opt_outs(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Store refusals, each of another phone and of one signature at most; return how many were new or wider.

    A number that is on the list refuses from then on both: what it has refused before and this.
    """
    new = 0
    for start in range(0, len(rows), AT_ONCE):
        statement = upsert(OptOut).values(list(rows[start : start + AT_ONCE]))
        coming = statement.excluded
        scopes = (OptOut.scope, coming.scope)
        scope = sa.case(
            (sa.literal(Scope.EVERYTHING).in_(scopes), sa.literal(Scope.EVERYTHING)),
            (sa.literal(Scope.MARKETING).in_(scopes), sa.literal(Scope.MARKETING)),
            else_=sa.literal(Scope.SIGNATURE),
        )
        is_named = sa.or_(coming.signatures == "", includes(OptOut.signatures, coming.signatures))
        signatures = sa.case(
            (scope == Scope.EVERYTHING, ""), (is_named, OptOut.signatures), else_=OptOut.signatures + coming.signatures
        )
        latest = {name: coming[name] for name in ("source", "channel_id", "campaign_id", "at", "confirmation")}
        wider = statement.on_conflict_do_update(
            index_elements=[OptOut.phone],
            set_={
                "scope": scope,
                "signatures": signatures,
                "note": sa.func.coalesce(sa.func.nullif(coming.note, ""), OptOut.note),
                **latest,
            },
            where=sa.and_(
                OptOut.scope != Scope.EVERYTHING, sa.or_(scope != OptOut.scope, signatures != OptOut.signatures)
            ),
        )
        columns = (OptOut.phone, OptOut.scope, OptOut.signatures, OptOut.campaign_id, OptOut.source, OptOut.at)
        refusals = session.execute(wider.returning(*columns)).all()
        note_refusals(session, [refusal[:3] for refusal in refusals])
        _tell_webhooks(session, refusals)
        new += len(refusals)
    return new


def _tell_webhooks(session: Session, refusals: Sequence[Any]) -> None:
    """Have webhooks hear of refusals, (number, scope, signatures, campaign, source, time): one event per campaign."""
    added: dict[Any, list[dict[str, str]]] = {}
    for number, scope, _signatures, *facts in refusals:
        added.setdefault(tuple(facts), []).append({"number": phone.mask(number), "scope": scope})
    for (campaign_id, source, at), numbers in added.items():
        webhook_outbox.note(session, EventKind.OPT_OUT_ADDED, campaign_id, at, source=source, added=numbers)


def note_refusals(session: Session, refusals: Sequence[Any]) -> None:
    """Have the journal tell what numbers refuse from now on: (number, scope, signatures)."""
    journal.note_sealed(session, journal.OPT_OUT, [tuple(refusal) for refusal in refusals])


def remove_opt_outs(session: Session, phones: Collection[str]) -> None:
    """Remove numbers from the list."""
    changed(session, sa.delete(OptOut).where(one_of(OptOut.phone, phones)))
    note_removed(session, phones)


def note_removed(session: Session, phones: Collection[str]) -> None:
    """Have the journal tell that these numbers are not on the list any more."""
    journal.note_sealed(session, journal.OPT_IN, [*phones])


def refuses(
    phone: sa.ColumnElement[str] | Any, marketing: sa.ColumnElement[bool], signature: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """Return the condition that this number refuses a text of this signature (without brackets), marketing or not."""
    return sa.exists().where(OptOut.phone == phone, covers(OptOut.scope, OptOut.signatures, marketing, signature))


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


def newest_of(session: Session, phones: Collection[str], most: int) -> list[Reply]:
    """Return the newest replies from these numbers."""
    query = sa.select(Reply).where(Reply.phone.in_(phones)).order_by(Reply.id.desc()).limit(most)
    return list(session.scalars(query))


def opt_outs_of(session: Session, phones: Collection[str]) -> list[OptOut]:
    """Return the opt-outs of these numbers, also from before one was erased."""
    forms = erased_numbers.stored_forms(session, phones)
    return list(session.scalars(sa.select(OptOut).where(OptOut.phone.in_(forms)).order_by(OptOut.id)))


def waiting(session: Session, before: int | None, limit: int) -> list[Reply]:
    """Return replies without a readable number that no person has handled, newest first."""
    query = sa.select(Reply).where(Reply.waits).order_by(Reply.id.desc()).limit(limit)
    return list(session.scalars(query if before is None else query.where(Reply.id < before)))


def waiting_reply(session: Session, reply_id: int) -> Reply | None:
    """Return this reply, locked; None if it does not wait (any more)."""
    query = sa.select(Reply).where(Reply.id == reply_id, Reply.waits).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def suspected(session: Session, *, decided: bool, before: int | None, limit: int) -> list[Reply]:
    """Return replies that look like refusals and wait for a person, or were decided; newest first."""
    states = [Suspicion.OPT_OUT, Suspicion.HARMLESS] if decided else [Suspicion.WAITS]
    query = (
        sa.select(Reply)
        .where(Reply.suspicion != "", Reply.suspicion.in_(states))
        .order_by(Reply.id.desc())
        .limit(limit)
    )
    return list(session.scalars(query if before is None else query.where(Reply.id < before)))


def lock_suspected(session: Session, ids: Collection[int], *, decided: bool) -> list[Reply]:
    """Return those of these replies that wait for a person, or were decided, locked; oldest first."""
    is_decided = Reply.suspicion.in_([Suspicion.OPT_OUT, Suspicion.HARMLESS])
    condition = is_decided if decided else Reply.suspicion == Suspicion.WAITS
    query = sa.select(Reply).where(Reply.id.in_(ids), condition).order_by(Reply.id).with_for_update()
    return list(session.scalars(query.execution_options(populate_existing=True)))


def lock_opt_out(session: Session, phone: str) -> OptOut | None:
    """Return the opt-out of this number as it is now, locked; None if it has none."""
    query = sa.select(OptOut).where(OptOut.phone == phone).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def opted_out(session: Session, phones: Collection[str]) -> set[str]:
    """Return the numbers among these that refuse anything."""
    forms = erased_numbers.stored_forms(session, phones)
    return {forms[stored] for stored in session.scalars(sa.select(OptOut.phone).where(one_of(OptOut.phone, forms)))}


def refusing(session: Session, phones: Collection[str], *, marketing: bool, signature: str) -> set[str]:
    """Return the numbers among these that refuse a text of this signature, marketing or not."""
    covered = covers(OptOut.scope, OptOut.signatures, sa.literal(marketing), sa.literal(signature))
    forms = erased_numbers.stored_forms(session, phones)
    stored = session.scalars(sa.select(OptOut.phone).where(one_of(OptOut.phone, forms), covered))
    return {forms[name] for name in stored}


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
        query = query.where(OptOut.phone.in_(erased_numbers.stored_forms(session, [phone])))
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
