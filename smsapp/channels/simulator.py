"""A simulated provider: produces every outcome, by magic numbers and by configured rates. Nothing is sent anywhere.

The fate of a message depends only on its number, the seed and our reference, so it is the same in every process and
every test. Receipts and replies are stored in an SQLite file of the channel until `pull` fetches them, so they survive
the death of a worker, as they would at a real provider.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import starmap
from typing import Any

from smsapp.channels._setting import Setting, Widget
from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.types import (
    Balance,
    Callback,
    GuideLine,
    OutboundMessage,
    ProviderSignature,
    ProviderTemplate,
    Receipt,
    ReceiptStatus,
    Reply,
    SubmitRequest,
    SubmitResult,
    TemplateSnapshot,
    UnconfirmedMessage,
)
from smsapp.channels.types import msgid as _l
from smsapp.domain.errors import Problem
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import Audit, Purpose

MAGIC = "+861380000"
"""The last four digits of a number with this prefix select its fate in FATES."""
LATE = 3600.0
PAGE = 1000


@dataclass(frozen=True)
class Fate:
    """What happens to one message: how the call ends, the answer, the receipts and the reply."""

    meaning: str
    refused: Outcome | None = None
    receipts: tuple[tuple[ReceiptStatus, Outcome | None, str], ...] = ((ReceiptStatus.DELIVERED, None, "DELIVRD"),)
    early: bool = False
    late: bool = False
    reply: str = ""
    trouble: Callable[[], ChannelError] | None = None
    trouble_once: bool = False
    """Raise `trouble` on the first try only; the same message is accepted when it is tried again."""


DELIVERED = (ReceiptStatus.DELIVERED, None, "DELIVRD")
UNDELIVERED = (ReceiptStatus.UNDELIVERED, Outcome.SWITCHED_OFF, "UNDELIV")
NORMAL = Fate(_l("accepted, delivered"))

TROUBLES: tuple[tuple[str, str, str, Callable[[], ChannelError]], ...] = (
    # digit, tried once, tried always, what is raised
    ("1", _l("throttled once, then accepted"), _l("throttled every time"), lambda: Throttled("SIM-429", retry_after=1)),
    (
        "2",
        _l("unreachable once, then accepted"),
        _l("unreachable every time"),
        lambda: NotSent("SIM-DOWN", outcome=Outcome.NETWORK),
    ),
    (
        "3",
        _l("credentials refused once, then accepted"),
        _l("credentials refused every time"),
        lambda: AccountError("SIM-KEY", outcome=Outcome.CREDENTIALS),
    ),
    (
        "4",
        _l("balance exhausted once, then accepted"),
        _l("balance exhausted every time"),
        lambda: AccountError("SIM-BALANCE", outcome=Outcome.BALANCE),
    ),
    (
        "5",
        _l("template refused once, then accepted"),
        _l("template refused every time"),
        lambda: AccountError("SIM-TEMPLATE", outcome=Outcome.TEMPLATE_REFUSED),
    ),
)


def cut() -> ChannelError:
    return OutcomeUnknown("SIM-CUT", outcome=Outcome.NETWORK)


FATES: dict[str, Fate] = {
    "0000": NORMAL,
    "0001": Fate(_l("delivered, the receipt comes twice"), receipts=(DELIVERED, DELIVERED)),
    "0002": Fate(_l("delivered, the receipt comes before the answer"), early=True),
    "0003": Fate(_l("delivered, the receipt comes an hour late"), late=True),
    "0004": Fate(_l("accepted, no receipt ever"), receipts=()),
    "0005": Fate(_l("first undelivered, then delivered"), receipts=(UNDELIVERED, DELIVERED)),
    "0006": Fate(_l("first delivered, then undelivered"), receipts=(DELIVERED, UNDELIVERED)),
    "0007": Fate(
        _l("undelivered with a code nobody knows"), receipts=((ReceiptStatus.UNDELIVERED, Outcome.UNKNOWN, "SIM-4711"),)
    ),
    "0008": Fate(
        _l("buffered on the way, then delivered"), receipts=((ReceiptStatus.ACCEPTED, None, "ENROUTE"), DELIVERED)
    ),
    **{f"{100 + n:04}": Fate(_l("refused:"), refused=outcome, receipts=()) for n, outcome in enumerate(Outcome, 1)},
    **{
        f"{200 + n:04}": Fate(
            _l("accepted, undelivered:"), receipts=((ReceiptStatus.UNDELIVERED, outcome, f"SIM-{outcome.upper()}"),)
        )
        for n, outcome in enumerate(Outcome, 1)
    },
    **{f"030{digit}": Fate(once, trouble=make, trouble_once=True) for digit, once, _, make in TROUBLES},
    **{f"031{digit}": Fate(always, trouble=make, receipts=()) for digit, _, always, make in TROUBLES},
    "0321": Fate(_l("cut after sending; it had arrived, a receipt proves it"), trouble=cut),
    "0322": Fate(_l("cut after sending; nothing is ever heard of it"), trouble=cut, receipts=()),
    "0401": Fate(_l("delivered, replies TD"), reply="TD"),
    "0402": Fate(_l("delivered, replies 退订"), reply="退订"),
    "0403": Fate(_l("delivered, replies Ｔ。"), reply="Ｔ。"),
    "0404": Fate(_l("delivered, replies STOP"), reply="STOP"),
    "0405": Fate(_l("delivered, replies 不要退订 (no opt-out)"), reply="不要退订"),
    "0406": Fate(_l("delivered, replies 谢谢 (no opt-out)"), reply="谢谢"),
}

FAILURES = (
    # outcomes of undelivered receipts and their weights, in the proportions seen in China
    (Outcome.SWITCHED_OFF, 45),
    (Outcome.NO_SUCH_SUBSCRIBER, 25),
    (Outcome.BLOCKED_BY_CARRIER, 15),
    (Outcome.SUSPENDED, 10),
    (Outcome.UNKNOWN, 5),
)
REFUSALS = (
    # outcomes of refusals and their weights; without OPTED_OUT, which would put numbers on our opt-out list by chance
    (Outcome.BAD_NUMBER, 40),
    (Outcome.FREQUENCY_LIMIT, 30),
    (Outcome.BLOCKED_BY_CARRIER, 20),
    (Outcome.CONTENT_REFUSED, 10),
)

ANSWERS, RECEIPTS, REPLIES, TEMPLATES = _l("Answers"), _l("Receipts"), _l("Replies"), _l("SMS templates")


def _percent(name: str, label: str, default: str, section: str, hint: str = "") -> Setting:
    return Setting(name, label, Widget.NUMBER, default, True, hint, low=0, high=100, section=section, whole=False)


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
    settings = (
        _percent("refused", _l("Refused, %"), "1", ANSWERS, _l("Share of messages refused at once.")),
        Setting(
            "answer_seconds",
            _l("Answer after, seconds"),
            Widget.NUMBER,
            "0",
            True,
            _l("How long the simulator thinks before it answers a request."),
            low=0,
            high=60,
            section=ANSWERS,
            whole=False,
        ),
        Setting(
            "balance",
            _l("Balance"),
            Widget.NUMBER,
            hint=_l("Balance of the simulated account; empty if it tells none."),
            low=0,
            high=1_000_000,
            section=ANSWERS,
            whole=False,
        ),
        Setting(
            "per_request",
            _l("Messages per request"),
            Widget.NUMBER,
            "100",
            True,
            _l("Most messages one request carries."),
            low=1,
            high=1000,
            section=ANSWERS,
        ),
        _percent(
            "undelivered", _l("Undelivered, %"), "3", RECEIPTS, _l("Share of accepted messages that do not arrive.")
        ),
        _percent("silent", _l("No receipt, %"), "1", RECEIPTS, _l("Share of accepted messages nothing is heard of.")),
        Setting(
            "receipt_seconds",
            _l("Receipts after, seconds"),
            Widget.NUMBER,
            "2",
            True,
            low=0,
            high=86400,
            section=RECEIPTS,
            whole=False,
        ),
        Setting(
            "receipt_spread",
            _l("Receipts spread over, seconds"),
            Widget.NUMBER,
            "8",
            True,
            _l("Receipts come evenly within this time after the first one."),
            low=0,
            high=86400,
            section=RECEIPTS,
            whole=False,
        ),
        _percent("opt_outs", _l("Replies TD, %"), "0.2", REPLIES, _l("Share of delivered messages answered with TD.")),
        Setting(
            "templates",
            _l("Templates of the simulated account"),
            Widget.LONG_TEXT,
            hint=_l(
                "One a line: code | approved, pending, refused: reason | marketing, notification, verification or "
                "nothing | 【signature】text. Change or remove a line and sync, to rehearse what a provider does."
            ),
            section=TEMPLATES,
        ),
        Setting(
            "signatures",
            _l("Signatures of the simulated account"),
            hint=_l("Approved ones, separated by commas."),
            section=TEMPLATES,
        ),
        Setting(
            "seed",
            _l("Seed"),
            default="1",
            section=REPLIES,
            hint=_l("Another seed draws other fates for the same messages."),
        ),
    )
    guide = tuple(
        GuideLine(f"138 0000 {digits}", fate.meaning, fate.refused or (fate.receipts and fate.receipts[0][1]) or None)
        if digits[1] in "12"
        else GuideLine(f"138 0000 {digits}", fate.meaning)
        for digits, fate in FATES.items()
    )

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
        self._kept: sqlite3.Connection | None = None

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Decide every message's fate; the first one with a `trouble` makes the whole request raise it."""
        now = self.clock()
        fated = [(message, *self._fate(message)) for message in submission.messages]
        trouble = next((error for message, fate, _ in fated if (error := self._trouble(message, fate))), None)
        arrived = trouble is None or isinstance(trouble, OutcomeUnknown)
        if arrived:
            self._keep(line for message, fate, draw in fated for line in self._news(message, fate, draw, now))
        if isinstance(trouble, OutcomeUnknown):
            with self._file() as file:
                refs = [(message.ref,) for message, fate, _ in fated if fate.receipts]
                file.executemany("INSERT OR IGNORE INTO heard (ref) VALUES (?)", refs)
        if self.answer_seconds:
            await asyncio.sleep(self.answer_seconds)
        if trouble is not None:
            raise trouble
        return list(starmap(_answer, ((message, fate) for message, fate, _ in fated)))

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

    def _fate(self, message: OutboundMessage) -> tuple[Fate, tuple[float, float]]:
        """Return the fate and two numbers in 0..1 that decide when the receipt comes and whether a reply comes."""
        digest = hashlib.blake2b(message.ref.encode(), key=self.seed[:64], digest_size=12).digest()
        first = int.from_bytes(digest[:4]) / 2**32
        second = int.from_bytes(digest[4:8]) / 2**32
        third = int.from_bytes(digest[8:]) / 2**32
        if message.phone.startswith(MAGIC):
            return FATES.get(message.phone[len(MAGIC) :], NORMAL), (second, 1.0)
        if first < self._refused:
            return Fate("", refused=_pick(REFUSALS, second), receipts=()), (second, 1.0)
        # The rates below are shares of what was accepted.
        share = (first - self._refused) / ((1 - self._refused) or 1)
        if share < self._undelivered:
            reason = _pick(FAILURES, third)
            return Fate("", receipts=((ReceiptStatus.UNDELIVERED, reason, f"SIM-{reason.upper()}"),)), (second, 1.0)
        if share < self._undelivered + self._silent:
            return FATES["0004"], (second, 1.0)
        return NORMAL, (second, third)

    def _trouble(self, message: OutboundMessage, fate: Fate) -> ChannelError | None:
        if fate.trouble is None:
            return None
        if fate.trouble_once:
            with self._file() as file:
                inserted = file.execute("INSERT OR IGNORE INTO met (ref) VALUES (?)", (message.ref,)).rowcount
            if not inserted:
                return None
        return fate.trouble()

    def _news(
        self, message: OutboundMessage, fate: Fate, draw: tuple[float, float], now: float
    ) -> list[tuple[float, str]]:
        due = now + self.answer_seconds + self.receipt_seconds + self.receipt_spread * draw[0]
        if fate.early:
            due = now
        if fate.late:
            due += LATE
        lines = [
            (due + n * 0.001, _line(ref=message.ref, phone=message.phone, status=status, outcome=outcome, code=code))
            for n, (status, outcome, code) in enumerate(fate.receipts)
        ]
        text = fate.reply or ("TD" if draw[1] < self._opt_outs else "")
        if text:
            lines.append((due + 1, _line(phone=message.phone, text=text)))
        return lines

    def _keep(self, lines: Any) -> None:
        with self._file() as file:
            file.executemany("INSERT INTO receipt (due, line) VALUES (?, ?)", lines)

    def _file(self) -> sqlite3.Connection:
        if self._kept is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._kept = sqlite3.connect(self.folder / "simulator.db", timeout=30)
            with closing(self._kept.cursor()) as cursor:
                cursor.execute("PRAGMA journal_mode=WAL")
                cursor.execute("PRAGMA synchronous=NORMAL")
                cursor.execute("CREATE TABLE IF NOT EXISTS receipt (id INTEGER PRIMARY KEY, due REAL, line TEXT)")
                cursor.execute("CREATE INDEX IF NOT EXISTS receipt_due ON receipt (due, id)")
                cursor.execute("CREATE TABLE IF NOT EXISTS heard (ref TEXT PRIMARY KEY) WITHOUT ROWID")
                cursor.execute("CREATE TABLE IF NOT EXISTS met (ref TEXT PRIMARY KEY) WITHOUT ROWID")
        return self._kept


def _template(line: str) -> ProviderTemplate:
    """Return the template described by a line; raises ValueError."""
    code, state, purpose, text = (part.strip() for part in line.split("|", 3))
    audit, _colon, reason = state.partition(":")
    if not (code and text):
        raise ValueError("a template has a code and a text")
    parsed_purpose = Purpose(purpose) if purpose else None
    return ProviderTemplate(code, code, text, Audit(audit.strip()), parsed_purpose, reason=reason.strip())


def _answer(message: OutboundMessage, fate: Fate) -> SubmitResult:
    if fate.refused is not None:
        return SubmitResult(False, outcome=fate.refused, code=f"SIM-{fate.refused.upper()}")
    return SubmitResult(True, f"sim-{message.ref}")


def _pick(choices: tuple[tuple[Outcome, int], ...], draw: float) -> Outcome:
    """Return the outcome that `draw` (0..1) selects by weights that add up to 100."""
    for outcome, weight in choices:
        draw -= weight / 100
        if draw < 0:
            return outcome
    return choices[-1][0]


def _line(**values: Any) -> str:
    return json.dumps({name: value for name, value in values.items() if value}, ensure_ascii=False)


def _read(line: dict[str, str]) -> Receipt | Reply:
    if "text" in line:
        return Reply(line["phone"], line["text"])
    outcome = Outcome(line["outcome"]) if "outcome" in line else None
    return Receipt(
        ReceiptStatus(line["status"]), line["ref"], phone=line["phone"], outcome=outcome, code=line.get("code", "")
    )
