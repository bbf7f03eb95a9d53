"""Calls over HTTP: the one client of all adapters, its answers, and the guard of the addresses it may call."""

from smsapp.channels.http.answers import STATUSES, HttpAnswer, raise_for_status, retry_after
from smsapp.channels.http.client import HttpClient, RecordStatuses
from smsapp.channels.http.guard import Guard, literal

__all__ = [
    "STATUSES",
    "Guard",
    "HttpAnswer",
    "HttpClient",
    "RecordStatuses",
    "literal",
    "raise_for_status",
    "retry_after",
]
