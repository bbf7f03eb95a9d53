"""A simulated provider: produces every outcome, by magic numbers and by configured rates. Nothing is sent anywhere.

The scenario of a message depends only on its number, the seed and our reference, so it is the same in every process and
every test. Receipts and replies are stored in an SQLite file of the channel until `pull` fetches them, so they survive
the death of a worker, as they would at a real provider.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError, OutcomeUnknown
from smsapp.channels.http import HttpClient
from smsapp.channels.simulator.scenarios import FAILURES, LATE, MAGIC, NORMAL, REFUSALS, SCENARIOS, Scenario, pick
from smsapp.channels.simulator.settings import GUIDE, SETTINGS
from smsapp.channels.types import (
    Balance,
    Callback,
    OutboundMessage,
    ProviderSignature,
    ProviderTemplate,
    Receipt,
    ReceiptStatus,
    Reply,
    SubmitRequest,
    SubmitResult,
    UnconfirmedMessage,
)
from smsapp.channels.types import msgid as _l
from smsapp.domain.errors import Problem
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import Audit, Purpose, TemplateSnapshot

PAGE = 1000


class Simulator(Channel):
    """Produces every outcome on request; receipts and replies are stored in its file until they are pulled."""

    kind = "simulator"
    worldwide = True
    label = _l("Simulator (rehearsal)")
    about = _l("Rehearses campaigns: answers, receipts and replies as you set them. Nothing is really sent.")
    quiet_hours_exempt = True
    can_query_status = True
    polls = True
    shows_callback = False
    callback_steps = (_l("Nothing needs to be set up: the simulator's receipts and replies are fetched."),)
    settings = SETTINGS
    guide = GUIDE

    clock: Callable[[], float] = staticmethod(time.time)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        values = self.values
        self.tells_balance = bool(values["balance"])
        self.lists_templates = bool(values["templates"])
        self.lists_signatures = bool(values["signatures"])
        self.per_request = values.whole("per_request")
        self.answer_seconds = values.number("answer_seconds")
        self.receipt_seconds = values.number("receipt_seconds")
        self.receipt_spread = values.number("receipt_spread")
        self.seed = values["seed"].encode()
        self._refused = values.number("refused") / 100
        self._undelivered = values.number("undelivered") / 100
        self._silent = values.number("silent") / 100
        self._opt_outs = values.number("opt_outs") / 100
        self._connection: sqlite3.Connection | None = None

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Choose a scenario for every message; the first one with an `error` makes the whole request raise it."""
        now = self.clock()
        planned = [(message, *self._scenario(message)) for message in submission.messages]
        errors = (self._error_of(message, scenario) for message, scenario, _ in planned)
        error = next(filter(None, errors), None)
        if error is None or isinstance(error, OutcomeUnknown):
            self._store(
                line
                for message, scenario, draw in planned
                for line in self._within(self._lines(message, scenario, draw, now), message, submission.valid_until)
            )
        if isinstance(error, OutcomeUnknown):
            with self._file() as file:
                refs = [(message.ref,) for message, scenario, _ in planned if scenario.receipts]
                file.executemany("INSERT OR IGNORE INTO heard (ref) VALUES (?)", refs)
        if self.answer_seconds:
            await asyncio.sleep(self.answer_seconds)
        if error is not None:
            raise error
        return [_result(message, scenario) for message, scenario, _ in planned]

    async def test_credentials(self, http: HttpClient) -> str:
        return _l("The simulator is ready; it needs no account.")

    async def balance(self, http: HttpClient) -> Balance:
        return Balance(Decimal(self.values["balance"]), "CNY")

    async def list_templates(self, http: HttpClient) -> list[ProviderTemplate]:
        return [_template(line) for line in self.values["templates"].splitlines() if line.strip()]

    async def list_signatures(self, http: HttpClient) -> list[ProviderSignature]:
        names = self.values["signatures"].replace("，", ",").split(",")
        return [ProviderSignature(name.strip(), Audit.APPROVED) for name in names if name.strip()]

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        """Return a problem for each line of templates that cannot be parsed."""
        problems = super().check(values)
        for line in values.get("templates", "").splitlines():
            try:
                _template(line or "x | approved | | x")
            except ValueError:
                problems.append(Problem("simulator_template", "templates", {"line": line[:60]}))
        return problems

    async def query_status(
        self, template: TemplateSnapshot, unconfirmed: Sequence[UnconfirmedMessage], http: HttpClient
    ) -> list[Receipt]:
        """Return a receipt for each message whose answer was cut off, except those that never get a receipt."""
        refs = json.dumps([pending.message.ref for pending in unconfirmed])
        rows = self._file().execute("SELECT ref FROM heard WHERE ref IN (SELECT value FROM json_each(?))", (refs,))
        return [Receipt(ReceiptStatus.ACCEPTED, ref) for (ref,) in rows]

    def may_have_news(self) -> bool:
        """Return whether a receipt or reply is due."""
        due = self._file().execute("SELECT 1 FROM receipt WHERE due <= ? LIMIT 1", (self.clock(),))
        return due.fetchone() is not None

    async def pull(self, http: HttpClient) -> AsyncIterator[Callback]:
        """Yield the receipts and replies that are due, 1,000 per page; reading on deletes the page before."""
        file = self._file()
        while True:
            rows = file.execute(
                "SELECT id, line FROM receipt WHERE due <= ? ORDER BY due, id LIMIT ?", (self.clock(), PAGE)
            ).fetchall()
            if not rows:
                return
            yield Callback("PULL", "", {}, ("[" + ",".join(line for _, line in rows) + "]").encode())
            with file:
                file.executemany("DELETE FROM receipt WHERE id = ?", [(row_id,) for row_id, _ in rows])

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts and replies of a pulled page; raises ValueError for any other callback."""
        if callback.method != "PULL":
            raise ValueError("the simulator is asked, it never calls")
        return [_read(line) for line in json.loads(callback.body)]

    def _scenario(self, message: OutboundMessage) -> tuple[Scenario, tuple[float, float]]:
        """Return the scenario and two numbers in 0..1 that decide when the receipt comes and whether a reply comes."""
        digest = hashlib.blake2b(message.ref.encode(), key=self.seed[:64], digest_size=12).digest()
        first = int.from_bytes(digest[:4]) / 2**32
        second = int.from_bytes(digest[4:8]) / 2**32
        third = int.from_bytes(digest[8:]) / 2**32
        if message.phone.startswith(MAGIC):
            return SCENARIOS.get(message.phone[len(MAGIC) :], NORMAL), (second, 1.0)
        if first < self._refused:
            return Scenario("", refused=pick(REFUSALS, second), receipts=()), (second, 1.0)
        # The rates below are shares of what was accepted.
        share = (first - self._refused) / ((1 - self._refused) or 1)
        if share < self._undelivered:
            reason = pick(FAILURES, third)
            return Scenario("", receipts=((ReceiptStatus.UNDELIVERED, reason, f"SIM-{reason.upper()}"),)), (second, 1.0)
        if share < self._undelivered + self._silent:
            return SCENARIOS["0004"], (second, 1.0)
        return NORMAL, (second, third)

    def _error_of(self, message: OutboundMessage, scenario: Scenario) -> ChannelError | None:
        if scenario.error is None:
            return None
        if scenario.error_once:
            with self._file() as file:
                inserted = file.execute("INSERT OR IGNORE INTO met (ref) VALUES (?)", (message.ref,)).rowcount
            if not inserted:
                return None
        return scenario.error()

    def _lines(
        self, message: OutboundMessage, scenario: Scenario, draw: tuple[float, float], now: float
    ) -> list[tuple[float, str]]:
        due = now + self.answer_seconds + self.receipt_seconds + self.receipt_spread * draw[0]
        if scenario.early:
            due = now
        if scenario.late:
            due += LATE
        lines = [
            (due + n * 0.001, _line(ref=message.ref, phone=message.phone, status=status, outcome=outcome, code=code))
            for n, (status, outcome, code) in enumerate(scenario.receipts)
        ]
        text = scenario.reply or ("TD" if draw[1] < self._opt_outs else "")
        if text:
            lines.append((due + 1, _line(phone=message.phone, text=text)))
        return lines

    def _within(
        self, lines: list[tuple[float, str]], message: OutboundMessage, valid_until: dt.datetime | None
    ) -> list[tuple[float, str]]:
        """Return the lines as they are, or one receipt "expired" if they would come after the message's limit."""
        limit = None if valid_until is None else valid_until.timestamp()
        if limit is None or not lines or lines[0][0] <= limit:
            return lines
        expired = {"status": ReceiptStatus.UNDELIVERED, "outcome": Outcome.EXPIRED, "code": "SIM-EXPIRED"}
        return [(limit, _line(ref=message.ref, phone=message.phone, **expired))]

    def _store(self, lines: Any) -> None:
        with self._file() as file:
            file.executemany("INSERT INTO receipt (due, line) VALUES (?, ?)", lines)

    def _file(self) -> sqlite3.Connection:
        if self._connection is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.folder / "simulator.db", timeout=30)
            with closing(self._connection.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode=WAL")
                cursor.execute("PRAGMA synchronous=NORMAL")
                cursor.execute("CREATE TABLE IF NOT EXISTS receipt (id INTEGER PRIMARY KEY, due REAL, line TEXT)")
                cursor.execute("CREATE INDEX IF NOT EXISTS receipt_due ON receipt (due, id)")
                cursor.execute("CREATE TABLE IF NOT EXISTS heard (ref TEXT PRIMARY KEY) WITHOUT ROWID")
                cursor.execute("CREATE TABLE IF NOT EXISTS met (ref TEXT PRIMARY KEY) WITHOUT ROWID")
        return self._connection


def _template(line: str) -> ProviderTemplate:
    """Return the template described by a line; raises ValueError."""
    code, state, purpose, text = (part.strip() for part in line.split("|", 3))
    audit, _colon, reason = state.partition(":")
    if not (code and text):
        raise ValueError("a template has a code and a text")
    parsed_purpose = Purpose(purpose) if purpose else None
    return ProviderTemplate(code, code, text, Audit(audit.strip()), parsed_purpose, reason=reason.strip())


def _result(message: OutboundMessage, scenario: Scenario) -> SubmitResult:
    if scenario.refused is not None:
        return SubmitResult(False, outcome=scenario.refused, code=f"SIM-{scenario.refused.upper()}")
    return SubmitResult(True, f"sim-{message.ref}")


def _line(**values: Any) -> str:
    return json.dumps({name: value for name, value in values.items() if value}, ensure_ascii=False)


def _read(line: dict[str, str]) -> Receipt | Reply:
    if "text" in line:
        return Reply(line["phone"], line["text"])
    outcome = Outcome(line["outcome"]) if "outcome" in line else None
    return Receipt(
        ReceiptStatus(line["status"]), line["ref"], phone=line["phone"], outcome=outcome, code=line.get("code", "")
    )
