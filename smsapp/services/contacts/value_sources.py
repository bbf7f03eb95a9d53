"""The sources of a contact's values, with names for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain.trust import Origin, Source
from smsapp.store import users
from smsapp.store.apps import app_keys
from smsapp.store.contacts import imports
from smsapp.store.db import current_session


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
        **dict.fromkeys((Origin.SERVER, Origin.APP, Origin.BROWSER), _names(app_keys.names, keys)),
        Origin.IMPORT: _names(imports.file_names, files),
        Origin.PERSON: _names(users.names, people),
    }
    return {
        name: ValueSource(source.origin, names[source.origin].get(source.number, ""), source.at)
        for name, source in parsed.items()
    }


def _names(query: Callable[[Session, Collection[int]], dict[int, str]], ids: Collection[int]) -> dict[int, str]:
    return query(current_session(), ids) if ids else {}
