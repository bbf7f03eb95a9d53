"""How much an AppKey may bring, and when the count begins anew."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain.quota import Measure, limits, window
from smsapp.domain.trust import KeyKind

PUBLIC = {Measure.REQUESTS: 60, Measure.RECORDS: 1000}


@pytest.mark.parametrize(("kind", "times"), [(KeyKind.SERVER, 10), (KeyKind.APP, 1), (KeyKind.BROWSER, 1)])
def test_a_server_key_may_bring_ten_times_as_much(kind: KeyKind, times: int) -> None:
    assert limits(kind, PUBLIC) == {Measure.REQUESTS: 60 * times, Measure.RECORDS: 1000 * times}


@pytest.mark.parametrize(
    ("measure", "now", "zone", "expected"),
    [
        (Measure.REQUESTS, "2026-03-02T02:05:00", "Asia/Shanghai", ("0205", 60)),
        (Measure.REQUESTS, "2026-03-02T02:05:59", "Asia/Shanghai", ("0205", 1)),
        (Measure.RECORDS, "2026-03-02T02:00:00", "Asia/Shanghai", ("20260302", 14 * 3600)),
        (Measure.RECORDS, "2026-03-02T15:59:59", "Asia/Shanghai", ("20260302", 1)),
        (Measure.RECORDS, "2026-03-02T15:59:59.900000", "Asia/Shanghai", ("20260302", 1)),
        (Measure.NEW_CONTACTS, "2026-03-02T16:00:00", "Asia/Shanghai", ("20260303", 24 * 3600)),
        (Measure.BYTES, "2026-03-02T16:00:00", "UTC", ("20260302", 8 * 3600)),
        (Measure.BYTES, "2026-03-02T16:20:30.500000", "UTC", ("20260302", 7 * 3600 + 39 * 60 + 29)),
        (Measure.BYTES, "2026-02-28T22:30:00", "UTC", ("20260228", 5400)),
    ],
)
def test_requests_are_counted_by_the_minute_and_all_else_by_the_local_day(
    measure: Measure, now: str, zone: str, expected: tuple[str, int]
) -> None:
    moment = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC)
    assert window(measure, moment, zone) == expected
