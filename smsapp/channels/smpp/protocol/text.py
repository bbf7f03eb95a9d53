"""Encoding and decoding texts: GSM-7, Latin-1, UCS-2, and splitting into parts without cutting a character."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from smsapp.channels.smpp.protocol.pdu import HAS_UDH, Tag, tlv
from smsapp.domain.billed_parts import GSM_BASIC

ESCAPE = 0x1B
BASIC = GSM_BASIC[:ESCAPE] + chr(ESCAPE) + GSM_BASIC[ESCAPE:]
"""The GSM 03.38 default alphabet, indexed by code."""
EXTENSION = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
"""Character of each code after an escape."""
TO_GSM = {ord(letter): chr(code) for code, letter in enumerate(BASIC) if code != ESCAPE}
TO_GSM |= {ord(letter): f"\x1b{chr(code)}" for code, letter in EXTENSION.items()}
WITHIN_GSM = re.compile("[" + re.escape("".join(map(chr, TO_GSM))) + "]*")

DEFAULT, LATIN_1, UCS_2 = 0, 3, 8
"""Values of data_coding."""
CODINGS = {1: "latin-1", 2: "latin-1", 3: "latin-1", 4: "latin-1", 5: "shift_jis", 6: "iso8859-5", 7: "iso8859-8",
           8: "utf-16-be", 10: "iso2022_jp", 13: "euc_jp", 14: "euc_kr"}  # fmt: skip
MOST_PARTS = 255


Position = tuple[int, int, int]
"""(reference, total, number) of a part of a long text."""


@dataclass(frozen=True, slots=True)
class Part:
    """The content of one submit: the octets, and how parts are joined (esm_class, UDH or optional parameters)."""

    esm_class: int
    coding: int
    octets: bytes
    extra: bytes = b""


def to_gsm(text: str) -> bytes | None:
    """Return the text in GSM-7, one septet per octet; None if it has other characters."""
    if WITHIN_GSM.fullmatch(text) is None:
        return None
    return text.translate(TO_GSM).encode("latin-1")


def from_gsm(octets: bytes) -> str:
    """Return the text of unpacked septets; octets beyond 7 bits are read as Latin-1, an unknown escape as a space."""
    characters = []
    codes = iter(octets)
    for code in codes:
        if code == ESCAPE:
            characters.append(EXTENSION.get(next(codes, 0), " "))
        else:
            characters.append(BASIC[code] if code < len(BASIC) else chr(code))
    return "".join(characters)


def decode(octets: bytes, coding: int, alphabet: str) -> str:
    """Return the text of a deliver_sm; `alphabet` is this provider's meaning of data_coding 0: gsm or latin1."""
    if coding >= 0x10:
        # A GSM data coding scheme: message classes, flash texts.
        group = coding & 0x0C
        coding = UCS_2 if coding < 0x40 and group == 0x08 else LATIN_1 if group == 0x04 else DEFAULT
    codec = CODINGS.get(coding)
    if codec is not None:
        return octets.decode(codec, "replace")
    return octets.decode("latin-1") if alphabet == "latin1" else from_gsm(octets)


class TextSplitter:
    """Splits texts into parts as a channel's settings say.

    `alphabet`: gsm, or latin1 if the provider reads data_coding 0 as that. `method`: udh8, udh16, sar or payload.
    """

    def __init__(self, alphabet: str, method: str) -> None:
        self.alphabet = alphabet
        self.method = method
        self._numbers = itertools.count(secrets.randbelow(1 << 16))

    def parts(self, text: str) -> list[Part]:
        """Return the parts of a text: GSM-7 in one part of 160 septets or parts of 153, others 70 or 67 UTF-16 units.

        No escape and no surrogate pair is split, so a part may be one unit shorter.
        """
        gsm = to_gsm(text) if self.alphabet == "gsm" or _is_latin(text) else None
        octets = text.encode("utf-16-be", "replace") if gsm is None else gsm
        coding = UCS_2 if gsm is None else DEFAULT
        if len(octets) <= (140 if gsm is None else 160):
            return [Part(0, coding, self._encoded(octets, coding))]
        if self.method == "payload":
            return [Part(0, coding, b"", tlv(Tag.PAYLOAD, self._encoded(octets, coding)))]
        header = 7 if self.method == "udh16" else 6
        room = 140 - header if gsm is None else (140 - header) * 8 // 7
        pieces = [self._encoded(piece, coding) for piece in _pieces(octets, room, coding)]
        return [*self._numbered(pieces, coding)]

    def _encoded(self, octets: bytes, coding: int) -> bytes:
        """Return the octets in the provider's alphabet; the parts were measured in GSM-7."""
        if coding == DEFAULT and self.alphabet == "latin1":
            return from_gsm(octets).encode("latin-1", "replace")
        return octets

    def _numbered(self, pieces: list[bytes], coding: int) -> Iterator[Part]:
        ref, total = next(self._numbers), len(pieces)
        for number, piece in enumerate(pieces, 1):
            position = bytes((total & 0xFF, number & 0xFF))
            if self.method == "sar":
                sar = tlv(Tag.SAR_REF, (ref & 0xFFFF).to_bytes(2, "big")) + tlv(Tag.SAR_TOTAL, position[:1])
                yield Part(0, coding, piece, sar + tlv(Tag.SAR_NUMBER, position[1:]))
            elif self.method == "udh16":
                yield Part(HAS_UDH, coding, b"\x06\x08\x04" + (ref & 0xFFFF).to_bytes(2, "big") + position + piece)
            else:
                yield Part(HAS_UDH, coding, b"\x05\x00\x03" + bytes((ref & 0xFF,)) + position + piece)


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _pieces(octets: bytes, room: int, coding: int) -> Iterator[bytes]:
    """Yield pieces of at most `room` octets that begin and end between characters."""
    at = 0
    while at < len(octets):
        end = at + room
        if coding == UCS_2:
            end -= (end - at) % 2
            if end < len(octets) and 0xD8 <= octets[end - 2] <= 0xDB:
                end -= 2
        elif end < len(octets) and octets[end - 1] == ESCAPE:
            end -= 1
        yield octets[at:end]
        at = end


def position_in(header: bytes) -> Position | None:
    """Return (reference, total, number) of a part from its user data header; None if it is not a part."""
    at = 0
    while at + 2 <= len(header):
        element, size = header[at], header[at + 1]
        content = header[at + 2 : at + 2 + size]
        if element == 0x00 and len(content) == 3:
            return content[0], content[1], content[2]
        if element == 0x08 and len(content) == 4:
            return int.from_bytes(content[:2], "big"), content[2], content[3]
        at += 2 + size
    return None
