"""Every metric of /metrics: name, type, labels and meaning. docs/monitoring.md has the same table.

Labels have few values, which nobody outside can add to, and none is a phone number or a secret: a channel's is its id.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class MetricType(enum.StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """`name` without the prefix smsapp_ and, of a counter, without _total."""

    name: str
    labels: tuple[str, ...]
    help: str
    type: MetricType = MetricType.GAUGE

    @property
    def full_name(self) -> str:
        """The name as Prometheus shows it; a histogram's have _bucket, _sum and _count at the end."""
        return PREFIX + self.name + ("_total" if self.type is MetricType.COUNTER else "")


PREFIX = "smsapp_"
REQUEST_SECONDS = Metric(
    "web_request_seconds",
    ("area", "status"),
    "Duration of web requests until the answer begins; area is the first part of the address, status 2xx to 5xx.",
    MetricType.HISTOGRAM,
)
GATHERED = (
    Metric("database_up", (), "1 if the database answers."),
    Metric("schema_usable", (), "1 if this version can run with the database's schema."),
    Metric("redis_up", (), "1 if Redis answers."),
    Metric("redis_takes_writes", (), "1 if Redis takes writes: it is neither full nor a read-only replica."),
    Metric("scheduler_up", (), "1 if a scheduler is awake."),
    Metric("workers", ("queue",), "Workers that listen on a queue."),
    Metric("queue_jobs", ("queue",), "Jobs that wait for a worker."),
    Metric("queue_failed_jobs", ("queue",), "Jobs that ended with an exception within the last day."),
    Metric("sweep_age_seconds", (), "Time since the last sweep ended."),
    Metric(
        "campaign_overdue_seconds", (), "How long the oldest campaign that is due has waited for its start; else 0."
    ),
    Metric("runs", ("state",), "Runs that are not finished."),
    Metric("runs_held", ("reason",), "Runs that wait, by hold reason."),
    Metric("messages_unconfirmed", (), "Messages of which nobody knows whether they left and nobody has decided."),
    Metric("inbox_unread_callbacks", (), "Stored callbacks that nobody has read, counted up to 50,000."),
    Metric("inbox_oldest_seconds", (), "Age of the oldest unread callback; 0 if there is none."),
    Metric("numbers_off", ("check",), "Sums that differed in the last check: latest (200 runs), verify (everything)."),
    Metric("numbers_checked_seconds", ("check",), "Time since that check."),
    Metric("channel_info", ("channel", "name", "kind"), "1 for each active channel: its id, name and kind."),
    Metric("channel_rate_limit", ("channel",), "Messages a second that a channel may be given."),
    Metric("channel_rate", ("channel",), "Messages a second that it was given within the last five seconds."),
    Metric("channel_learned_rate", ("channel",), "Its learned pace, if its provider has asked to slow down."),
    Metric("channel_balance_low", ("channel",), "1 if the account's balance is below its limit for warnings."),
    Metric("channel_unheld", ("channel",), "1 if no process holds the connection that the channel needs."),
    Metric(
        "channel_messages",
        ("channel", "result", "reason"),
        "Messages that were answered, by result and, of failures, reason; results but ok and refused are errors.",
        MetricType.COUNTER,
    ),
    Metric(
        "up_records",
        ("kind",),
        "Profile records brought to /up by AppKeys of a kind; begins again at midnight of DEFAULT_ZONE.",
        MetricType.COUNTER,
    ),
    Metric(
        "up_new_contacts", ("kind",), "Contacts created that way; begins again at the same time.", MetricType.COUNTER
    ),
    Metric("up_bytes", ("kind",), "Bytes brought that way; begins again at the same time.", MetricType.COUNTER),
    Metric("disk_free_bytes", (), "Free on the disk of the instance folder."),
)
METRICS = (*GATHERED, REQUEST_SECONDS)
