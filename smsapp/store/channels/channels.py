"""Channels: configured accounts at providers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.scope import Scope
from smsapp.store.db import Base, UtcDateTime


class ChannelRow(Base):
    """One configured account. Secrets are a Fernet token of a JSON object; they never leave
    `services/channels/channel_secrets.py`."""

    __tablename__ = "channel"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(40))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    secrets: Mapped[bytes] = mapped_column(sa.LargeBinary, default=b"")
    callback_token: Mapped[str] = mapped_column(sa.String(64), unique=True)
    old_callback_token: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    """The previous token, which is accepted until `old_callback_until`."""
    old_callback_until: Mapped[dt.datetime | None]
    phone_property: Mapped[str] = mapped_column(sa.String(125), default="$phone")
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    """Region code of the country whose national numbers the provider writes; "" = DEFAULT_REGION."""
    countries: Mapped[list[Any]] = mapped_column(default=list)
    """Region codes of the countries it may send to; empty = every country."""
    number_classes: Mapped[list[Any]] = mapped_column(default=list)
    """Classes (domain/numbering.py) it may send to, besides mobile numbers."""
    number_limits: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """domain/number_limits.py: [prefix, messages a day or None]; without one every number may be written to."""
    trusted_numbers: Mapped[bool] = mapped_column(default=False)
    """Send only to numbers that a server key, a file or a person has entered."""
    rate: Mapped[int | None]
    """Messages per second over all workers; None = as fast as the provider takes them."""
    quiet_from: Mapped[str] = mapped_column(sa.String(5), default="21:00")
    quiet_until: Mapped[str] = mapped_column(sa.String(5), default="08:00")
    """Local times between which marketing texts are not sent; equal = no quiet hours."""
    price: Mapped[Decimal | None] = mapped_column(sa.Numeric(12, 6))
    """Per billed part, in `currency`."""
    currency: Mapped[str] = mapped_column(sa.String(3), default="CNY")
    active: Mapped[bool] = mapped_column(default=True)
    checked_at: Mapped[dt.datetime | None]
    check_result: Mapped[str] = mapped_column(sa.String(255), default="")
    balance: Mapped[Decimal | None] = mapped_column(sa.Numeric(18, 4))
    """The balance at `balance_at`: money, or messages if `balance_currency` is ""; None = no limit."""
    balance_currency: Mapped[str] = mapped_column(sa.String(3), default="")
    balance_at: Mapped[dt.datetime | None]
    balance_low: Mapped[Decimal | None] = mapped_column(sa.Numeric(18, 4))
    """People are warned below this balance."""
    templates_synced_at: Mapped[dt.datetime | None]
    """When the provider last listed its templates."""
    templates_trouble: Mapped[dict[str, Any] | None]
    """The latest failed sync since then: at, result, outcome, code."""
    registrations_at: Mapped[dt.datetime | None]
    """When the provider last said what carriers have registered."""
    registrations_trouble: Mapped[dict[str, Any] | None]
    """The latest failed question since then: at, result, outcome, code."""
    opt_out_template_id: Mapped[int | None]
    """The template that confirms an opt-out; None = no confirmation is sent."""
    refusal_scope: Mapped[str] = mapped_column(sa.String(12), default=Scope.EVERYTHING, server_default=Scope.EVERYTHING)
    """What a reply that opts out refuses: a domain/scope.py Scope."""
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]

    @property
    def is_low(self) -> bool:
        """Whether the balance is below the limit for warnings."""
        return self.balance is not None and self.balance_low is not None and self.balance < self.balance_low

    def __repr__(self) -> str:
        return f"<ChannelRow {self.id} {self.kind}>"


def all_channels(session: Session) -> list[ChannelRow]:
    """Return all channels, active ones first, by name."""
    return list(session.scalars(sa.select(ChannelRow).order_by(ChannelRow.active.desc(), ChannelRow.name)))


_NAMES = sa.select(ChannelRow.id, ChannelRow.name).order_by(ChannelRow.active.desc(), ChannelRow.name)


def names(session: Session) -> dict[int, str]:
    """Return {id: name} of all channels, active ones first, by name."""
    return {id_: name for id_, name in session.execute(_NAMES)}  # noqa: C416 a Row is no pair to mypy


def active(session: Session) -> list[ChannelRow]:
    """Return the channels a campaign may choose, by name."""
    return list(session.scalars(sa.select(ChannelRow).where(ChannelRow.active).order_by(ChannelRow.name)))


def search(session: Session, words: str, limit: int) -> list[ChannelRow]:
    """Return the first channels a campaign may choose, by name, whose names contain these words."""
    query = sa.select(ChannelRow).where(ChannelRow.active).order_by(ChannelRow.name).limit(limit)
    if words:
        query = query.where(ChannelRow.name.icontains(words, autoescape=True))
    return list(session.scalars(query))


def of_kinds(session: Session, kinds: Collection[str]) -> set[int]:
    """Return the ids of all channels of these kinds."""
    return set(session.scalars(sa.select(ChannelRow.id).where(ChannelRow.kind.in_(kinds))))


_TOKEN = sa.bindparam("token", type_=sa.String)
_NOW = sa.bindparam("now", type_=UtcDateTime)
_BY_TOKEN = sa.select(ChannelRow).where(
    sa.or_(
        ChannelRow.callback_token == _TOKEN,
        sa.and_(ChannelRow.old_callback_token == _TOKEN, ChannelRow.old_callback_until > _NOW),
    )
)


def by_token(session: Session, token: str, now: dt.datetime) -> ChannelRow | None:
    """Return the channel with this callback token, or with this previous one that is still accepted."""
    return session.scalar(_BY_TOKEN, {"token": token, "now": now})


def by_name(session: Session, name: str) -> ChannelRow | None:
    return session.scalar(sa.select(ChannelRow).where(ChannelRow.name == name))


def name_of(session: Session, channel_id: int | None) -> str:
    """Return the name of this channel; "" if there is none."""
    return session.scalar(sa.select(ChannelRow.name).where(ChannelRow.id == channel_id)) or ""


def reads_property(session: Session, name: str) -> bool:
    """Return whether a channel reads its phones from this property."""
    return session.scalar(sa.select(sa.exists().where(ChannelRow.phone_property == name))) or False


def is_used(session: Session, channel_id: int) -> bool:
    """Return whether any row of any table references this channel."""
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column is ChannelRow.__table__.c.id and session.scalar(
                sa.select(sa.exists().where(key.parent == channel_id))
            ):
                return True
    return False
