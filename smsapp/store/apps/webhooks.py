"""Webhooks, the events for them, and what has become of each event at each webhook."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from smsapp.domain.webhook import DeliveryState
from smsapp.store.db import Base, BigId, changed, upsert

_WAITS = "state = 'waiting'"


class Webhook(Base):
    """An address of a program that hears about events."""

    __tablename__ = "webhook"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    url: Mapped[str] = mapped_column(sa.String(1000))
    kinds: Mapped[list[Any]] = mapped_column(default=list)
    """domain/webhook.py EventKind"""
    secret: Mapped[bytes] = mapped_column(sa.LargeBinary)
    """Sealed."""
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime]
    delivered_at: Mapped[dt.datetime | None]
    """When it last took an event."""
    failing_since: Mapped[dt.datetime | None]
    """Since when each try has failed; NULL if the last one did not."""
    busy_until: Mapped[dt.datetime | None]
    """A process delivers to it until then, or did so last: one at a time, so that events keep their order."""

    def __repr__(self) -> str:
        return f"<Webhook {self.id}>"


class WebhookEvent(Base):
    """Something that has happened, written in the transaction in which it did."""

    __tablename__ = "webhook_event"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uid: Mapped[str] = mapped_column(sa.String(32), unique=True)
    """Named to receivers, the same in each try; not `id`, which an older copy of the database would give out again."""
    kind: Mapped[str] = mapped_column(sa.String(30))
    at: Mapped[dt.datetime]
    data: Mapped[dict[str, Any]]


class WebhookDelivery(Base):
    """An event on its way to a webhook."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        sa.Index(
            "ix_webhook_delivery_waiting",
            "webhook_id",
            "campaign_id",
            "event_id",
            sqlite_where=sa.text(_WAITS),
            postgresql_where=sa.text(_WAITS),
        ),
    )

    webhook_id: Mapped[int] = mapped_column(sa.ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True)
    event_id: Mapped[int] = mapped_column(
        sa.ForeignKey("webhook_event.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    campaign_id: Mapped[int | None]
    """Whose events keep their order; NULL: this one waits for no other."""
    state: Mapped[str] = mapped_column(sa.String(10), default=DeliveryState.WAITING)
    tries: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    due_at: Mapped[dt.datetime]
    tried_at: Mapped[dt.datetime | None]
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    """HTTP status of the last answer; NULL if there was none."""
    code: Mapped[str] = mapped_column(sa.String(40), default="")
    """Why the last try had no answer."""

    @property
    def waits(self) -> bool:
        """Whether it is still to be sent."""
        return self.state == DeliveryState.WAITING


def listed(session: Session) -> Sequence[Webhook]:
    """Return all webhooks, the oldest first."""
    return session.scalars(sa.select(Webhook).order_by(Webhook.id)).all()


def with_work(session: Session, now: dt.datetime) -> Sequence[int]:
    """Return the webhooks to which something is due and that no process serves, those first that wait the longest."""
    is_due = sa.exists().where(
        WebhookDelivery.webhook_id == Webhook.id,
        WebhookDelivery.state == DeliveryState.WAITING,
        WebhookDelivery.due_at <= now,
    )
    free = sa.or_(Webhook.busy_until.is_(None), Webhook.busy_until <= now)
    query = sa.select(Webhook.id).where(Webhook.active, free, is_due)
    return session.scalars(query.order_by(Webhook.busy_until.nulls_first(), Webhook.id)).all()


def claim(session: Session, webhook_id: int, now: dt.datetime, until: dt.datetime) -> bool:
    """Claim a webhook until that moment; False if another process has it."""
    free = sa.or_(Webhook.busy_until.is_(None), Webhook.busy_until <= now)
    statement = sa.update(Webhook).where(Webhook.id == webhook_id, Webhook.active, free)
    return changed(session, statement.values(busy_until=until)) == 1


def release(session: Session, webhook_id: int, now: dt.datetime) -> None:
    """Give a claimed webhook free."""
    changed(session, sa.update(Webhook).where(Webhook.id == webhook_id).values(busy_until=now))


def remove_some(session: Session, webhook_id: int, limit: int) -> int:
    """Remove the first deliveries of a webhook; return how many."""
    its = sa.select(WebhookDelivery.event_id).where(WebhookDelivery.webhook_id == webhook_id).limit(limit)
    statement = sa.delete(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    return changed(session, statement.where(WebhookDelivery.event_id.in_(its)))


def next_due(
    session: Session, webhook_id: int, now: dt.datetime, limit: int
) -> Sequence[tuple[WebhookDelivery, WebhookEvent]]:
    """Return what may be sent now: of each campaign its oldest event that waits, and events of none."""
    earlier = aliased(WebhookDelivery)
    is_first = ~sa.exists().where(
        earlier.webhook_id == WebhookDelivery.webhook_id,
        earlier.campaign_id == WebhookDelivery.campaign_id,
        earlier.state == DeliveryState.WAITING,
        earlier.event_id < WebhookDelivery.event_id,
    )
    query = (
        sa.select(WebhookDelivery, WebhookEvent)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .where(
            WebhookDelivery.webhook_id == webhook_id,
            WebhookDelivery.state == DeliveryState.WAITING,
            WebhookDelivery.due_at <= now,
            sa.or_(WebhookDelivery.campaign_id.is_(None), is_first),
        )
        .order_by(WebhookDelivery.event_id)
        .limit(limit)
    )
    return [(delivery, event) for delivery, event in session.execute(query)]


def log_rows(
    session: Session, webhook_id: int, before: int | None, limit: int
) -> Sequence[tuple[WebhookDelivery, WebhookEvent]]:
    """Return a webhook's deliveries, newest first, those before the event `before`."""
    query = (
        sa.select(WebhookDelivery, WebhookEvent)
        .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
        .where(WebhookDelivery.webhook_id == webhook_id)
        .order_by(WebhookDelivery.event_id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(WebhookDelivery.event_id < before)
    return [(delivery, event) for delivery, event in session.execute(query)]


def send_anew(session: Session, webhook_id: int, now: dt.datetime, conditions: sa.ColumnElement[bool]) -> int:
    """Have deliveries of a webhook wait again, whatever became of them; return how many."""
    statement = sa.update(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id, conditions)
    return changed(session, statement.values(state=DeliveryState.WAITING, tries=0, due_at=now))


def of_event(event_id: int) -> sa.ColumnElement[bool]:
    """Return the condition that a delivery is of this event."""
    return WebhookDelivery.event_id == event_id


def since(moment: dt.datetime) -> sa.ColumnElement[bool]:
    """Return the condition that a delivery's event happened then or later."""
    events = sa.select(WebhookEvent.id).where(WebhookEvent.at >= moment)
    return WebhookDelivery.event_id.in_(events)


def add(session: Session, kind: str, uid: str, data: dict[str, Any], at: dt.datetime) -> int:
    """Add an event; return its id."""
    new = sa.insert(WebhookEvent).values(uid=uid, kind=kind, at=at, data=data).returning(WebhookEvent.id)
    event_id: int = session.execute(new).scalar_one()
    return event_id


def address(
    session: Session, event_id: int, webhook_ids: Sequence[int], campaign_id: int | None, now: dt.datetime
) -> None:
    """Have an event wait for these webhooks."""
    rows = [
        {"webhook_id": webhook_id, "event_id": event_id, "campaign_id": campaign_id, "due_at": now}
        | {"state": DeliveryState.WAITING, "tries": 0, "code": ""}
        for webhook_id in webhook_ids
    ]
    session.execute(upsert(WebhookDelivery).values(rows))
