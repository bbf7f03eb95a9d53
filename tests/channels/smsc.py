"""An SMSC that does what a test tells it: real sockets, every PDU by hand, every awkward answer on request."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

SYSTEM_ID, PASSWORD = "shop", "pass-word-4711"
BIND_TRANSMITTER, SUBMIT, DELIVER, UNBIND, BIND_TRANSCEIVER, ENQUIRE = 0x02, 0x04, 0x05, 0x06, 0x09, 0x15
NACK = 0x80000000
DELIVERED = "id:{id} sub:001 dlvrd:001 submit date:2603021000 done date:2603021001 stat:{stat} err:{err} text:..."


def tlv(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


def deliver(
    text: bytes,
    *,
    esm_class: int = 0,
    coding: int = 0,
    source: str = "8613800138000",
    ton: int = 1,
    destination: str = "10690001",
    extra: bytes = b"",
) -> bytes:
    """Return the body of a deliver_sm; `ton` is the type of its sender's number."""
    ends = bytes((0, ton, 1)) + source.encode() + b"\0\0\1" + destination.encode() + b"\0"
    return ends + bytes((esm_class, 0, 0, 0, 0, 0, 0, coding, 0, len(text))) + text + extra


def receipt(id: str, stat: str = "DELIVRD", err: str = "000", **given: Any) -> bytes:
    return deliver(DELIVERED.format(id=id, stat=stat, err=err).encode(), esm_class=4, **given)


def pdu(command: int, status: int, seq: int, body: bytes = b"") -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, status, seq) + body


@dataclass
class Submit:
    """A submit_sm as it came."""

    seq: int
    source: str
    number: str
    esm_class: int
    validity: str
    receipt: int
    coding: int
    text: bytes
    extras: dict[int, bytes]
    head: bytes

    @classmethod
    def read(cls, seq: int, body: bytes) -> Submit:
        strings: list[bytes] = []
        at = 0

        def string() -> bytes:
            nonlocal at
            end = body.index(0, at)
            text, at = body[at:end], end + 1
            return text

        strings.append(string())
        kinds = body[at : at + 2]
        at += 2
        source = string()
        kinds += body[at : at + 2]
        at += 2
        number = string()
        esm_class, at = body[at], at + 3
        string()
        validity = string()
        wanted, coding, length = body[at], body[at + 2], body[at + 4]
        at += 5
        text, at = body[at : at + length], at + length
        extras = {}
        while at < len(body):
            tag, size = struct.unpack_from(">HH", body, at)
            extras[tag], at = body[at + 4 : at + 4 + size], at + 4 + size
        head = strings[0] + b"|" + kinds
        return cls(
            seq, source.decode(), number.decode(), esm_class, validity.decode(), wanted, coding, text, extras, head
        )


class Link:
    """One connection as the SMSC sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seq = 1000
        self.unanswered = 0

    def say(self, command: int, status: int, seq: int, body: bytes = b"") -> None:
        self.writer.write(pdu(command, status, seq, body))

    def answer(self, submit: Submit, id: str = "", status: int = 0) -> None:
        self.unanswered -= 1
        self.say(SUBMIT | NACK, status, submit.seq, b"" if status else id.encode() + b"\0")

    def deliver(self, body: bytes) -> int:
        """Send a deliver_sm; return its number."""
        self.seq += 1
        self.say(DELIVER, 0, self.seq, body)
        return self.seq

    def cut(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Link, Submit], None]


@dataclass
class Smsc:
    """What it got; `script` says what becomes of a submit."""

    script: Script
    bind_status: int = 0
    answers_bind: bool = True
    answers_enquire: bool = True
    permits: int = 99
    address: str = ""
    binds: list[int] = field(default_factory=list)
    submits: list[Submit] = field(default_factory=list)
    acknowledged: dict[int, int] = field(default_factory=dict)
    """Number of a deliver_sm -> status of its answer."""
    others: list[tuple[int, int]] = field(default_factory=list)
    """(command, status) of everything else."""
    links: list[Link] = field(default_factory=list)
    widest: int = 0
    """Most submits that were without an answer at the same time on one connection."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something that came made this true."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(reader, writer)
        try:
            while True:
                length, command, status, seq = struct.unpack(">IIII", await reader.readexactly(16))
                if length > 70_000:
                    break
                body = await reader.readexactly(length - 16)
                self._take(link, command, status, seq, body)
                self.changed.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if link in self.links:
                self.links.remove(link)
            self.changed.set()
            writer.close()

    def _take(self, link: Link, command: int, status: int, seq: int, body: bytes) -> None:
        if command in {BIND_TRANSMITTER, BIND_TRANSCEIVER}:
            self.binds.append(command)
            refused = self._refused(body)
            if not self.answers_bind:
                return
            if not refused:
                self.links.append(link)
            link.say(command | NACK, refused, seq, b"" if refused else b"SMSC\0")
        elif command == SUBMIT:
            submit = Submit.read(seq, body)
            self.submits.append(submit)
            link.unanswered += 1
            self.widest = max(self.widest, link.unanswered)
            self.script(link, submit)
        elif command == DELIVER | NACK:
            self.acknowledged[seq] = status
        elif command == ENQUIRE:
            self.others.append((command, status))
            if self.answers_enquire:
                link.say(ENQUIRE | NACK, 0, seq)
        elif command == UNBIND:
            self.others.append((command, status))
            link.say(UNBIND | NACK, 0, seq)
        else:
            self.others.append((command, status))

    def _refused(self, body: bytes) -> int:
        system_id, password = body.split(b"\0")[:2]
        if (system_id.decode(), password.decode()) != (SYSTEM_ID, PASSWORD):
            return 0x0E
        return self.bind_status or (0x05 if len(self.links) >= self.permits else 0)


def accept(link: Link, submit: Submit) -> None:
    link.answer(submit, f"{submit.seq}")


@contextlib.asynccontextmanager
async def smsc(script: Script = accept, **given: Any) -> AsyncIterator[Smsc]:
    """Yield a running SMSC; its `address` is what a channel's settings want."""
    made = Smsc(script, **given)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.address = f"smpp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for link in list(made.links):
            link.cut()
        await asyncio.sleep(0)
