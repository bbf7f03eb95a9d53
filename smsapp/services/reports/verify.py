"""Verifies the numbers: compares every stored sum with its rows.

| stored sum | must be |
|---|---|
| `run.planned`, `run.target` | messages; messages and exclusions |
| `tally`, each state and reason | its messages, or its exclusions; queued ones by their batch |
| `tally` `was_..` of a run that repeats another | where its people are in that one |
| `run.parts` | the sum of the parts of accepted messages, each of which has some |
| cost | is not stored: parts times the price frozen with the run |
| a campaign's numbers | are not stored: the sum over its runs' tallies, whose identities hold |
| `batch.state`, `claim` | a done one has nothing queued; a claimed one has a claim; none is open once the run is over |
| `receipt_bucket` "delivered" | messages by the moment of that receipt |
| `receipt_bucket` "undelivered" | at least these: some are delivered later |
| `channel_hour` | at least the messages answered in that hour: tests and messages sent again count, too |
| `unknown_code` | at least the messages that failed of the code |
| `import.refused` | at least the refused rows kept |
| `segment.size` | at least the members: people may have been deleted since |

Of runs whose single messages were removed only the identities are left.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain.funnel import broken_identities
from smsapp.domain.message import Status
from smsapp.services.campaigns import campaigns
from smsapp.store import last_checks
from smsapp.store.db import current_session
from smsapp.store.receipts import codes
from smsapp.store.runs import funnels, recount, retries, runs
from smsapp.store.runs.recount import RunRows
from smsapp.store.runs.runs import Run


@dataclass(frozen=True)
class Check:
    """The differences of some stored sums from their rows; `run_id` is 0 for sums that belong to no run."""

    where: str
    broken: Sequence[str]
    run_id: int = 0


@dataclass
class _Channels:
    """The counts of the runs' rows by channel, added up."""

    answered: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(channel, hour)"""
    unknown: dict[int, Counter[str]] = field(default_factory=dict)

    def add(self, channel_id: int, rows: RunRows) -> None:
        self.answered.update({(channel_id, hour): n for hour, n in rows.answered.items()})
        self.unknown.setdefault(channel_id, Counter()).update(rows.unknown)


def note_all(off: int, now: dt.datetime) -> None:
    """Note for monitoring that everything was verified, and how many places are off."""
    last_checks.note(last_checks.Check.VERIFY, now, off)


def verify(campaign_id: int | None = None) -> Iterator[Check]:
    """Yield one check per run, oldest first, then, if no campaign is given, those of channels, imports and segments."""
    run_ids = runs.all_ids(current_session(), None if campaign_id is None else campaigns.get(campaign_id).id)
    channels = _Channels()
    for run_id in run_ids:
        run = current_session().get_one(Run, run_id, populate_existing=True)
        yield Check(f"campaign {run.campaign_id} run {run_id}", _of_run(run, channels), run_id)
        current_session().commit()
    if campaign_id is None:
        yield from _of_no_run(channels)
        current_session().commit()


def _of_run(run: Run, channels: _Channels) -> list[str]:
    funnel = funnels.run_funnels(current_session(), [run.id])[run.id]
    broken = broken_identities(funnel)
    if run.forgotten_at:
        return broken
    rows, stored = recount.of_run(current_session(), run.id), recount.tallies(current_session(), run.id)
    channels.add(run.channel_id, rows)
    broken += _differing("planned", run.planned, rows.planned)
    for state, reason in sorted({*stored, *rows.tallies}):
        broken += _differing(f"{state} {reason}".strip(), stored[state, reason], rows.tallies[state, reason])
    broken += _differing("parts", run.parts, rows.parts)
    if rows.without_parts:
        broken.append(f"accepted without parts: {rows.without_parts}")
    broken += _repeated(run)
    broken += recount.broken_batches(current_session(), run)
    buckets = recount.buckets(current_session(), run.id)
    delivered = buckets.get(Status.DELIVERED.name.lower(), Counter())
    for at in sorted({*delivered, *rows.delivered}):
        broken += _differing(f"delivered receipts at {at}", delivered[at], rows.delivered[at])
    return broken + _too_few("undelivered receipts at", buckets.get("undelivered", {}), rows.undelivered)


def _repeated(run: Run) -> list[str]:
    """Compare the stored states of a run's people in the run it repeats with their rows there."""
    if run.repeats is None:
        return []
    stored = retries.stored_earlier(current_session(), run.id)
    rows = retries.count_earlier(current_session(), run.id, run.repeats)
    return [
        line
        for state, reason in sorted({*stored, *rows})
        for line in _differing(f"{state} {reason}".strip(), stored[state, reason], rows[state, reason])
    ]


def _of_no_run(channels: _Channels) -> Iterator[Check]:
    """Compare what is stored per channel, import and segment."""
    hours = recount.hours(current_session())
    kept_since = min((hour for _channel, hour in hours), default=None)
    for channel_id, counted in _by_channel(channels.answered).items():
        stored_hours = {hour: n for (owner_id, hour), n in hours.items() if owner_id == channel_id}
        recent = {hour: n for hour, n in counted.items() if kept_since is not None and hour >= kept_since}
        yield Check(f"channel {channel_id}", _too_few("answered in hour", stored_hours, recent))
    stored_codes = recount.codes(current_session())
    for channel_id, unknown in channels.unknown.items():
        stored = stored_codes.get(channel_id, {})
        unlisted = Counter({code: n for code, n in unknown.items() if code not in stored})
        listed = {code: n for code, n in unknown.items() if code in stored}
        together = {codes.OTHERS: sum(unlisted.values())} if unlisted else {}
        yield Check(f"channel {channel_id}", _too_few("code", stored, listed | together))
    for noun, what, sums in (
        ("import", "refused", recount.imports(current_session())),
        ("segment", "size", recount.segments(current_session())),
    ):
        for key, (stored_sum, n) in sums.items():
            yield Check(f"{noun} {key}", _too_few(what, {"": stored_sum}, {"": n}))


def _by_channel(answered: Mapping[tuple[int, int], int]) -> dict[int, dict[int, int]]:
    hours_by_channel: dict[int, dict[int, int]] = {}
    for (channel_id, hour), n in answered.items():
        hours_by_channel.setdefault(channel_id, {})[hour] = n
    return hours_by_channel


def _differing(what: str, stored: int, rows: int) -> list[str]:
    return [] if stored == rows else [f"{what}: stored {stored} != rows {rows}"]


def _too_few(what: str, stored: Mapping[Any, int], rows: Mapping[Any, int]) -> list[str]:
    """Return a line per key with a smaller stored sum than number of rows."""
    return [
        f"{what} {key}".strip() + f": stored {stored.get(key, 0)} < rows {n}"
        for key, n in sorted(rows.items())
        if stored.get(key, 0) < n
    ]
