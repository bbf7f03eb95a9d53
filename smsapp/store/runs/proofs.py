"""The ledger of the test group, beside the runs' one: nothing that counts messages of a run reads it.

A text is written here before it leaves, and taken by one conditional UPDATE, as a run's message is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.message import Status
from smsapp.domain.phone import ERASED
from smsapp.domain.proof import LONGEST_NAME, NotSent, ProofKind
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.store import journal
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import Base, BigId, changed, one_of
from smsapp.store.runs.claims import WORKER_LOST
from smsapp.store.runs.runs import Batch, Message, Run
from smsapp.store.runs.snapshot_json import SnapshotJson


class Colleague(Base):
    """A member of the test group."""

    __tablename__ = "colleague"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(LONGEST_NAME))
    phone: Mapped[str] = mapped_column(sa.String(16), unique=True)
    is_seed: Mapped[bool] = mapped_column(default=False)
    """Gets one text of every run."""
    created_at: Mapped[dt.datetime]


class Proof(Base):
    """One sending to the test group: a proof, or the seeds of a run."""

    __tablename__ = "proof"
    __table_args__ = (sa.Index("ix_proof_campaign", "campaign_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(10))
    """A ProofKind."""
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaign.id", ondelete="CASCADE"))
    run_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("run.id", ondelete="CASCADE"), unique=True)
    """Of seeds; unique, so a run has them once."""
    click: Mapped[str | None] = mapped_column(sa.String(40), unique=True)
    """Of a proof: the key of the shown button; unique, so pressing it twice sends once."""
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id"))
    contact_id: Mapped[int | None] = mapped_column(BigId)
    """Whose values fill the text; NULL if it has none."""
    snapshot: Mapped[RunSnapshot] = mapped_column(SnapshotJson)
    values: Mapped[list[Any]] = mapped_column(default=list)
    """The values of the template's variables in order, until nothing is left to send."""
    not_before: Mapped[dt.datetime | None]
    """Until then it waits: for the end of the quiet hours, or after a failed call."""
    valid_until: Mapped[dt.datetime | None]
    made_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    made_at: Mapped[dt.datetime]


class ProofMessage(Base):
    """One colleague's text."""

    __tablename__ = "proof_message"
    __table_args__ = (
        sa.UniqueConstraint("proof_id", "phone"),
        sa.Index(
            "ix_proof_message_waiting",
            "id",
            sqlite_where=sa.text("status <= 1"),
            postgresql_where=sa.text("status <= 1"),
        ),
        sa.Index(
            "ix_proof_message_provider_ref",
            "provider_ref",
            sqlite_where=sa.text("provider_ref <> ''"),
            postgresql_where=sa.text("provider_ref <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    proof_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("proof.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(sa.String(LONGEST_NAME))
    phone: Mapped[str] = mapped_column(sa.String(16))
    ref: Mapped[str] = mapped_column(sa.String(40), unique=True)
    """Our reference at the provider; never that of a run's message."""
    provider_ref: Mapped[str] = mapped_column(sa.String(80), default="")
    status: Mapped[int] = mapped_column(sa.SmallInteger)
    """domain/message.py Status; IN_FLIGHT is stored here."""
    reason: Mapped[str] = mapped_column(sa.String(40), default="")
    """An Outcome, or why it was not sent."""
    code: Mapped[str] = mapped_column(sa.String(80), default="")
    parts: Mapped[int] = mapped_column(sa.SmallInteger)
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    lease_until: Mapped[dt.datetime | None]
    handed_at: Mapped[dt.datetime | None]
    receipt_at: Mapped[dt.datetime | None]

    @property
    def arrived_at(self) -> dt.datetime | None:
        """When it was delivered, as the receipt was read; None if it was not (yet)."""
        return self.receipt_at if self.status == Status.DELIVERED else None


# Built once: every form of a campaign asks them, and to build them takes longer than to ask them.
_COLLEAGUES = (
    sa.select(Colleague).where(sa.not_(Colleague.phone.startswith(ERASED))).order_by(Colleague.name, Colleague.id)
)
_PROOFS_OF = (
    sa.select(Proof)
    .where(Proof.campaign_id == sa.bindparam("campaign_id"), Proof.kind == ProofKind.PROOF)
    .order_by(Proof.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def colleagues(session: Session) -> Sequence[Colleague]:
    """Return the test group by name, without those whose number was erased."""
    return session.scalars(_COLLEAGUES).all()


def has_seeds(session: Session) -> bool:
    """Return whether anybody of the test group gets a text of every run."""
    return bool(session.scalar(sa.select(sa.exists().where(Colleague.is_seed))))


def written_to(session: Session, run_id: int, phones: Collection[str]) -> set[str]:
    """Return which of these numbers a run writes to anyway."""
    query = sa.select(Message.phone).where(Message.run_id == run_id, one_of(Message.phone, phones))
    return set(session.scalars(query))


def first_person(session: Session, run_id: int) -> Message | None:
    """Return the first message of a run."""
    query = sa.select(Message).where(Message.run_id == run_id).order_by(Message.seq).limit(1)
    return session.scalars(query).first()


def of_click(session: Session, click: str) -> Proof | None:
    return session.scalars(sa.select(Proof).where(Proof.click == click)).first()


def proofs_of(session: Session, campaign_id: int, limit: int) -> Sequence[Proof]:
    """Return the campaign's latest proofs, newest first."""
    return session.scalars(_PROOFS_OF, {"campaign_id": campaign_id, "most": limit}).all()


def of_runs(session: Session, run_ids: Collection[int]) -> Sequence[Proof]:
    """Return the seeds of these runs."""
    return session.scalars(sa.select(Proof).where(one_of(Proof.run_id, run_ids)).order_by(Proof.id)).all()


def messages_of(session: Session, proof_ids: Collection[int]) -> Sequence[ProofMessage]:
    """Return the texts of these proofs as they are now, in order."""
    query = sa.select(ProofMessage).where(one_of(ProofMessage.proof_id, proof_ids)).order_by(ProofMessage.id)
    return session.scalars(query, execution_options={"populate_existing": True}).all()


# -- on the way -----------------------------------------------------------------------------------------------------

_BEGUN = sa.exists().where(Batch.run_id == Proof.run_id, Batch.attempts > 0)
"""The first batch of the run was claimed: what is sent to seeds is sent to others, too."""


def _due(now: dt.datetime, channel_ids: Collection[int] | None, elsewhere: Collection[int]) -> sa.Select[int, int]:
    query = (
        sa.select(ProofMessage.id, Proof.channel_id)
        .join(Proof, Proof.id == ProofMessage.proof_id)
        .where(
            ProofMessage.status == Status.QUEUED,
            sa.or_(Proof.not_before.is_(None), Proof.not_before <= now),
            sa.or_(Proof.valid_until.is_(None), Proof.valid_until > now),
            sa.or_(Proof.run_id.is_(None), _BEGUN),
        )
        .order_by(ProofMessage.id)
        .limit(1)
    )
    if channel_ids is not None:
        return query.where(Proof.channel_id.in_(channel_ids))
    return query.where(Proof.channel_id.not_in(elsewhere))


def next_due(
    session: Session, now: dt.datetime, channel_ids: Collection[int] | None, elsewhere: Collection[int] = ()
) -> tuple[int, int] | None:
    """Return (message id, channel id) of the next text to send: of these channels, or of all but those elsewhere."""
    row = session.execute(_due(now, channel_ids, elsewhere)).first()
    return (row[0], row[1]) if row else None


def claim(session: Session, message_id: int, lease_until: dt.datetime, now: dt.datetime) -> bool:
    """Take a queued text: False if another worker has. The journal tells of it before it leaves."""
    taken = changed(
        session,
        sa.update(ProofMessage)
        .where(ProofMessage.id == message_id, ProofMessage.status == Status.QUEUED)
        .values(
            status=int(Status.IN_FLIGHT), lease_until=lease_until, handed_at=now, attempts=ProofMessage.attempts + 1
        ),
    )
    if taken:
        journal.note(session, journal.PROOF, message_id)
    return bool(taken)


def set_aside(session: Session, proof_id: int, until: dt.datetime) -> None:
    """Send nothing more of a proof until that moment."""
    changed(session, sa.update(Proof).where(Proof.id == proof_id).values(not_before=until))


def forget_values(session: Session, proof_id: int) -> None:
    """Drop the values of a proof of which nothing is left to send."""
    waiting = sa.exists().where(ProofMessage.proof_id == proof_id, ProofMessage.status <= int(Status.IN_FLIGHT))
    changed(session, sa.update(Proof).where(Proof.id == proof_id, ~waiting).values(values=[]))


# -- what is tidied up ----------------------------------------------------------------------------------------------


def _overdue(now: dt.datetime, too_old: dt.datetime) -> dict[tuple[Status, str], list[sa.ColumnElement[bool]]]:
    """Return (new status, reason) -> conditions on texts that nobody sends any more."""
    queued = ProofMessage.status == Status.QUEUED
    mine = Proof.id == ProofMessage.proof_id

    def of(*conditions: sa.ColumnElement[bool]) -> list[sa.ColumnElement[bool]]:
        return [queued, sa.exists().where(mine, *conditions)]

    ended = sa.exists().where(Run.id == Proof.run_id, Run.finished_at.is_not(None))
    stale = sa.exists().where(Run.id == Proof.run_id, Run.finished_at < too_old)
    off = sa.exists().where(ChannelRow.id == Proof.channel_id, sa.not_(ChannelRow.active))
    lost = [ProofMessage.status == Status.IN_FLIGHT, ProofMessage.lease_until < now]
    return {
        (Status.UNCONFIRMED, WORKER_LOST): lost,
        (Status.CANCELLED, NotSent.RUN_ENDED): of(ended, sa.not_(_BEGUN)),
        (Status.CANCELLED, NotSent.TOO_LATE): of(
            sa.or_(Proof.valid_until <= now, stale, sa.and_(Proof.run_id.is_(None), Proof.made_at < too_old))
        ),
        (Status.CANCELLED, NotSent.CHANNEL_GONE): of(off),
    }


def has_overdue(session: Session, now: dt.datetime, too_old: dt.datetime) -> bool:
    """Return whether `settle_overdue` would change anything."""
    groups = [sa.and_(*conditions) for conditions in _overdue(now, too_old).values()]
    waiting = ProofMessage.status <= int(Status.IN_FLIGHT)
    return bool(session.scalar(sa.select(sa.exists().where(waiting, sa.or_(*groups)))))


def settle_overdue(session: Session, now: dt.datetime, too_old: dt.datetime) -> int:
    """Give up texts that cannot be sent any more; those a dead worker had may have left. Return how many."""
    return sum(_settle(session, to, reason, *where) for (to, reason), where in _overdue(now, too_old).items())


def unconfirm_waiting(session: Session) -> None:
    """After a restore: what waits in this older copy may have been sent since, so it is never sent from it."""
    _settle(session, Status.UNCONFIRMED, NotSent.RESTORED)


def cancel_for_contacts(session: Session, contact_ids: Collection[int]) -> None:
    """Drop the values of erased people: what waits to be sent with them is not sent."""
    theirs = one_of(Proof.contact_id, contact_ids)
    mine = sa.exists().where(Proof.id == ProofMessage.proof_id, theirs)
    _settle(session, Status.CANCELLED, NotSent.ERASED, ProofMessage.status == Status.QUEUED, mine)
    changed(session, sa.update(Proof).where(theirs).values(values=[]))


def delete_colleagues(session: Session, numbers: Collection[str]) -> int:
    """Take these numbers out of the test group, and send them nothing more; return how many were in it."""
    theirs = one_of(ProofMessage.phone, numbers)
    _settle(session, Status.CANCELLED, NotSent.ERASED, ProofMessage.status == Status.QUEUED, theirs)
    return changed(session, sa.delete(Colleague).where(one_of(Colleague.phone, numbers)))


def _settle(session: Session, status: Status, reason: str, *conditions: sa.ColumnElement[bool]) -> int:
    """Give texts that are under way their last status; return how many."""
    settled = session.scalars(
        sa.update(ProofMessage)
        .where(ProofMessage.status <= int(Status.IN_FLIGHT), *conditions)
        .values(status=int(status), reason=str(reason), lease_until=None)
        .returning(ProofMessage.proof_id),
        execution_options={"synchronize_session": False},
    ).all()
    for proof_id in {*settled}:
        forget_values(session, proof_id)
    return len(settled)


# -- receipts -------------------------------------------------------------------------------------------------------


def by_refs(session: Session, channel_id: int, refs: Collection[str]) -> dict[str, ProofMessage]:
    """Return our reference -> text of this channel, locked."""
    rows = session.scalars(_of_channel(channel_id).where(one_of(ProofMessage.ref, refs)))
    return {row.ref: row for row in rows}


def by_provider_refs(session: Session, channel_id: int, refs: Collection[str]) -> dict[str, dict[str, ProofMessage]]:
    """Return provider's id -> phone -> text of this channel, locked."""
    rows = session.scalars(
        _of_channel(channel_id).where(ProofMessage.provider_ref != "", one_of(ProofMessage.provider_ref, refs))
    )
    owners: dict[str, dict[str, ProofMessage]] = {}
    for row in rows:
        owners.setdefault(row.provider_ref, {})[row.phone] = row
    return owners


def _of_channel(channel_id: int) -> sa.Select[ProofMessage]:
    return (
        sa.select(ProofMessage)
        .join(Proof, Proof.id == ProofMessage.proof_id)
        .where(Proof.channel_id == channel_id)
        .with_for_update(of=ProofMessage)
        .execution_options(populate_existing=True)
    )


def to_numbers(session: Session, numbers: Collection[str]) -> Iterable[tuple[ProofMessage, Proof]]:
    """Return the texts to these numbers with their proofs, newest first: what is known about one person."""
    query = sa.select(ProofMessage, Proof).join(Proof, Proof.id == ProofMessage.proof_id)
    rows = session.execute(query.where(one_of(ProofMessage.phone, numbers)).order_by(ProofMessage.id.desc()))
    return [(message, proof) for message, proof in rows]


def colleagues_with(session: Session, numbers: Collection[str]) -> Sequence[Colleague]:
    """Return those of the test group who have one of these numbers."""
    return session.scalars(sa.select(Colleague).where(one_of(Colleague.phone, numbers))).all()
