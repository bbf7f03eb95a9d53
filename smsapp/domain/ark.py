"""The body of an Ark upload, whichever SDK made it: plain JSON, base64 of JSON, or base64 of gzipped JSON.

The Content-Type is never asked: SDKs send JSON as a form, a form's field in an address, or anything else. Anybody may
send a body, so it is unfolded in steps, and what it would take as objects is estimated before anything is parsed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

MOST_RECORDS = 10_000
STEP, FIRST_STEP = 64 * 1024, 4096
"""Bytes that are decoded, unfolded and counted at a time; of the first step, which shows whose body it is: most of a
key that has used up a quota goes no further."""
LARGE = 256 * 1024
"""Bytes from which on a body is large: few of them are worked on at once."""
MOST_ESCAPED = 1024 * 1024
"""Bytes of a body in percent notation, which takes much memory to undo; addresses have 8 KiB at most."""
FREE_OBJECTS = 8 * 2**20
"""Bytes of objects that any body may become."""
DENSITY = 8
"""Beyond that: bytes of objects that each byte may become. Records of SDKs become four to six."""
CONTAINER_BYTES, VALUE_BYTES = 200, 60
"""What an object or an array takes in memory, and what a value takes."""
MOST_BROKEN = 100
"""So many records that are no JSON are cut out of one body."""

PIECE = 4096
"""Bytes of percent notation that are undone at a time."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n\x00"
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# A "+" that was not escaped in an address arrives as a space; line breaks come from encoders that wrap.
_BASE64 = bytes.maketrans(b" -_", b"++/")
_KEY = re.compile(rb'"appid"\s*:\s*"([^"\\]{1,64})"')
_NEXT_RECORD = re.compile(r'\}\s*,\s*(?=\{\s*"(?:appid|xwho|xwhat|xwhen|xcontext)")')
_BETWEEN_RECORDS = re.compile(r"[\s,]*")
# Raw line breaks and other control characters inside a text are taken as they are: some SDKs do not escape them.
_JSON = json.JSONDecoder(strict=False)


class Unreadable(Exception):
    """The body as a whole cannot be read; `code` is an HTTP status, `text` says in English what to mend."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


class _Budget:
    """What a body would take as objects, counted while it unfolds."""

    def __init__(self) -> None:
        self.size = self.objects = 0

    def add(self, step: bytes) -> None:
        """Count a piece; raise Unreadable if the body is mostly structure."""
        self.size += len(step)
        self.objects += CONTAINER_BYTES * (step.count(b"{") + step.count(b"[")) + VALUE_BYTES * step.count(b",")
        if self.objects > FREE_OBJECTS and self.objects > DENSITY * self.size:
            raise Unreadable(413, "The body holds too many objects and values for its size.")


def unfold(
    body: bytes,
    largest: int,
    on_large: Callable[[], None] = lambda: None,
    on_begin: Callable[[bytearray], None] = lambda _piece: None,
) -> bytearray:
    """Return the JSON of an upload as bytes; `largest` is the most bytes it may unfold to.

    `on_begin` is called with the first piece, and with more of it until there are STEP bytes; `on_large` before more
    than LARGE bytes are unfolded. Raises Unreadable.
    """
    begin, end = _bounds(body)
    if body.startswith(b"data=", begin):
        # A form field, as some clients wrap it; "+" is a space in a form, and base64 again further down.
        body = _unescaped(body[begin + 5 : end].split(b"&", 1)[0])
        begin, end = _bounds(body)
    if begin == end:
        raise Unreadable(400, "The body is empty.")
    steps: Iterable[bytes] = _steps(body, begin, end)
    if body[begin : begin + 1] not in {b"[", b"{"} and not body.startswith(_GZIP, begin):
        if b"%" in body:
            body = _unescaped(body[begin:end])
            begin, end = _bounds(body)
        steps = _from_base64(_steps(body, begin, end))
    budget, plain = _Budget(), bytearray()
    small = True
    for step in _inflated(iter(steps)):
        if len(plain) < STEP:
            on_begin(plain + step)
        budget.add(step)
        if small and len(plain) + len(step) > LARGE:
            small = False
            on_large()
        plain += step
        if len(plain) > largest:
            raise Unreadable(413, f"The body unfolds to more than {largest // 2**20} MiB.")
    return plain


def named_key(plain: bytes | bytearray, keys: Collection[str]) -> str:
    """Return the first of these AppKeys that stands as the appid of a record; "" if none is seen without parsing."""
    for n, match in enumerate(_KEY.finditer(plain)):
        if (key := match[1].decode("ascii", "replace")) in keys:
            return key
        if n >= MOST_RECORDS:
            break
    return ""


def records(plain: bytes | bytearray) -> tuple[list[Any], list[str]]:
    """Return the records of an upload, one or many, and the text of those that are no JSON.

    Raises Unreadable if no records can be told apart.
    """
    broken: list[str] = []
    try:
        read = parsed(plain)
    except UnicodeDecodeError:
        raise Unreadable(400, "The body is not UTF-8.") from None
    except (ValueError, RecursionError):
        read, broken = _separated(_text(plain))
    if isinstance(read, dict):
        return [read], broken
    if not isinstance(read, list):
        raise Unreadable(400, "Expected a JSON array of records.")
    if len(read) > MOST_RECORDS:
        raise Unreadable(413, f"At most {MOST_RECORDS} records fit into one request.")
    return read, broken


def parsed(plain: bytes | bytearray) -> Any:
    """Return what a JSON text holds; raises ValueError (UnicodeDecodeError among them) or RecursionError.

    Control characters in texts, halves of surrogate pairs and numbers of any length are taken as they are.
    """
    try:
        parsed = orjson.loads(plain)
    except orjson.JSONDecodeError:
        return _JSON.decode(_text(plain))
    records = parsed if parsed.__class__ is list else (parsed,)
    try:
        # All of them texts, as nearly always: this takes a third of looking at each.
        "".join([record["xwho"] for record in records])
    except (TypeError, KeyError, IndexError):
        if any(record.__class__ is dict and record.get("xwho").__class__ is float for record in records):
            # A user id of twenty digits would have lost some of them.
            return _JSON.decode(_text(plain))
    return parsed


def _text(plain: bytes | bytearray) -> str:
    return plain.decode("utf-8").strip("\ufeff \t\r\n\x00")


def _separated(text: str) -> tuple[list[Any], list[str]]:
    """Return the records of an array of which some are broken, and the broken ones as they came.

    A body that does not end as an array may be half of one: it is refused, so that the SDK sends it again.
    """
    if not (text.startswith("[") and text.endswith("]")):
        raise Unreadable(400, "The body is not valid JSON.")
    whole: list[Any] = []
    broken: list[str] = []
    position, end, work = 1, len(text) - 1, 0
    while (position := _BETWEEN_RECORDS.match(text, position).end()) < end:  # type: ignore[union-attr]
        try:
            record, position = _JSON.raw_decode(text, position)
            whole.append(record)
            continue
        except RecursionError:
            work += end
        except json.JSONDecodeError as error:
            work += error.pos - position
        following = _NEXT_RECORD.search(text, position + 1, end)
        # A record may break far behind its place; trying on from each would take the square of the length.
        begin = following.end() if following and work <= 2 * end and len(broken) < MOST_BROKEN else end
        broken.append(text[position:begin].rstrip(", \t\r\n"))
        position = begin
    if not whole:
        raise Unreadable(400, "The body is not valid JSON.")
    return whole, broken


def _bounds(body: bytes) -> tuple[int, int]:
    """Return where the text begins and ends, without a byte order mark and blanks around it."""
    begin, end = 0, len(body)
    if body.startswith(_GZIP):
        return begin, end
    if body.startswith(_BOM):
        begin = len(_BOM)
    while begin < end and body[begin] in _BLANK:
        begin += 1
    while end > begin and body[end - 1] in _BLANK:
        end -= 1
    return begin, end


def _steps(body: bytes, begin: int, end: int) -> Iterator[bytes]:
    yield body[begin : min(begin + FIRST_STEP, end)]
    for at in range(begin + FIRST_STEP, end, STEP):
        yield body[at : min(at + STEP, end)]


def _unescaped(body: bytes) -> bytes:
    if len(body) > MOST_ESCAPED:
        raise Unreadable(413, f"A form's field is larger than {MOST_ESCAPED // 2**20} MiB.")
    plain = bytearray()
    at = 0
    while at < len(body):
        end = at + PIECE
        if end < len(body) and (mark := body.rfind(b"%", end - 2, end)) > 0:
            end = mark
        plain += unquote_to_bytes(body[at:end])
        at = end
    return bytes(plain)


def _from_base64(steps: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    ended = False
    for step in steps:
        letters = rest + step.translate(_BASE64, b"\r\n\t")
        stripped = letters.rstrip(b"=")
        # What is left of it without letters: five times as fast as to search for something else.
        if stripped.translate(None, _LETTERS) or (ended and stripped):
            raise Unreadable(400, "The body is neither JSON nor base64.")
        ended = ended or len(stripped) < len(letters)
        whole = len(stripped) // 4 * 4
        rest = stripped[whole:]
        yield binascii.a2b_base64(stripped[:whole])
    if rest:
        try:
            yield base64.b64decode(rest + b"=" * (-len(rest) % 4), validate=True)
        except binascii.Error:
            raise Unreadable(400, "The body is neither JSON nor base64.") from None


def _inflated(steps: Iterator[bytes]) -> Iterator[bytes]:
    """Unfold what is gzipped, a piece at a time; pass on what is not."""
    first = next(steps, b"")
    if not first.startswith(_GZIP):
        yield first
        yield from steps
        return
    unpack = zlib.decompressobj(wbits=31)
    try:
        most = FIRST_STEP
        for step in chain((first,), steps):
            yield unpack.decompress(step, most)
            most = STEP
            while unpack.unconsumed_tail:
                yield unpack.decompress(unpack.unconsumed_tail, STEP)
            if unpack.eof:
                return
        while not unpack.eof and (piece := unpack.decompress(b"", STEP)):
            yield piece
    except zlib.error:
        raise Unreadable(400, "The gzipped body is damaged.") from None
    if not unpack.eof:
        raise Unreadable(400, "The gzipped body is cut off.")
