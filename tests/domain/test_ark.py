"""Bodies of uploads, as the SDKs send them and as nobody should."""

from __future__ import annotations

import base64
import gzip
import json
import tracemalloc
from collections.abc import Callable
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
    return ark.records(ark.unfold(body, MIB))[0]


def refusal(body: bytes) -> ark.Unreadable:
    with pytest.raises(ark.Unreadable) as found:
        read(body)
    return found.value


def test_the_captured_body_of_the_python_sdk_is_read() -> None:
    [record] = ark.records(ark.unfold(PYTHON_SDK, MIB))[0]
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
        (b"[" * 10_000, 400, "not valid JSON"),
        (b"[" * 100_000, 413, "too many objects"),
        (PLAIN[:-1], 400, "not valid JSON"),
        (b"[{},", 400, "not valid JSON"),
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


def test_raw_line_breaks_inside_a_text_are_taken_as_the_php_sdk_sends_them() -> None:
    assert read(b'[{"xwho": "u1", "xcontext": {"note": "one\ntwo\tthree\x01"}}]') == [
        {"xwho": "u1", "xcontext": {"note": "one\ntwo\tthree\x01"}}
    ]


@pytest.mark.parametrize(
    "bad",
    [
        '{"appid": "k", "xwho" "u2"}',
        '{"appid": "k", "xcontext": {"a": tru}}',
        '{"appid": "k", "xcontext": {"a": "an "inner" quote"}}',
        '{"appid": "k", "xcontext": {"a": [{"b": 1}, {"c": NULL}]}}',
        '{"appid": "k", "xcontext": {"a": "ends in the middle}}',
    ],
)
def test_a_broken_record_costs_no_neighbour(bad: str) -> None:
    good = [{"appid": "k", "xwho": name} for name in ("u1", "u3")]
    body = f"[{json.dumps(good[0])} , {bad},\n{json.dumps(good[1])}]".encode()
    assert ark.records(ark.unfold(body, MIB)) == (good, [bad])


def test_what_is_broken_from_one_record_to_the_end_is_one_broken_record() -> None:
    whole, broken = ark.records(b'[{"xwho": "u1"}, {"xwho": {"xwho": {"xwho"]')
    assert (whole, broken) == ([{"xwho": "u1"}], ['{"xwho": {"xwho": {"xwho"'])


def test_looking_for_whole_records_behind_broken_ones_takes_no_square_of_the_length() -> None:
    body = b"[{}," + b",".join(b'{"xwho": [[[}' for _ in range(50_000)) + b"]"
    whole, broken = ark.records(body)
    assert whole == [{}]
    assert len(broken) <= ark.MOST_BROKEN + 1


WRAPPED = [lambda body: body, gzip.compress, base64.b64encode, lambda body: base64.b64encode(gzip.compress(body))]
STRUCTURE = [b'{"":0},', b"[],", b'"ab",', b"1,", b"[[[[[[[[", b'{"a":{"b":[', b"[{},[{}],"]


@pytest.mark.parametrize("wrap", WRAPPED, ids=["plain", "gzip", "base64", "base64 of gzip"])
@pytest.mark.parametrize("part", STRUCTURE)
def test_a_body_of_structure_is_refused_while_it_unfolds(
    part: bytes, wrap: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given eight MiB of objects and values
    size = 8 * MIB
    body = wrap(b"[" + part * (size // len(part)) + b"0]")
    monkeypatch.setattr(ark, "_JSON", None)

    # when it is unfolded
    tracemalloc.start()
    try:
        with pytest.raises(ark.Unreadable) as refused:
            ark.unfold(body, size + MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # then it is refused before anything is parsed, and has taken less than its own size
    assert refused.value.code == 413
    assert peak < size


def test_a_body_in_percent_notation_takes_at_most_three_times_its_size() -> None:
    body = b"data=" + b"%5B%7B" * (MIB // 6 - 1)
    tracemalloc.start()
    try:
        with pytest.raises(ark.Unreadable):
            ark.unfold(body, 8 * MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(body)
    assert refusal(b"data=" + b"%5B" * MIB).code == 413


def test_many_records_of_sdks_are_no_body_of_structure() -> None:
    short = {"appid": "k", "xwho": "u1", "xwhat": "$profile_set", "xcontext": {"a": 1}}
    for record in (short, RECORDS[0], {**short, "xcontext": {f"property{n}": n for n in range(300)}}):
        body = json.dumps([record] * min(ark.MOST_RECORDS, 8 * MIB // len(json.dumps(record)) - 1)).encode()
        assert len(ark.records(ark.unfold(body, 8 * MIB))[0]) > 1


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 65_533, 65_534, 65_535, 65_536, 65_537, 131_071, 200_000])
def test_steps_change_nothing(n: int) -> None:
    plain = b"[" + b"7" * n + b"]"
    for body in (plain, gzip.compress(plain), base64.b64encode(plain), base64.encodebytes(gzip.compress(plain))):
        assert ark.unfold(body, MIB) == plain


def test_the_appkey_is_seen_without_parsing() -> None:
    assert ark.named_key(b'[{"appid" : "other"}, {"appid":"k"}]', {"k"}) == "k"
    assert ark.named_key(b'[{"appid": "other", "xwho": "k"}]', {"k"}) == ""


def test_whose_a_large_body_is_shows_before_most_of_it_is_unfolded() -> None:
    many = json.dumps([{"appid": "key", "xwho": f"u{n}"} for n in range(100_000)]).encode()
    seen: list[int] = []

    def begin(piece: bytearray) -> None:
        seen.append(len(piece))
        assert ark.named_key(piece, {"key"}) == "key"
        raise ark.Unreadable(429, "no more")

    for body in (many, base64.b64encode(many), gzip.compress(many), base64.b64encode(gzip.compress(many))):
        with pytest.raises(ark.Unreadable):
            ark.unfold(body, 8 * MIB, on_begin=begin)
    assert max(seen) <= ark.FIRST_STEP


def test_a_key_behind_a_long_text_is_found_in_the_beginning_as_well() -> None:
    body = json.dumps([{"xwho": "u1", "xcontext": {"note": "x" * 10_000}, "appid": "key"}]).encode()
    seen: list[str] = []
    assert ark.unfold(body, MIB, on_begin=lambda piece: seen.append(ark.named_key(piece, {"key"}))) == body
    assert seen == ["", "key"]


@pytest.mark.parametrize("odd", [b"!", b"\x80", b"{", b"."])
def test_what_is_no_base64_is_told_wherever_it_stands(odd: bytes) -> None:
    body = base64.b64encode(json.dumps([{"appid": "k", "n": "x" * 9_000}]).encode())
    for at in (1, 5_000, len(body) - 5):
        with pytest.raises(ark.Unreadable, match="neither JSON nor base64"):
            ark.unfold(body[:at] + odd + body[at:], MIB)
