"""Periodic tasks and their intervals. The scheduler syncs its entries with this list at start."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from smsapp.services.apps import applying, key_watch, webhook_delivery
from smsapp.services.contacts import properties
from smsapp.services.platform import failed_sign_ins
from smsapp.services.privacy import erasing
from smsapp.services.receipts import consumer, polling
from smsapp.services.sending import opt_out_confirmations, proof_sending, single_messages


@dataclass(frozen=True)
class PeriodicTask:
    """A task that is enqueued every `every` seconds; missed times are not made up for."""

    task: str
    every: int
    queue: str = "periodic"
    if_needed: Callable[[dt.datetime], bool] | None = None
    """Asked at each of its times: False saves the job. A question costs the scheduler a query, a job a fork."""

    @property
    def job_id(self) -> str:
        """An id derived from the content: a changed entry gets another id, the old one is recognised as obsolete."""
        content = f"{self.task} {self.every} {self.queue}"
        return f"periodic-{self.task}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


PERIODIC_TASKS = (
    PeriodicTask("sweep", every=60),
    PeriodicTask("check_numbers", every=300),
    PeriodicTask("sweep_properties", every=60, if_needed=properties.has_work),
    # Every callback and upload enqueues its own; these cover an enqueue that was lost.
    PeriodicTask("keep_reading", every=5, queue="receipts", if_needed=consumer.has_work),
    PeriodicTask("apply_uploads", every=5, queue="uploads", if_needed=applying.has_work),
    PeriodicTask("plan_messages", every=5, queue="send", if_needed=single_messages.has_work),
    PeriodicTask("watch_keys", every=60, if_needed=key_watch.has_work),
    PeriodicTask("forget_key_tallies", every=3600),
    PeriodicTask("ask_providers", every=10, queue="receipts", if_needed=polling.has_work),
    PeriodicTask("query_unconfirmed", every=300),
    PeriodicTask("purge_old", every=21_600),
    PeriodicTask("trim_unmatched", every=600),
    PeriodicTask("ask_balances", every=3600),
    PeriodicTask("forget_calls", every=600),
    PeriodicTask("sync_templates", every=3600),
    PeriodicTask("confirm_opt_outs", every=60, if_needed=opt_out_confirmations.has_work),
    PeriodicTask("send_proofs", every=5, if_needed=proof_sending.has_work),
    PeriodicTask("erase_people", every=60, if_needed=erasing.has_work),
    # Every event enqueues its own; this covers an enqueue that was lost, and tries that are due again.
    PeriodicTask("deliver_webhooks", every=5, if_needed=webhook_delivery.has_work),
    PeriodicTask("log_failed_sign_ins", every=60, if_needed=failed_sign_ins.has_work),
)
