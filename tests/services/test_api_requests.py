"""Requests that may be sent again, and contacts that programs bring: the statements beneath, on both databases."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.api_key import KEPT_FOR, Scope
from smsapp.domain.errors import NotFound
from smsapp.domain.rejection import Reason
from smsapp.domain.roles import Role
from smsapp.domain.segment import EVERYONE, Kind
from smsapp.services.contacts import contact_upserts, segments
from smsapp.services.platform import api_keys, api_requests
from smsapp.services.platform.api_requests import Earlier
from smsapp.services.platform.audit_log import Actor
from tests import builders


def new_key(now: dt.datetime) -> int:
    return api_keys.create("Shop", [*Scope], Actor("test"), now).row.id


def test_a_request_is_carried_out_once(app: Flask, now: dt.datetime) -> None:
    key_id, minutes = new_key(now), dt.timedelta(minutes=5)
    # Given a request that has begun: the same key means that it runs, or that it is another request
    claim = api_requests.begin(key_id, "k", b"POST a", now)
    assert claim.earlier is Earlier.NONE
    assert api_requests.begin(key_id, "k", b"POST a", now).earlier is Earlier.RUNS
    assert api_requests.begin(key_id, "k", b"POST b", now).earlier is Earlier.OTHER
    # When whoever was at it is gone, another takes it over, and its effect is marked in its own transaction
    claim = api_requests.begin(key_id, "k", b"POST a", now + minutes)
    assert claim.earlier is Earlier.NONE
    actor = Actor("API: Shop", role=Role.OPERATOR, request=claim.place)
    segment = segments.create("All", Kind.STATIC, EVERYONE, by=actor, now=now)
    again = api_requests.begin(key_id, "k", b"POST a", now + minutes)
    assert (again.earlier, again.noun_id) == (Earlier.CHANGED, segment.id)
    # Then a refusal of something behind it does not undo that, and its answer is repeated for a day
    api_requests.give_back(claim)
    api_requests.finish(claim, 201, "{}")
    again = api_requests.begin(key_id, "k", b"POST a", now + minutes)
    assert (again.earlier, again.status, again.answer) == (Earlier.ANSWERED, 201, "{}")
    assert api_requests.begin(key_id, "k", b"POST a", now + KEPT_FOR + minutes).earlier is Earlier.NONE


def test_contacts_are_merged_in_bulk_and_removed(app: Flask, now: dt.datetime) -> None:
    key_id, by = new_key(now), Actor("API: Shop", role=Role.OPERATOR)
    builders.known_property("$phone")
    builders.contact("u1", builders.phone(1), properties={"city": "北京"})
    # When contacts are brought, one of them twice, one unfit, one with a value of another type
    people: list[tuple[str, dict[str, Any]]] = [
        ("u1", {"age": 30}),
        ("u2", {"$phone": "13800000002", "age": 31}),
        ("", {"age": 1}),
        ("u3", {"age": "old", "name": "王伟"}),
        ("u2", {"age": 32}),
    ]
    merged = contact_upserts.merge(people, key_id, by, now)
    # Then the fit ones are written, what is not named stays, and each loss has its place
    assert (merged.added, merged.changed, merged.refused) == (2, 1, [(2, Reason.BAD_ID)])
    assert [(place, loss.name, loss.reason) for place, loss in merged.losses] == [(3, "age", Reason.TYPE_CONFLICT)]
    first, second = (contact_upserts.by_user_id(user_id) for user_id in ("u1", "u2"))
    assert (first.properties["city"], first.properties["age"], second.properties["age"]) == ("北京", 30, 32)
    assert second.phones == {"$phone": "+8613800000002"}
    assert first.sources["age"].startswith(f"k:{key_id}:")
    # When one is removed, then it is gone, and cannot be removed again
    contact_upserts.remove(first.id, by, now)
    with pytest.raises(NotFound):
        contact_upserts.remove(first.id, by, now)
