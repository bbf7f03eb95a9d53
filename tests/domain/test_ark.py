"""Bodies of uploads, as the SDKs send them and as nobody should."""

from __future__ import annotations

import base64
import gzip
import json
from urllib.parse import quote

import pytest

from smsapp.domain import ark

MIB = 2**20
RECORDS = [{"appid": "k", "xwho": "u1", "xwhat": "$profile_set", "xcontext": {"nickname": "小明", "a": "??>>~~"}}]
PLAIN = json.dumps(RECORDS, ensure_ascii=False).encode()
PYTHON_SDK = (
    b"H4sIANT2AmsC/02PQU7DMBBFr1KNsoQqbihtOAJbllUVJc20sep4LMcJjapeAcSOC8AOwQ4hrgNVj8FMlQUby/99v7G92EPunC7hZgQl1nTJaYs9"
    b"XIxgd1+R4FbFsRpAHoREztNaG8waDEOBlgs1S6fJ9DqZTdJ0LnxFNuBOnD1LFVkUXSVznihLLLbVq63N63P1+/F4fH4Q2jboDXZoGCecKyqKnvcL"
    b"OH0+Hd9e5Mzp/fvn6xWWvO204zL4FjlERhcyzfWB74SBZB36RpM8FK7Ganz+U6SbzNBG2392iUW74TyR4Ewe1uRrsW7v4HBY/gHTNsm0MwEAAA=="
)
"""Captured from the Python SDK 4.1.1."""


def read(body: bytes) -> object:
    return ark.records(body, MIB)


def refusal(body: bytes) -> ark.Unreadable:
    with pytest.raises(ark.Unreadable) as found:
        read(body)
    return found.value


def test_the_captured_body_of_the_python_sdk_is_read() -> None:
    [record] = ark.records(PYTHON_SDK, MIB)
    assert record["xwhat"] == "$profile_set"
    assert record["xcontext"]["$phone"] == "13800138000"
    assert record["xcontext"]["nickname"] == "小明"


@pytest.mark.parametrize(
    "body",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN,
        b"  \n" + PLAIN + b"\n",
        gzip.compress(PLAIN, mtime=0),
        base64.b64encode(PLAIN),
        base64.b64encode(gzip.compress(PLAIN, mtime=0)),
        base64.urlsafe_b64encode(PLAIN),
        base64.b64encode(PLAIN).rstrip(b"="),
        base64.b64encode(PLAIN).replace(b"+", b" "),
        base64.encodebytes(PLAIN),
        b"data=" + quote(base64.b64encode(PLAIN)).encode() + b"&send_type=014",
        quote(base64.b64encode(PLAIN)).encode(),
    ],
)
def test_every_way_to_wrap_records_is_read(body: bytes) -> None:
    assert read(body) == RECORDS


def test_a_single_object_is_one_record() -> None:
    assert read(b'{"xwho": "u"}') == [{"xwho": "u"}]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", 400, "empty"),
        (b"   ", 400, "empty"),
        (b"<xml/>", 400, "neither JSON nor base64"),
        (b"abcde", 400, "neither JSON nor base64"),
        (b"[{]", 400, "not valid JSON"),
        (b"[" * 100_000, 400, "not valid JSON"),
        (base64.b64encode(b'"text"'), 400, "array"),
        (json.dumps([{"n": "小明"}], ensure_ascii=False).encode("gbk"), 400, "not UTF-8"),
        (gzip.compress(PLAIN, mtime=0)[:-9], 400, "cut off"),
        (b"\x1f\x8bxxxxxxxxxxxxxxxx", 400, "damaged"),
        (base64.b64encode(gzip.compress(b"[" + b" " * 2 * MIB + b"]", mtime=0)), 413, "more than 1 MiB"),
    ],
)
def test_an_unreadable_body_says_what_to_mend(body: bytes, code: int, words: str) -> None:
    refused = refusal(body)
    assert refused.code == code
    assert words in refused.text


def test_too_many_records_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ark, "MOST_RECORDS", 2)
    assert refusal(b"[1,2,3]").code == 413
