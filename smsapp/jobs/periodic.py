"""Chores that come back: what is rung how often. The scheduler brings its entries in line with this list at start."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class PeriodicTask:
    """A task rung every `every` seconds on a queue; missed rings are not made up for."""

    task: str
    every: int
    queue: str = "periodic"

    @property
    def job_id(self) -> str:
        """An id made from the content: a changed periodic task is another one, and the old one is recognised as
        forgotten."""
        content = f"{self.task} {self.every} {self.queue}"
        return f"periodic-{self.task}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


PERIODIC_TASKS = (
    PeriodicTask("sweep", every=60),
    PeriodicTask("sweep_properties", every=60),
    # Every callback rings it; this is for the ring that got lost.
    PeriodicTask("keep_reading", every=5, queue="receipts"),
    PeriodicTask("apply_uploads", every=5, queue="uploads"),
    PeriodicTask("ask_providers", every=10, queue="receipts"),
    PeriodicTask("query_unconfirmed", every=300),
    PeriodicTask("forget_bad_records", every=21_600),
    PeriodicTask("forget_callbacks", every=21_600),
    PeriodicTask("delete_old_unmatched", every=600),
    PeriodicTask("forget_messages", every=21_600),
    PeriodicTask("ask_balances", every=3600),
    PeriodicTask("forget_calls", every=600),
    PeriodicTask("sync_templates", every=3600),
    PeriodicTask("confirm_opt_outs", every=60),
)
