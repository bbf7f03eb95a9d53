"""What a schedule of a kind has, and what only others have."""

from __future__ import annotations

from dataclasses import replace

from smsapp.domain.schedule import Kind, Schedule


def of_its_kind(schedule: Schedule) -> Schedule:
    """Return a schedule without what only other kinds have, which counts for nothing."""
    is_now, kind = schedule.kind is Kind.NOW, schedule.kind
    return replace(
        schedule,
        time=None if is_now else schedule.time,
        start=None if is_now else schedule.start,
        end=schedule.end if schedule.recurring else None,
        weekdays=tuple(sorted(schedule.weekdays)) if kind is Kind.WEEKLY else (),
        monthdays=tuple(sorted(schedule.monthdays)) if kind is Kind.MONTHLY else (),
        until_date=schedule.until_date if schedule.until and not schedule.recurring else None,
        skipped=schedule.skipped if schedule.recurring else (),
    )
