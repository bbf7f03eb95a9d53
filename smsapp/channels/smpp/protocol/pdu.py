"""SMPP 3.4 encoding: frames, and the few PDUs this product sends and receives."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

HEADER = struct.Struct(">IIII")
RESPONSE = 0x80000000
"""Bit of the command id that marks an answer."""
LONGEST = 70_000
"""Most bytes of a frame: a message_payload has at most 64 KiB."""
VERSION = 0x34


class Command(IntEnum):
    NACK = 0x80000000
    BIND_TRANSMITTER = 0x02
    SUBMIT = 0x04
    DELIVER = 0x05
    UNBIND = 0x06
    BIND_TRANSCEIVER = 0x09
    ENQUIRE = 0x15


class Status(IntEnum):
    """The statuses this product sends."""

    OK = 0
    UNKNOWN_COMMAND = 0x03
    TEMPORARY = 0x64
    """Not stored; the SMSC should deliver it again."""


class Tag(IntEnum):
    """Optional parameters."""

    RECEIPTED_ID = 0x001E
    SAR_REF = 0x020C
    SAR_TOTAL = 0x020E
    SAR_NUMBER = 0x020F
    NETWORK_ERROR = 0x0423
    PAYLOAD = 0x0424
    STATE = 0x0427


HAS_UDH = 0x40
"""Bit of esm_class: the text begins with a user data header (UDH)."""


class Pdu(NamedTuple):
    command: int
    status: int
    seq: int
    body: bytes


def frame(command: int, status: int, seq: int, body: bytes = b"") -> bytes:
    return HEADER.pack(16 + len(body), command, status, seq) + body


class FrameSplitter:
    """Splits the incoming byte stream into PDUs."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> list[Pdu]:
        """Return the PDUs that are complete now; raises ValueError for an impossible length."""
        buffer = self._rest + received if self._rest else received
        at, end = 0, len(buffer)
        pdus = []
        while end - at >= 16:
            length, command, status, seq = HEADER.unpack_from(buffer, at)
            if not 16 <= length <= LONGEST:
                raise ValueError("no frame of SMPP")
            if end - at < length:
                break
            pdus.append(Pdu(command, status, seq, buffer[at + 16 : at + length]))
            at += length
        self._rest = buffer[at:]
        return pdus


def c_string(text: str) -> bytes:
    """Return the text as a NUL-terminated string; characters beyond Latin-1 become question marks."""
    return text.replace("\0", "").encode("latin-1", "replace") + b"\0"


def tlv(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


def bind_body(system_id: str, password: str, system_type: str, address_range: str) -> bytes:
    credentials = c_string(system_id) + c_string(password) + c_string(system_type)
    return credentials + bytes((VERSION, 0, 0)) + c_string(address_range)


def absolute_time(moment: dt.datetime) -> str:
    """Return an aware moment as an absolute time of SMPP, in UTC."""
    return f"{moment.astimezone(dt.UTC):%y%m%d%H%M%S}000+"


@dataclass(frozen=True)
class SubmitFields:
    """The fields that all submits of a channel share."""

    service_type: str
    source: str
    source_ton: int
    source_npi: int
    destination_ton: int
    destination_npi: int
    validity: str

    def head(self) -> bytes:
        """Return the bytes before the number, the same for every message."""
        source = bytes((self.source_ton, self.source_npi)) + c_string(self.source)
        return c_string(self.service_type) + source + bytes((self.destination_ton, self.destination_npi))

    def middle(self) -> bytes:
        """Return the bytes between esm_class and registered_delivery: protocol, priority, schedule, validity."""
        return b"\0\0\0" + c_string(self.validity)


def submit_body(
    head: bytes, number: str, middle: bytes, esm_class: int, receipt: int, coding: int, text: bytes, extra: bytes
) -> bytes:
    """Return the body of a submit_sm; `text` has at most 254 bytes, a longer one goes into `extra`."""
    options = bytes((receipt, 0, coding, 0, len(text)))
    return head + c_string(number) + bytes((esm_class,)) + middle + options + text + extra


@dataclass(frozen=True)
class DeliverSm:
    """A deliver_sm: a receipt or a reply."""

    source: str
    source_ton: int
    """Type of number: 1 international, 2 national."""
    destination: str
    destination_ton: int
    esm_class: int
    coding: int
    text: bytes
    """Without the user data header."""
    header: bytes
    extras: Mapping[int, bytes]


def read_deliver(body: bytes) -> DeliverSm:
    """Return the fields of a deliver_sm; raises ValueError if it is truncated or malformed."""
    try:
        at = body.index(0) + 3
        source_ton = body[at - 2]
        source, at = _read_c_string(body, at)
        destination_ton = body[at]
        destination, at = _read_c_string(body, at + 2)
        esm_class = body[at]
        _schedule, at = _read_c_string(body, at + 3)
        _validity, at = _read_c_string(body, at)
        coding, length = body[at + 2], body[at + 4]
        at += 5
        if at + length > len(body):
            raise ValueError("cut short")
        text, at = body[at : at + length], at + length
        extras = {}
        while at + 4 <= len(body):
            tag, size = struct.unpack_from(">HH", body, at)
            extras[tag] = body[at + 4 : at + 4 + size]
            at += 4 + size
    except IndexError:
        raise ValueError("cut short") from None
    text = text or extras.get(Tag.PAYLOAD, b"")
    header = b""
    if esm_class & HAS_UDH and text:
        header, text = text[1 : 1 + text[0]], text[1 + text[0] :]
    return DeliverSm(source, source_ton, destination, destination_ton, esm_class, coding, text, header, extras)


def _read_c_string(body: bytes, at: int) -> tuple[str, int]:
    end = body.index(0, at)
    return body[at:end].decode("latin-1"), end + 1
