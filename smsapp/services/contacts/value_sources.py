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
from smsapp.store.sign_in import api_keys


@dataclass(frozen=True)
class ValueSource:
    """The source of a value and its time; `name` is that of the key, the file or the person, "" if it is gone."""

    origin: Origin
    name: str
    at: dt.datetime


def described(sources: Mapping[str, str]) -> dict[str, ValueSource]:
    """Return property -> source of its value, for a contact's `sources`."""
    parsed = {name: Source.from_text(text) for name, text in sources.items()}
    others = (Origin.IMPORT, Origin.PERSON, Origin.KEY)
    keys = {source.number for source in parsed.values() if source.origin not in others}
    files = {source.number for source in parsed.values() if source.origin is Origin.IMPORT}
    people = {source.number for source in parsed.values() if source.origin is Origin.PERSON}
    api = {source.number for source in parsed.values() if source.origin is Origin.KEY}
    names = {
        **dict.fromkeys((Origin.SERVER, Origin.APP, Origin.BROWSER), _names(app_keys.names, keys)),
        Origin.IMPORT: _names(imports.file_names, files),
        Origin.PERSON: _names(users.names, people),
        Origin.KEY: _names(api_keys.names, api),
    }
    return {
        name: ValueSource(source.origin, names[source.origin].get(source.number, ""), source.at)
        for name, source in parsed.items()
    }


def _names(query: Callable[[Session, Collection[int]], dict[int, str]], ids: Collection[int]) -> dict[int, str]:
    return query(current_session(), ids) if ids else {}
