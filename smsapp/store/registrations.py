"""What carriers have registered of each channel's signatures, templates, links and contact numbers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.registration import GOOD, Registration, RegistrationKind, RegistrationSource, RegistrationState
from smsapp.domain.run import RunState
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import Base, upsert
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate

Key = tuple[str, str]
"""(kind, value)"""


class RegistrationRow(Base):
    """One value of a channel at one carrier, as it was said last."""

    __tablename__ = "registration"

    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    """domain/registration.py RegistrationKind"""
    value: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    """A signature without brackets, the provider's template code, a link without scheme, a contact number."""
    carrier: Mapped[str] = mapped_column(sa.String(10), primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(12))
    """domain/registration.py RegistrationState"""
    reasons: Mapped[list[Any]] = mapped_column(default=list)
    """Codes of the provider, or a person's words."""
    since: Mapped[dt.datetime | None]
    at: Mapped[dt.datetime]
    source: Mapped[str] = mapped_column(sa.String(10))
    """provider, person"""
    expires_at: Mapped[dt.datetime | None]
    remind_days: Mapped[int]

    def __repr__(self) -> str:
        return f"<RegistrationRow {self.channel_id} {self.kind} {self.carrier}>"


def _read(row: RegistrationRow) -> Registration:
    return Registration(
        RegistrationKind(row.kind),
        row.value,
        Carrier(row.carrier),
        RegistrationState(row.state),
        tuple(map(str, row.reasons)),
        row.since,
        row.at,
        RegistrationSource(row.source),
        row.expires_at,
        row.remind_days,
    )


def of_values(session: Session, channel_id: int, keys: Iterable[Key]) -> list[Registration]:
    """Return what is stored of these values of a channel."""
    wanted = sa.or_(
        sa.false(), *(sa.and_(RegistrationRow.kind == kind, RegistrationRow.value == value) for kind, value in keys)
    )
    query = sa.select(RegistrationRow).where(RegistrationRow.channel_id == channel_id, wanted)
    return [_read(row) for row in session.scalars(query.execution_options(populate_existing=True))]


_HAS_ANY = sa.select(sa.exists().where(RegistrationRow.channel_id == sa.bindparam("channel_id")))


def has_any(session: Session, channel_id: int) -> bool:
    """Return whether anything is stored of a channel."""
    return bool(session.scalar(_HAS_ANY, {"channel_id": channel_id}))


def of_channel(session: Session, channel_id: int, limit: int = 2000) -> list[Registration]:
    """Return what is stored of a channel, in the order of kinds and values."""
    query = sa.select(RegistrationRow).where(RegistrationRow.channel_id == channel_id)
    ordered = query.order_by(RegistrationRow.kind, RegistrationRow.value, RegistrationRow.carrier).limit(limit)
    return [_read(row) for row in session.scalars(ordered.execution_options(populate_existing=True))]


def in_force(session: Session) -> list[tuple[int, Registration]]:
    """Return (channel id, registration) of all that a carrier has accepted."""
    query = sa.select(RegistrationRow).where(RegistrationRow.state.in_([str(state) for state in GOOD]))
    ordered = query.order_by(RegistrationRow.channel_id, RegistrationRow.kind, RegistrationRow.value)
    return [(row.channel_id, _read(row)) for row in session.scalars(ordered)]


def store(session: Session, channel_id: int, registrations: Sequence[Registration]) -> None:
    """Write these over what was stored of the same values at the same carriers."""
    for registration in registrations:
        values = {
            "state": str(registration.state),
            "reasons": list(registration.reasons),
            "since": registration.since,
            "at": registration.at,
            "source": str(registration.source),
            "expires_at": registration.expires_at,
            "remind_days": registration.remind_days,
        }
        key = {
            "channel_id": channel_id,
            "kind": str(registration.kind),
            "value": registration.value,
            "carrier": str(registration.carrier),
        }
        new = upsert(RegistrationRow).values(**key, **values)
        session.execute(new.on_conflict_do_update(index_elements=list(key), set_=values))


def forget(session: Session, channel_id: int, kind: str, value: str) -> int:
    """Remove what is stored of a value; return how many carriers had said something of it."""
    gone = sa.delete(RegistrationRow).where(
        RegistrationRow.channel_id == channel_id, RegistrationRow.kind == kind, RegistrationRow.value == value
    )
    return len(session.execute(gone.returning(RegistrationRow.carrier)).all())


def signatures_of_templates(session: Session, channel_id: int, limit: int) -> list[str]:
    """Return the signatures of a channel's templates, in the order of their letters."""
    query = sa.select(SmsTemplate.signature).where(SmsTemplate.channel_id == channel_id, SmsTemplate.signature != "")
    return list(session.scalars(query.distinct().order_by(SmsTemplate.signature).limit(limit)))


def used_last(session: Session, channel_ids: Collection[int]) -> dict[tuple[int, str], dt.datetime]:
    """Return {(channel id, signature): when its last run with messages began} of these channels."""
    signature = Run.snapshot["signature"].as_string().label("signature")
    query = sa.select(Run.channel_id, signature, sa.func.max(Run.started_at)).where(Run.planned > 0)
    query = query.where(Run.channel_id.in_(channel_ids))
    rows = session.execute(query.group_by(Run.channel_id, sa.text("signature")))
    return {(channel_id, name): at for channel_id, name, at in rows if at is not None and name}


def being_sent(session: Session, channel_id: int | None) -> list[tuple[Run, Campaign]]:
    """Return the runs of a channel (None: of all) that are being sent and frozen, each with its campaign."""
    query = sa.select(Run, Campaign).join(Campaign, Campaign.id == Run.campaign_id)
    query = query.where(Run.finished_at.is_(None), Run.state == RunState.SENDING, Run.started_at.is_not(None))
    if channel_id is not None:
        query = query.where(Run.channel_id == channel_id)
    return [(run, campaign) for run, campaign in session.execute(query)]
