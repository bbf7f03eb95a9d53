"""The body of an Ark upload, whichever SDK made it: plain JSON, base64 of JSON, or base64 of gzipped JSON.

The Content-Type is never asked: SDKs send JSON as a form, a form's field in an address, or anything else.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from typing import Any
from urllib.parse import unquote_to_bytes

MOST_RECORDS = 100_000
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n\x00"
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]")


class Unreadable(Exception):
    """The body as a whole cannot be read; `code` is an HTTP status, `text` says in English what to mend."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


def records(body: bytes, largest: int) -> list[Any]:
    """Return the records of an upload, one or many; `largest` is the most bytes a gzipped body may unfold to."""
    found = _parsed(_plain(body, largest))
    if isinstance(found, dict):
        return [found]
    if not isinstance(found, list):
        raise Unreadable(400, "Expected a JSON array of records.")
    if len(found) > MOST_RECORDS:
        raise Unreadable(413, f"At most {MOST_RECORDS} records fit into one request.")
    return found


def _plain(body: bytes, largest: int) -> bytes:
    if not body.startswith(_GZIP):
        body = body.removeprefix(_BOM).strip(_BLANK)
    if body.startswith(b"data="):
        # A form field, as some clients wrap it; "+" is a space in a form, and base64 again further down.
        body = unquote_to_bytes(body[5:].split(b"&", 1)[0])
    if not body:
        raise Unreadable(400, "The body is empty.")
    if body[:1] not in b"[{" and not body.startswith(_GZIP):
        body = _from_base64(body)
    if body.startswith(_GZIP):
        body = _inflated(body, largest)
    return body.removeprefix(_BOM).strip(_BLANK)


def _from_base64(body: bytes) -> bytes:
    if b"%" in body:
        body = unquote_to_bytes(body)
    # A "+" that was not escaped in an address arrives as a space; line breaks come from encoders that wrap.
    body = body.translate(bytes.maketrans(b" -_", b"++/"), b"\r\n\t")
    if _NOT_BASE64.search(body):
        raise Unreadable(400, "The body is neither JSON nor base64.")
    body = body.rstrip(b"=")
    try:
        return base64.b64decode(body + b"=" * (-len(body) % 4), validate=True)
    except binascii.Error:
        raise Unreadable(400, "The body is neither JSON nor base64.") from None


def _inflated(body: bytes, largest: int) -> bytes:
    unpack = zlib.decompressobj(wbits=31)
    try:
        plain = unpack.decompress(body, largest + 1)
    except zlib.error:
        raise Unreadable(400, "The gzipped body is damaged.") from None
    if len(plain) > largest:
        raise Unreadable(413, f"The body unfolds to more than {largest // 2**20} MiB.")
    if not unpack.eof:
        raise Unreadable(400, "The gzipped body is cut off.")
    return plain


def _parsed(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Unreadable(400, "The body is not UTF-8.") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(400, "The body is not valid JSON.") from None
