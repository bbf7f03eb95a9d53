"""Properties that only public AppKeys have reported, until a trusted source vouches for them."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.contact import Type
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.db import changed, dialect, one_of

_DELETE_VALUES_SQLITE = sa.text(
    "UPDATE contact SET properties = json_remove(properties, :path), phones = json_remove(phones, :path), "
    "sources = json_remove(sources, :path) WHERE json_type(properties, :path) IS NOT NULL"
)
_DELETE_VALUES_POSTGRESQL = sa.text(
    "UPDATE contact SET properties = properties - CAST(:name AS text), phones = phones - CAST(:name AS text), "
    "sources = sources - CAST(:name AS text) WHERE jsonb_exists(properties, :name)"
)


def owners(session: Session) -> dict[str, int]:
    """Return {property: id of the public key that was first to report it}, for properties without a vouching source."""
    query = sa.select(Property.name, Property.app_key_id).where(Property.app_key_id.is_not(None))
    return {name: app_key_id for name, app_key_id in session.execute(query) if app_key_id is not None}


def mark_trusted(session: Session, types: Mapping[str, Type]) -> None:
    """Make properties of public keys trusted, with these types; a new type deletes their values, all of them public."""
    if not types:
        return
    public = sa.select(Property.name, Property.type).where(
        one_of(Property.name, types), Property.app_key_id.is_not(None)
    )
    for name, kind in session.execute(public).all():
        if kind != types[name]:
            path = f'$."{name}"'
            statement = _DELETE_VALUES_POSTGRESQL if dialect() == "postgresql" else _DELETE_VALUES_SQLITE
            session.execute(statement, {"name": name} if dialect() == "postgresql" else {"path": path})
        mended = sa.update(Property).where(Property.name == name)
        changed(session, mended.values(type=types[name].value, app_key_id=None))


def of_key(session: Session, app_key_id: int) -> list[str]:
    """Return the names of properties that this public key was first to report and that nobody vouches for."""
    return list(
        session.scalars(sa.select(Property.name).where(Property.app_key_id == app_key_id).order_by(Property.name))
    )


def mark_all_trusted(session: Session, app_key_id: int) -> None:
    """Vouch for the properties that this public key was first to report."""
    changed(session, sa.update(Property).where(Property.app_key_id == app_key_id).values(app_key_id=None))
