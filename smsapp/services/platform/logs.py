"""Log lines of every process: as text or JSON, each with the ids of its request, job and run."""

from __future__ import annotations

import datetime as dt
import logging
import re
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from smsapp.domain import log_context

EVENT = re.compile(r"[a-z_]+\.[a-z_]+(?= |$)", re.ASCII)
FACT = re.compile(r"(?<= )([a-z_]+)=(\S*)", re.ASCII)


class TextLines(logging.Formatter):
    """`2026-03-02 10:00:00,000 INFO worker job.done task=send [request=.. job=.. run=..]`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s%(ids)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, its ids at the end."""
        ids = " ".join(f"{name}={value}" for name, value in log_context.ids().items())
        record.ids = f" [{ids}]" if ids else ""
        return super().format(record)


class JsonLines(JsonFormatter):
    """One JSON object a line: time, level, logger, message, the ids, and of our own events their names and facts."""

    def __init__(self) -> None:
        super().__init__(["message"], json_ensure_ascii=False)

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill in the object."""
        log_data["time"] = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        log_data["level"], log_data["logger"] = record.levelname, record.name
        log_data |= log_context.ids()
        super().add_fields(log_data, record, message_dict)
        if event := EVENT.match(record.message):
            log_data["event"] = event[0]
            for name, value in FACT.findall(record.message):
                log_data.setdefault(name, value)


def set_up(level: str, form: str) -> None:
    """Have this process write its log lines to standard error, unless it does already; `form` is "text" or "json"."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root.addHandler(handler)
    root.setLevel(level)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
