"""An account at an SMSC. One process holds its connections and sends over them; others open one for a test only.

A long text is sent part by part, each after the one before was accepted. A receipt is requested for the last part only:
one message, one receipt. If a later part is refused or lost, the message is unconfirmed, because a part of it left.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from smsapp.channels._addresses import is_host_and_port
from smsapp.channels._error_codes import RequestRefused, Scope, refusal_error
from smsapp.channels._numbers import e164, format_number
from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, CallbackRefused, ChannelError, NotSent
from smsapp.channels.http import HttpClient, too_late
from smsapp.channels.smpp.codes import bind_error, format_status, read_own_code, status_meaning
from smsapp.channels.smpp.connection import channel_error, connect
from smsapp.channels.smpp.protocol.deliveries import is_receipt, is_text, normalised_id, position_of
from smsapp.channels.smpp.protocol.errors import SmppError
from smsapp.channels.smpp.protocol.pdu import (
    HEADER,
    Command,
    DeliverSm,
    Status,
    SubmitFields,
    absolute_time,
    bind_body,
    read_deliver,
    submit_body,
)
from smsapp.channels.smpp.protocol.session import Session, StoreDeliveries
from smsapp.channels.smpp.protocol.text import MOST_PARTS, Part, TextSplitter, decode
from smsapp.channels.smpp.receipts import read_receipt
from smsapp.channels.smpp.reply_parts import ReplyParts
from smsapp.channels.smpp.settings import GUIDE, SETTINGS
from smsapp.channels.types import Callback, OutboundMessage, Receipt, Reply, StoreCallbacks, SubmitRequest, SubmitResult
from smsapp.channels.types import msgid as _l
from smsapp.domain.errors import Problem
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot

DELIVER = "DELIVER"
"""Method of the callbacks that hold a raw deliver_sm."""
BASES = {"same": (0, 0), "hex-dec": (16, 10), "dec-hex": (10, 16)}
"""Setting -> (base of ids in answers, base of ids in receipts)."""
LONGEST_PAUSE = 30.0
PART_TRIES = 10
"""Most tries of a later part of a text while the provider asks to slow down: the earlier parts have left."""


class Smpp(Channel):
    """SMPP 3.4, as transceiver."""

    kind = "smpp"
    label = _l("SMPP 3.4")
    about = _l("A direct connection to a carrier or an aggregator, held by a process of its own.")
    settings = SETTINGS
    guide = GUIDE
    holds_connection = True
    unencrypted_schemes = frozenset({"smpp"})
    plain_setting = "plain"
    callback_steps = (_l("Nothing is entered at the provider: receipts and replies come over the connection."),)
    receipts_by_provider_ref = True
    parts_note = _l(
        "Parts are counted as carriers in China bill them: 70 or 67 characters each. A text of Latin letters only "
        "leaves here with up to 160 or 153 each, so that fewer parts leave than are counted."
    )

    clock: Callable[[], float] = staticmethod(time.time)
    back_off: tuple[float, ...] = (1, 2, 5, 10, 30, 60)
    """Seconds between tries to connect; a connection that was up for longer than the last value resets the back-off."""
    connection_wait: float = 5.0
    """Seconds a message waits for a connection."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        values = self.values
        parts = urlsplit(values["address"].strip())
        self._host, self._port, self._tls = parts.hostname or "", parts.port or 0, parts.scheme == "smpps"
        self._window = values.whole("window")
        self._connections = values.whole("connections")
        self._timeout = values.number("timeout")
        self.max_concurrency = self._window * self._connections
        hours = values.whole("validity")
        self._receipt = values.whole("receipt")
        self._fields = SubmitFields(
            values["service_type"],
            values["source"],
            values.whole("source_ton"),
            values.whole("source_npi"),
            values.whole("destination_ton"),
            values.whole("destination_npi"),
            f"0000{hours // 24:02}{hours % 24:02}0000000R" if hours else "",
        )
        self._head, self._middle = self._fields.head(), self._fields.middle()
        self._validity = dt.timedelta(hours=hours) if hours else None
        self._splitter = TextSplitter(values["alphabet"], values["long_texts"])
        self._answer_base, self._receipt_base = BASES[values["ids"]]
        self._own = dict(read_own_code(line) for line in values["own_codes"].splitlines() if line.strip())
        self._reply_parts = ReplyParts(self.folder)
        self._sessions: list[Session] = []
        self._up = asyncio.Event()
        self._pause = self._pause_over = 0.0

    # -- the connection -----------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        return bool(self._sessions)

    async def hold(self, http: HttpClient, store: StoreCallbacks) -> None:
        """Keep the connections up until cancelled; then unbind each."""

        async def store_pdus(pdus: Sequence[bytes]) -> None:
            await store([Callback(DELIVER, "", {}, pdu) for pdu in pdus])

        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._hold_session(http, store_pdus))

    @contextlib.asynccontextmanager
    async def open_connection(self, http: HttpClient) -> AsyncIterator[None]:
        """Open a separate connection for a test, as transmitter, so that no receipts arrive on it."""
        session = await self._bind(http, Command.BIND_TRANSMITTER, _store_nothing)
        self._sessions.append(session)
        try:
            yield
        finally:
            self._sessions.remove(session)
            await session.unbind()

    async def _hold_session(self, http: HttpClient, store: StoreDeliveries) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            try:
                session = await self._bind(http, Command.BIND_TRANSCEIVER, store)
            except ChannelError as error:
                self.connection_error = error
            else:
                connected_at = loop.time()
                await self._use(session)
                if loop.time() - connected_at > self.back_off[-1]:
                    failures = 0
            await asyncio.sleep(self.back_off[min(failures, len(self.back_off) - 1)])
            failures += 1

    async def _use(self, session: Session) -> None:
        """Use this session for sending until it ends."""
        self.connection_error = None
        self._sessions.append(session)
        self._up.set()
        try:
            await session.ended.wait()
            self.connection_error = NotSent("closed", outcome=Outcome.NETWORK)
        finally:
            self._sessions.remove(session)
            if not self._sessions:
                self._up.clear()
            await session.unbind()

    async def _bind(self, http: HttpClient, command: Command, store: StoreDeliveries) -> Session:
        """Return a bound session; raises NotSent or AccountError."""
        values = self.values

        def make() -> Session:
            idle = values.number("enquire")
            return Session(store, window=self._window, answer_timeout=self._timeout, idle=idle)

        session = await connect(http, self._host, self._port, self._tls, values.flag("plain"), make)
        body = bind_body(values["system_id"], values["password"], values["system_type"], "")
        try:
            answer = await session.request(command, body)
        except SmppError as error:
            # Whatever happened to the bind, no message has left.
            session.close()
            raise NotSent(error.code, outcome=Outcome.NETWORK) from None
        except BaseException:
            session.close()
            raise
        if answer.status != Status.OK:
            session.close()
            raise bind_error(answer.status)
        return session

    async def _session(self) -> Session:
        """Return the session with the fewest outstanding requests; raises the error that keeps the connection down."""
        if not self._sessions and not isinstance(self.connection_error, AccountError):
            try:
                async with asyncio.timeout(self.connection_wait):
                    await self._up.wait()
            except TimeoutError:
                pass
        if self._sessions:
            return min(self._sessions, key=lambda session: session.outstanding)
        error = self.connection_error or NotSent("not_connected", outcome=Outcome.NETWORK)
        raise type(error)(error.code, outcome=error.outcome)

    # -- sending ------------------------------------------------------------------------------------------------------

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send each message over the session with the fewest outstanding requests."""
        return [await self._send_message(await self._session(), message, submission) for message in submission.messages]

    async def _send_message(
        self, session: Session, message: OutboundMessage, submission: SubmitRequest
    ) -> SubmitResult:
        parts = self._splitter.parts(message.text)
        if len(parts) > MOST_PARTS:
            return SubmitResult(False, outcome=Outcome.CONTENT_REFUSED, code="too_long")
        middle = self._middle_until(submission.valid_until)
        try:
            for part in parts[:-1]:
                body = self._body(message, part, middle, receipt=0)
                await self._submit(session, message, body, submission.template, first=part is parts[0])
            body = self._body(message, parts[-1], middle, receipt=self._receipt)
            ref = await self._submit(session, message, body, submission.template, first=len(parts) == 1)
        except RequestRefused as refusal:
            return refusal.result
        except _PartLost as lost:
            return SubmitResult(False, code=lost.code, unconfirmed=True)
        return SubmitResult(True, ref)

    def _body(self, message: OutboundMessage, part: Part, middle: bytes, *, receipt: int) -> bytes:
        return submit_body(
            self._head, self._number(message.phone), middle, part.esm_class, receipt, part.coding,
            part.octets, part.extra,
        )  # fmt: skip

    def _middle_until(self, valid_until: dt.datetime | None) -> bytes:
        """Return the fields with the validity: the channel's own, or this moment if it is earlier."""
        if valid_until is None:
            return self._middle
        now = dt.datetime.fromtimestamp(self.clock(), dt.UTC)
        if self._validity is not None and now + self._validity <= valid_until:
            return self._middle
        return replace(self._fields, validity=absolute_time(valid_until)).middle()

    async def _submit(
        self, session: Session, message: OutboundMessage, body: bytes, template: TemplateSnapshot, *, first: bool
    ) -> str:
        """Submit one part; return the provider's id of it. Every failure of a later part is `_PartLost`."""
        for attempt in range(PART_TRIES):
            try:
                answer = await session.submit(body, too_late.check if first else None)
            except SmppError as error:
                if first:
                    raise channel_error(error) from None
                raise _PartLost(error.code) from None
            if answer.status == Status.OK:
                self._end_pause()
                return normalised_id(answer.body.partition(b"\0")[0].decode("latin-1"), self._answer_base)[:80]
            meaning = status_meaning(answer.status, self._own)
            wait = self._begin_pause() if meaning.scope is Scope.TIMING else None
            if first:
                raise refusal_error(format_status(answer.status), meaning, template, [message], wait)
            if wait is None or attempt + 1 == PART_TRIES:
                break
            await asyncio.sleep(wait)
        raise _PartLost(format_status(answer.status))

    def _begin_pause(self) -> float:
        """Return the seconds to wait; a new wait is twice the last one, up to LONGEST_PAUSE."""
        now = asyncio.get_running_loop().time()
        if now >= self._pause_over:
            self._pause = min(self._pause * 2 or 1.0, LONGEST_PAUSE)
            self._pause_over = now + self._pause
        return self._pause_over - now

    def _end_pause(self) -> None:
        if self._pause and asyncio.get_running_loop().time() >= self._pause_over:
            self._pause = 0.0

    def _number(self, phone: str) -> str:
        return format_number(phone, self.values["number_format"], self.country)

    async def test_credentials(self, http: HttpClient) -> str:
        """Bind and unbind."""
        async with self.open_connection(http):
            pass
        return _l("The account was let in.")

    # -- receipts and replies -----------------------------------------------------------------------------------------

    def verify_callback(self, callback: Callback) -> None:
        """Refuse every HTTP request: this provider sends everything over its connection."""
        raise CallbackRefused

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipt or reply in a deliver_sm; [] for a part of a reply until its last part has come."""
        if callback.method != DELIVER or len(callback.body) < HEADER.size:
            raise ValueError("no deliver_sm")
        delivery = read_deliver(callback.body[HEADER.size :])
        if is_receipt(delivery):
            return [read_receipt(delivery, self._about(delivery), self._receipt_base, self._own)]
        if not is_text(delivery):
            return []
        text: str | None = decode(delivery.text, delivery.coding, self.values["alphabet"])
        phone = e164(delivery.source, self.country, delivery.source_ton) or delivery.source
        position = position_of(delivery)
        if position is not None and position[1] > 1:
            text = self._reply_parts.add(phone, position, text or "", self.clock())
        return [] if text is None else [Reply(phone, text)]

    def _about(self, delivery: DeliverSm) -> str:
        """Return the number a receipt is about: its source, or its destination if the source is our own sender."""
        own_number = self.values["source"].lstrip("+")
        if own_number and delivery.source.lstrip("+") == own_number:
            return e164(delivery.destination, self.country, delivery.destination_ton)
        return e164(delivery.source, self.country, delivery.source_ton)

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        """Return the problems of the address and of the lines in `own_codes`."""
        problems = []
        if not is_host_and_port(values.get("address", ""), {"smpp", "smpps"}):
            problems.append(Problem("setting_host_and_port", "address", {"example": "smpps://smpp.example.com:2776"}))
        for line in values.get("own_codes", "").splitlines():
            try:
                if line.strip():
                    read_own_code(line)
            except ValueError:
                problems.append(Problem("setting_outcome", "own_codes", {"line": line}))
        return problems


class _PartLost(Exception):
    """A later part of a text was refused or lost; the earlier ones have left."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


async def _store_nothing(pdus: Sequence[bytes]) -> None:
    raise RuntimeError("nothing is stored on a connection for a test")
