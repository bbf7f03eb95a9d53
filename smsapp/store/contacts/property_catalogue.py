"""The catalogue of properties: which ones there are, and the type of each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.contact import MAX_CATALOGUE, PHONE, PRESETS, Type
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import Base, changed, dialect, one_of, upsert


class Property(Base):
    """A property of contacts; its type is the type of the first value ever seen."""

    __tablename__ = "property"

    name: Mapped[str] = mapped_column(sa.String(125), primary_key=True)
    """Lower-cased, as Ark stores property ids."""
    type: Mapped[str] = mapped_column(sa.String(10))
    """One of domain/contact.py Type: string, number, bool, datetime, list."""
    label: Mapped[str] = mapped_column(sa.String(125), default="")
    app_key_id: Mapped[int | None] = mapped_column(sa.ForeignKey("app_key.id", ondelete="SET NULL"))
    """The public key that was first to report it; NULL = a server key, a file or a person has vouched for it."""
    merged_into: Mapped[str | None] = mapped_column(sa.String(125))
    """The property it was merged into: values reported under this name go there. It is offered nowhere."""
    created_at: Mapped[dt.datetime]


# Built once: pages and reports of AppKeys ask them, and to build them takes longer than to ask them.
_IS_KNOWN = Property.merged_into.is_(None)
_TYPES = sa.select(Property.name, Property.type).where(_IS_KNOWN)
_LABELS = sa.select(Property.name, Property.label).where(_IS_KNOWN)
_PROPERTIES = sa.select(Property).where(_IS_KNOWN).order_by(Property.name)
_REDIRECTS = sa.select(Property.name, Property.merged_into).where(Property.merged_into.is_not(None))


def property_types(session: Session) -> dict[str, Type]:
    """Return {name: type} of the known properties, the presets included."""
    return dict(PRESETS) | {name: Type(kind) for name, kind in session.execute(_TYPES)}


def labels(session: Session) -> dict[str, str]:
    """Return {name: label} of the known properties ("" = no label), the presets included."""
    return dict.fromkeys(PRESETS, "") | {name: label for name, label in session.execute(_LABELS)}  # noqa: C416


def properties(session: Session) -> list[Property]:
    """Return all properties that are not merged into another one, by name."""
    return list(session.scalars(_PROPERTIES))


def redirects(session: Session) -> dict[str, str]:
    """Return {name: the property it was merged into}."""
    return {name: target for name, target in session.execute(_REDIRECTS) if target}


def add_properties(
    session: Session,
    types: Mapping[str, Type],
    now: dt.datetime,
    labels: Mapping[str, str] | None = None,
    public: Mapping[str, int] | None = None,
) -> dict[str, Type]:
    """Insert properties that are not in the catalogue yet; return {name: stored type}.

    `public`: name -> id of the public key that reported it; the caller vouches for all others. If another transaction
    inserts a property at the same moment with another type, the first one counts. Properties for which the catalogue
    has no room are missing from the result.
    """
    if not types:
        return {}
    labels, public = labels or {}, public or {}
    existing = set(session.scalars(sa.select(Property.name)))
    if dialect() == "postgresql" and not types.keys() <= existing and len(existing) < MAX_CATALOGUE:
        # Otherwise two transactions that both see room for one more would exceed the limit.
        session.execute(sa.text("LOCK TABLE property IN SHARE ROW EXCLUSIVE MODE"))
        existing = set(session.scalars(sa.select(Property.name)))
    new_names = sorted(types.keys() - existing)[: max(0, MAX_CATALOGUE - len(existing))]
    rows = [
        {
            "name": name,
            "type": types[name].value,
            "label": labels.get(name, "")[:125],
            "app_key_id": public.get(name),
            "created_at": now,
        }
        for name in new_names
    ]
    if rows:
        session.execute(upsert(Property).on_conflict_do_nothing(), rows)
    trusted = (one_of(Property.name, types.keys() - public.keys()), Property.app_key_id.is_not(None))
    changed(session, sa.update(Property).where(*trusted).values(app_key_id=None))
    stored = session.execute(sa.select(Property.name, Property.type).where(one_of(Property.name, types)))
    return {name: Type(kind) for name, kind in stored}


def phone_properties(session: Session) -> set[str]:
    """Return the properties that some channel reads phones from, and the preset one."""
    return {PHONE, *session.scalars(sa.select(ChannelRow.phone_property).distinct())}
