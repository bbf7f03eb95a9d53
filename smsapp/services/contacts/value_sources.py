"""The sources of a contact's values, with names for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from smsapp.domain.trust import Origin, Source
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts.imports import Import
from smsapp.store.db import current_session, one_of
from smsapp.store.users import User


@dataclass(frozen=True)
class ValueSource:
    """The source of a value and its time; `name` is that of the key, the file or the person, "" if it is gone."""

    origin: Origin
    name: str
    at: dt.datetime


def described(sources: Mapping[str, str]) -> dict[str, ValueSource]:
    """Return property -> source of its value, for a contact's `sources`."""
    parsed = {name: Source.from_text(text) for name, text in sources.items()}
    keys = {source.number for source in parsed.values() if source.origin not in (Origin.IMPORT, Origin.PERSON)}
    files = {source.number for source in parsed.values() if source.origin is Origin.IMPORT}
    people = {source.number for source in parsed.values() if source.origin is Origin.PERSON}
    names = {
        **dict.fromkeys((Origin.SERVER, Origin.APP, Origin.BROWSER), _names(AppKey.id, AppKey.name, keys)),
        Origin.IMPORT: _names(Import.id, Import.file_name, files),
        Origin.PERSON: _names(User.id, User.name, people),
    }
    return {
        name: ValueSource(source.origin, names[source.origin].get(source.number, ""), source.at)
        for name, source in parsed.items()
    }


def _names(id_: Any, name: Any, ids: Collection[int]) -> dict[int, str]:
    if not ids:
        return {}
    rows = current_session().execute(sa.select(id_, name).where(one_of(id_, ids)))
    return {row[0]: row[1] for row in rows}
