"""Odd input for the doors that strangers reach: sound documents with something odd in one place, and broken bytes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st

ODD_TEXTS = (
    "",
    "\x00",
    "a\x00b",
    "\ud800",
    "\u202e١٢٣",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "${name}{{7*7}}%s%n",
    "=HYPERLINK(1)",
    "../../etc/passwd",
    "1e999",
    "NaN",
    "-0",
    "0" * 400,
    "9" * 30,
    "+8613800138000",
    "2026-02-30 25:61:61",
    "\r\nSet-Cookie: a=b",
    "退订",
    "💥" * 80,
    "7-1",
    "7-99999999999999999999",
    "-1--1",
)
ODD_NUMBERS = (0, -1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 1e308, -0.0, 5e-324)
LEAVES = (
    st.sampled_from(ODD_TEXTS)
    | st.sampled_from(ODD_NUMBERS)
    | st.none()
    | st.booleans()
    | st.text(max_size=20)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A copy of a JSON document in which a few values are replaced, missing, doubled or wrapped."""
    result = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        holder, place = draw(st.sampled_from(_places([result])))
        match draw(st.sampled_from(("replace", "replace", "remove", "wrap", "double"))):
            case "replace":
                holder[place] = draw(VALUES)
            case "remove" if isinstance(holder, dict):
                del holder[place]
            case "wrap":
                holder[place] = draw(st.sampled_from(([holder[place]], {"a": holder[place]}, str(holder[place]))))
            case _ if isinstance(holder, list) and holder:
                holder.append(holder[place])
        if not _places([result]):
            break
    return result


def _places(top: list[Any]) -> list[tuple[Any, Any]]:
    """Return every (container, key) below the one element of `top`, itself included."""
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [top]
    while waiting:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            places.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])
    return places[1:] or places


@st.composite
def broken(draw: st.DrawFn, body: bytes) -> bytes:
    """A copy of these bytes that is cut, spliced, or has other bytes in a few places."""
    result = bytearray(body)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(result)))
        match draw(st.sampled_from(("set", "cut", "insert", "repeat"))):
            case "set" if at < len(result):
                result[at] = draw(st.integers(0, 255))
            case "cut":
                del result[at : at + draw(st.integers(1, 40))]
            case "insert":
                result[at:at] = draw(st.binary(max_size=12) | st.sampled_from((b"\x00", b"%00", b"&&", b'"', b"}]")))
            case _:
                result[at:at] = result[max(0, at - 30) : at] * draw(st.integers(1, 5))
    return bytes(result)


@st.composite
def changed_form(draw: st.DrawFn, form: str) -> str:
    """A copy of a form or query in which parameters are replaced, missing, doubled or new."""
    pairs = parse_qsl(form, keep_blank_values=True)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(pairs) - 1)))
        text = draw(st.sampled_from([text for text in ODD_TEXTS if text.isprintable()]) | st.text(max_size=12))
        match draw(st.sampled_from(("replace", "replace", "remove", "double", "new"))):
            case "replace" if pairs:
                pairs[at] = (pairs[at][0], text)
            case "remove" if pairs:
                del pairs[at]
            case "double" if pairs:
                pairs.append(pairs[at])
            case _:
                pairs.append((draw(st.text(min_size=1, max_size=6)), text))
    return urlencode(pairs, errors="surrogatepass")


def dumped(document: Any) -> bytes:
    """Return a document as JSON; lone surrogates, which UTF-8 cannot hold, stay escaped."""
    return json.dumps(document).encode()
