"""Periodic tasks and their intervals. The scheduler syncs its entries with this list at start."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class PeriodicTask:
    """A task that is enqueued every `every` seconds; missed times are not made up for."""

    task: str
    every: int
    queue: str = "periodic"

    @property
    def job_id(self) -> str:
        """An id derived from the content: a changed entry gets another id, the old one is recognised as obsolete."""
        content = f"{self.task} {self.every} {self.queue}"
        return f"periodic-{self.task}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


PERIODIC_TASKS = (
    PeriodicTask("sweep", every=60),
    PeriodicTask("sweep_properties", every=60),
    # Every callback enqueues it; this covers an enqueue that was lost.
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
