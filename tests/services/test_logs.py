"""Log lines: as text or JSON, with the ids of their request, job and run."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from smsapp.domain import log_context
from smsapp.services.platform import logs


@pytest.fixture(autouse=True)
def _ids() -> Iterator[None]:
    tokens = [(log_context.REQUEST, log_context.REQUEST.set("a1b2c3d4")), (log_context.RUN, log_context.RUN.set("7"))]
    yield
    for variable, token in tokens:
        variable.reset(token)


def record(message: str, *arguments: object, exc_info: bool = False) -> logging.LogRecord:
    fault = sys.exc_info() if exc_info else None
    return logging.LogRecord("worker", logging.INFO, "x.py", 1, message, arguments, fault)


def test_a_text_line_ends_with_the_ids_there_are() -> None:
    line = logs.TextLines().format(record("job.done task=%s", "send"))
    assert line.endswith(" INFO worker job.done task=send [request=a1b2c3d4 run=7]")


def test_a_json_line_has_the_event_its_facts_and_the_ids_as_fields() -> None:
    line = json.loads(logs.JsonLines().format(record("job.done task=%s seconds=%.1f", "send", 1.25)))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "worker",
        "message": "job.done task=send seconds=1.2",
        "request": "a1b2c3d4",
        "run": "7",
        "event": "job.done",
        "task": "send",
        "seconds": "1.2",
    }


def test_a_fact_cannot_take_the_place_of_a_field() -> None:
    line = json.loads(logs.JsonLines().format(record("a.b level=FORGED request=forged run=9")))
    assert (line["level"], line["request"], line["run"]) == ("INFO", "a1b2c3d4", "7")


def test_a_line_of_a_library_is_only_a_message() -> None:
    line = json.loads(logs.JsonLines().format(record("Booting worker with pid: 5")))
    assert (line["message"], "event" in line) == ("Booting worker with pid: 5", False)


def test_an_exception_stays_on_one_line_of_json() -> None:
    try:
        raise ValueError("what")
    except ValueError:
        text = logs.JsonLines().format(record("sweep.failed", exc_info=True))
    assert "\n" not in text
    assert "ValueError: what" in json.loads(text)["exc_info"]
