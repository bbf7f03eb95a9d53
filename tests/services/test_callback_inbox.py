"""Callbacks that come at the same moment are kept together, and each is acknowledged only if it is."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask

from smsapp.channels.types import Callback
from smsapp.services.receipts import callback_inbox
from smsapp.store.receipts import inbox
from tests import builders
from tests.fakes import FakeClock
from tests.inboxes import unread

IMPOSSIBLE = b"impossible"


class Bringing:
    """Threads that wait at the door until it is opened."""

    def __init__(self, app: Flask, channel_id: int, clock: FakeClock) -> None:
        self.app, self.channel_id, self.clock = app, channel_id, clock
        self.intake = callback_inbox.opened()
        app.extensions[callback_inbox.EXTENSION] = self.intake
        self.faults: dict[bytes, str] = {}

    def _bring(self, body: bytes) -> None:
        with self.app.app_context(), suppress(SystemExit):
            try:
                callback_inbox.store(self.channel_id, [Callback("POST", "", {}, body)], self.clock.now)
            except Exception as fault:
                self.faults[body] = str(fault)

    def together(self, *bodies: bytes) -> None:
        """Bring these at the same moment."""
        everybody = [threading.Thread(target=self._bring, args=(body,)) for body in bodies]
        with self.intake.inside:
            for n, thread in enumerate(everybody, 1):
                thread.start()
                while len(self.intake.waiting) < n:  # it is on its way to the door
                    thread.join(0.001)
        for thread in everybody:
            thread.join()


@pytest.fixture
def bringing(app: Flask, clock: FakeClock) -> Bringing:
    return Bringing(app, builders.channel().id, clock)


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many callbacks each transaction was to keep."""
    counts: list[int] = []
    add = inbox.add

    def counted(connection: Any, rows: Sequence[dict[str, Any]]) -> None:
        counts.append(len(rows))
        add(connection, rows)
        if any(row["body"] == IMPOSSIBLE for row in rows):
            raise ValueError("cannot be kept")

    monkeypatch.setattr(inbox, "add", counted)
    return counts


def kept() -> list[bytes]:
    return sorted(row.body for row in unread(10))


def test_those_that_wait_together_are_kept_together(bringing: Bringing, transactions: list[int]) -> None:
    bringing.together(b"a", b"b", b"c")
    assert (transactions, kept(), bringing.faults) == ([3], [b"a", b"b", b"c"], {})


def test_one_that_cannot_be_kept_takes_no_other_with_it(bringing: Bringing, transactions: list[int]) -> None:
    bringing.together(b"a", IMPOSSIBLE, b"c")
    assert (transactions, kept()) == ([3, 1, 1, 1], [b"a", b"c"])
    assert bringing.faults == {IMPOSSIBLE: "cannot be kept"}


def test_nothing_is_acknowledged_if_whoever_was_to_keep_it_is_cut_off(
    bringing: Bringing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(inbox, "add", cut)
    bringing.together(b"a", b"b")
    assert kept() == []
    assert [*bringing.faults.values()] == ["whoever was to keep it was cut off"]
