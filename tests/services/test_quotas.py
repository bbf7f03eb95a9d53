"""Quotas of AppKeys: what one may bring, over all web processes, with Redis and without."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import time
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.quota import Measure
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, applying, quotas, uploads
from smsapp.services.apps.uploads import Answer
from smsapp.services.contacts import contacts
from smsapp.services.platform.audit_log import Actor
from smsapp.store import queue
from smsapp.store.apps import quotas as stored_quotas
from smsapp.store.apps.app_keys import AppKey

pytestmark = pytest.mark.parametrize("config", ["sqlite"], indirect=True)
LIMITS = {Measure.REQUESTS: 5, Measure.RECORDS: 10, Measure.NEW_CONTACTS: 3, Measure.BYTES: 5_000}


@pytest.fixture
def key(app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> AppKey:
    monkeypatch.setattr(quotas, "public_limits", lambda: LIMITS)
    monkeypatch.setattr(uploads, "LINGER", 0.0)
    return app_keys.create("Site", KeyKind.BROWSER, Actor("test"), now)


def upload(app: Flask, key: AppKey, now: dt.datetime, *xwhos: str, what: str = "$profile_set", a: Any = 1) -> Answer:
    """Report something about these people, as a browser whose requests any web process gets."""
    records = [{"appid": key.key, "xwho": xwho, "xwhat": what, "xcontext": {"a": a}} for xwho in xwhos]
    return uploads.take(json.dumps(records).encode(), "", now)


def another_process(app: Flask) -> None:
    app.extensions.pop(uploads.EXTENSION, None)


def look(app: Flask) -> None:
    """Let half a second pass for this process."""
    app.extensions[uploads.EXTENSION].meter._look_at = float("-inf")


def test_requests_in_a_minute_are_counted_whatever_they_bring(app: Flask, key: AppKey, now: dt.datetime) -> None:
    answers = [upload(app, key, now, "u", what="$pageview") for _ in range(6)]
    assert [answer.code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].retry_after == 60
    assert upload(app, key, now + dt.timedelta(minutes=1), "u").code == 200


def test_a_request_whose_key_stands_behind_a_long_blank_is_counted_once_like_any_other(
    app: Flask, key: AppKey, now: dt.datetime
) -> None:
    record = json.dumps({"appid": key.key, "xwho": "u", "xwhat": "$pageview", "xcontext": {}})
    body = gzip.compress(f"[{' ' * 80_000}{record}]".encode())
    assert [uploads.take(body, "", now).code for _ in range(6)] == [200] * 5 + [429]


def test_records_of_a_day_are_counted_and_a_request_beyond_them_is_refused_whole(
    app: Flask, key: AppKey, now: dt.datetime
) -> None:
    assert upload(app, key, now, *"abcdefgh").code == 200
    refused = upload(app, key, now, *"abc")
    assert (refused.code, refused.status) == (429, 429)
    assert refused.retry_after == 14 * 3600  # it is ten in the morning
    assert upload(app, key, now, *"ab").code == 200
    assert applying.apply_waiting(now).applied + len(contacts.bad_records(reason="quota")) == 10
    assert upload(app, key, now + dt.timedelta(days=1), "a").code == 200


def test_bytes_of_a_day_are_counted(app: Flask, key: AppKey, now: dt.datetime) -> None:
    assert upload(app, key, now, "u", a="x" * 4_800).code == 200
    assert upload(app, key, now, "u", a="x" * 4_800).code == 429


def test_processes_count_together(app: Flask, key: AppKey, now: dt.datetime) -> None:
    codes = []
    for _ in range(6):
        another_process(app)
        codes.append(upload(app, key, now, "u", what="$pageview").code)
        look(app)
        app.extensions[uploads.EXTENSION].meter._refresh(force=False)
    assert codes.count(429) >= 1
    another_process(app)
    upload(app, key, now, "u", what="$pageview")
    look(app)
    assert upload(app, key, now, "u", what="$pageview").code == 429


def test_without_redis_each_process_keeps_to_its_share(
    app: Flask, key: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_given: object) -> None:
        raise queue.QueueDown

    monkeypatch.setattr(stored_quotas, "add", away)
    codes = []
    for _ in range(4):
        codes.append(upload(app, key, now, "u", what="$pageview").code)
        look(app)
    # Two web processes share five requests.
    assert codes == [200, 200, 429, 429]


def test_a_server_key_may_bring_ten_times_as_much(app: Flask, key: AppKey, now: dt.datetime) -> None:
    server = app_keys.create("Server", KeyKind.SERVER, Actor("test"), now)
    codes = [upload(app, server, now, "u", what="$order").code for _ in range(51)]
    assert codes == [200] * 50 + [429]


def test_new_contacts_of_a_day_are_bounded_even_for_what_was_acknowledged(
    app: Flask, key: AppKey, now: dt.datetime
) -> None:
    # given somebody who reports eight people nobody knows in one request
    assert upload(app, key, now, *"abcdefgh").code == 200

    # then so many as the key may bring come in, and the others are told
    report = applying.apply_waiting(now)
    assert (report.applied, report.refused) == (3, 5)
    assert [bad.facts["limit"] for bad in contacts.bad_records(reason="quota")] == [3] * 5

    # and the next request is refused
    look(app)
    assert upload(app, key, now, "z").code == 429


def test_what_a_key_has_used_is_shown(app: Flask, key: AppKey, now: dt.datetime) -> None:
    upload(app, key, now, *"ab")
    applying.apply_waiting(now)
    look(app)
    upload(app, key, now, "a")
    look(app)
    app.extensions[uploads.EXTENSION].meter._refresh(force=False)
    used = {usage.measure: (usage.used, usage.limit) for usage in quotas.usage(key.id, KeyKind.BROWSER, now)}
    assert used[Measure.REQUESTS] == (2, 5)
    assert used[Measure.RECORDS] == (3, 10)
    assert used[Measure.NEW_CONTACTS] == (2, 3)
    assert used[Measure.BYTES][0] > 100


def test_a_small_gzipped_body_brings_no_flood_of_contacts(
    app: Flask, key: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "public_limits", lambda: dict.fromkeys(Measure, 10**9) | {Measure.NEW_CONTACTS: 3})
    many = [{"appid": key.key, "xwho": f"u{n}", "xwhat": "$profile_set", "xcontext": {"a": 1}} for n in range(3_000)]
    body = gzip.compress(json.dumps(many).encode())
    assert uploads.take(body, "", now).code == 200
    report = applying.apply_waiting(now)
    assert (report.applied, report.refused) == (3, 2_997)
    look(app)
    assert uploads.take(body, "", now).code == 429


def test_a_large_request_looks_at_the_shared_counters_once_a_limit_is_near(
    app: Flask, key: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two web processes, and a limit of 1,000 records of which 100 are used
    monkeypatch.setattr(quotas, "public_limits", lambda: dict.fromkeys(Measure, 10**9) | {Measure.RECORDS: 1_000})
    hundred = [f"u{n}" for n in range(100)]
    looks: list[int] = []
    add = stored_quotas.add

    def counted(counters: Any) -> Any:
        looks.append(1)
        return add(counters)

    monkeypatch.setattr(stored_quotas, "add", counted)
    assert upload(app, key, now, *hundred).code == 200
    look(app)
    app.extensions[uploads.EXTENSION].meter._refresh(force=False)
    looks.clear()

    # when this process goes on, its half of the other 900 can be nobody else's
    meter = app.extensions[uploads.EXTENSION].meter
    meter._look_at = float("inf")
    assert [upload(app, key, now, *hundred).code for _ in range(4)] == [200] * 4
    assert not looks

    # then beyond it each request looks first, until it is known that nothing is left; what others have brought counts
    another_process(app)
    assert [upload(app, key, now, *hundred).code for _ in range(3)] == [200] * 3
    app.extensions[uploads.EXTENSION].meter._refresh(force=True)
    app.extensions[uploads.EXTENSION].meter = meter
    looks.clear()
    assert [upload(app, key, now, *hundred).code for _ in range(4)] == [200, 200, 429, 429]
    assert len(looks) == 2


def test_a_key_that_this_process_has_not_met_is_looked_up_first(app: Flask, key: AppKey, now: dt.datetime) -> None:
    # given a process that has looked a moment ago, for another key, and one that has used up this key's records
    other = app_keys.create("Other", KeyKind.BROWSER, Actor("test"), now)
    assert upload(app, other, now, "a").code == 200
    here = app.extensions[uploads.EXTENSION]
    here.meter._look_at = float("inf")
    another_process(app)
    assert upload(app, key, now, *"abcdefghij").code == 200
    look(app)
    app.extensions[uploads.EXTENSION].meter._refresh(force=False)
    app.extensions[uploads.EXTENSION] = here
    # then a large request is refused
    assert upload(app, key, now, *[f"u{n}" for n in range(100)]).code == 429


def test_who_is_refused_waits_a_moment_but_few_at_a_time(
    app: Flask, key: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setattr(uploads, "LINGER", 0.25)
    assert [upload(app, key, now, "u", what="$pageview").code for _ in range(5)] == [200] * 5
    assert waited == []

    # when a quota is used up, whether the address names the key or a record does
    assert upload(app, key, now, "u").code == 429
    refusal = uploads.refusal(key.key, now)
    assert refusal is not None
    assert refusal.code == 429
    assert waited == [0.25, 0.25]

    # then no more wait than there are places, which are given back
    door = app.extensions[uploads.EXTENSION]
    for _ in range(uploads.MOST_LINGERING):
        assert door.lingering.acquire(blocking=False)
    assert upload(app, key, now, "u").code == 429
    assert len(waited) == 2
