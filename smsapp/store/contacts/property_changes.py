"""Changes of properties of all contacts, their progress, and the objects that name a property."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.property_change import ChangeKind, ChangeState
from smsapp.store.campaigns.campaigns import NOT_OVER, Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import Base, BigId, lock_row

Held = dict[str, Any]


class PropertyChange(Base):
    """One change, which a worker carries out in chunks in the order of contact ids."""

    __tablename__ = "property_change"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(10))
    """domain/property_change.py ChangeKind"""
    name: Mapped[str] = mapped_column(sa.String(125))
    target: Mapped[str] = mapped_column(sa.String(125), default="")
    """MERGE: the property that stays."""
    detail: Mapped[str] = mapped_column(sa.String(10), default="")
    """MERGE: Winner; RETYPE: the new type."""
    state: Mapped[str] = mapped_column(sa.String(10))
    position: Mapped[int] = mapped_column(BigId, default=0)
    """Id of the last contact that was processed."""
    last: Mapped[int] = mapped_column(BigId, default=0)
    """Id of the last contact when the change began; progress is position / last."""
    changed: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]

    @property
    def new_type(self) -> str:
        """The type that values are converted to; "" if that is not what it does."""
        return self.detail if self.kind == ChangeKind.RETYPE else ""

    def __repr__(self) -> str:
        return f"<PropertyChange {self.id}>"


@dataclass(frozen=True)
class Use:
    """An object that names a property; `noun` is "segment", "campaign" or "channel"."""

    noun: str
    id: int
    name: str


def uses(session: Session, name: str) -> list[Use]:
    """Return the segments, the campaigns that are not over, and the channels that name this property."""
    channels = session.execute(
        sa.select(ChannelRow.id, ChannelRow.name).where(ChannelRow.phone_property == name).order_by(ChannelRow.name)
    )
    segments = session.execute(sa.select(Segment.id, Segment.name, Segment.rule).order_by(Segment.name))
    campaigns = session.execute(sa.select(Campaign.id, Campaign.name, Campaign.mapping).where(*NOT_OVER))
    return [
        *(Use("segment", id_, title) for id_, title, rule in segments if _names_property(rule, name)),
        *(
            Use("campaign", id_, title)
            for id_, title, mapping in campaigns
            if any(source.get("property") == name for source in mapping.values())
        ),
        *(Use("channel", id_, title) for id_, title in channels),
    ]


def _names_property(rule: Any, name: str) -> bool:
    if not isinstance(rule, dict):
        return False
    return rule.get("property") == name or any(_names_property(child, name) for child in rule.get("children", []))


def replace_uses(session: Session, name: str, target: str) -> None:
    """Replace property `name` by `target` in segments, in campaigns that are not over, and in channels."""
    for segment in session.scalars(sa.select(Segment).with_for_update()):
        if _names_property(segment.rule, name):
            segment.rule = _renamed(segment.rule, name, target)
    for campaign in session.scalars(sa.select(Campaign).where(*NOT_OVER).with_for_update()):
        if any(source.get("property") == name for source in campaign.mapping.values()):
            campaign.mapping = {
                variable: source | {"property": target} if source.get("property") == name else source
                for variable, source in campaign.mapping.items()
            }
            campaign.version += 1
    session.flush()
    session.execute(sa.update(ChannelRow).where(ChannelRow.phone_property == name).values(phone_property=target))


def _renamed(rule: dict[str, Any], name: str, target: str) -> dict[str, Any]:
    if rule.get("property") == name:
        return rule | {"property": target}
    return rule | {"children": [_renamed(child, name, target) for child in rule.get("children", [])]}


def open_changes(session: Session) -> list[PropertyChange]:
    """Return the changes that are not done, oldest first."""
    unfinished = sa.select(PropertyChange).where(PropertyChange.state != ChangeState.DONE)
    return list(session.scalars(unfinished.order_by(PropertyChange.id)))


def newest(session: Session, limit: int = 20) -> list[PropertyChange]:
    return list(session.scalars(sa.select(PropertyChange).order_by(PropertyChange.id.desc()).limit(limit)))


def claim(session: Session, change_id: int) -> PropertyChange | None:
    """Lock the change, set it to RUNNING and return it; None if it does not exist or is done."""
    change = lock_row(session, PropertyChange, change_id)
    if change is None or change.state == ChangeState.DONE:
        return None
    change.state = ChangeState.RUNNING
    return change


def rewrite(
    session: Session, names: Sequence[str], after: int, limit: int, change: Callable[[Any], tuple[Held, Held, Held]]
) -> tuple[int, int]:
    """Apply `change`, row -> (properties, phones, sources), to the next contacts that have one of these properties.

    Return (id of the last contact that was read, or 0 if there was none; how many changed).
    """
    query = sa.select(Contact.id, Contact.properties, Contact.phones, Contact.sources).where(Contact.id > after)
    rows = session.execute(query.order_by(Contact.id).limit(limit).with_for_update()).all()
    values = []
    for row in rows:
        if not any(name in row.properties or name in row.phones for name in names):
            continue
        properties, phones, sources = change(row)
        values.append({"key": row.id, "held": properties, "numbers": phones, "origins": sources})
    if values:
        table = Contact.__table__
        new = {"properties": "held", "phones": "numbers", "sources": "origins"}
        statement = sa.update(Contact).where(table.c.id == sa.bindparam("key"))
        binds = {column: sa.bindparam(name, type_=table.c[column].type) for column, name in new.items()}
        session.connection().execute(statement.values(**binds), values)
    return (rows[-1].id if rows else 0), len(values)


def sample(session: Session, name: str, limit: int) -> list[Any]:
    """Return the values of a property of the newest contacts that have one."""
    rows = session.scalars(sa.select(Contact.properties).where(has(name)).order_by(Contact.id.desc()).limit(limit))
    return [properties[name] for properties in rows]


def has(name: str) -> sa.ColumnElement[bool]:
    """Return the condition that a contact has a value of this property."""
    text = Contact.properties[name].as_string()
    return sa.and_(text.is_not(None), text.not_in(("", "[]")))


def count(session: Session, name: str, other: str = "") -> int:
    """Return how many contacts have a value of this property, and also of `other` if it is not ""."""
    query = sa.select(sa.func.count()).select_from(Contact).where(has(name))
    return session.scalar(query.where(has(other)) if other else query) or 0


def conflicts(session: Session, name: str, other: str, limit: int) -> list[tuple[Any, Any]]:
    """Return (value, other value) of the newest contacts with two different values."""
    differ = Contact.properties[name].as_string() != Contact.properties[other].as_string()
    rows = session.scalars(
        sa.select(Contact.properties).where(has(name), has(other), differ).order_by(Contact.id.desc()).limit(limit)
    )
    return [(properties[name], properties[other]) for properties in rows]


def count_conflicts(session: Session, name: str, other: str) -> int:
    """Return how many contacts have different values of the two properties."""
    differ = Contact.properties[name].as_string() != Contact.properties[other].as_string()
    return session.scalar(sa.select(sa.func.count()).select_from(Contact).where(has(name), has(other), differ)) or 0
