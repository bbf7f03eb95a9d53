"""What an SMSC brings: receipts and replies, kept as they came before they are acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, CallbackRefused, Throttled
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, Reply, SubmitResult
from smsapp.domain.outcome import Outcome
from tests.channels.smsc import deliver, pdu, receipt, smsc, tlv
from tests.channels.transceiver import Inbox, held, made, one, refuses, to
from tests.channels.wire import run

PHONE = "+8613800138000"


def read(adapter: Channel, body: bytes) -> Sequence[Any]:
    return list(adapter.read_callback(Callback("DELIVER", "", {}, pdu(5, 0, 1, body))))


def test_a_receipt_is_kept_as_it_came_before_it_is_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        inbox = Inbox()
        inbox.may_keep.clear()
        async with smsc() as server, held(server, tmp_path, inbox) as (adapter, http):
            raw = receipt("12")
            seq = server.links[0].deliver(raw)
            assert (await adapter.send(to(), http))[0].accepted  # sending goes on meanwhile
            assert server.acknowledged == {}
            inbox.may_keep.set()
            await server.until(lambda: server.acknowledged)
            assert server.acknowledged == {seq: 0}
            assert inbox.kept == [Callback("DELIVER", "", {}, pdu(5, 0, seq, raw))]
            assert adapter.read_callback(inbox.kept[0]) == [
                Receipt(ReceiptStatus.DELIVERED, provider_ref="12", phone=PHONE, code="DELIVRD")
            ]

    run(story())


def test_what_cannot_be_kept_is_asked_for_again(tmp_path: Path) -> None:
    async def story() -> None:
        inbox = Inbox()
        inbox.broken = True
        async with smsc() as server, held(server, tmp_path, inbox):
            seq = server.links[0].deliver(receipt("12"))
            await server.until(lambda: server.acknowledged)
            assert server.acknowledged == {seq: 0x64}
            inbox.broken = False
            seq = server.links[0].deliver(receipt("12"))
            await server.until(lambda: seq in server.acknowledged)
            assert server.acknowledged[seq] == 0

    run(story())


def test_thousands_of_receipts_at_once_are_all_kept_and_answered(tmp_path: Path) -> None:
    async def story() -> None:
        inbox = Inbox()
        inbox.may_keep.clear()
        async with smsc() as server, held(server, tmp_path, inbox):
            for n in range(5000):
                server.links[0].deliver(receipt(str(n)))
            await asyncio.sleep(0.05)
            inbox.may_keep.set()
            await server.until(lambda: len(server.acknowledged) == 5000)
            assert len(inbox.kept) == 5000

    run(story())


@pytest.mark.parametrize(
    ("stat", "err", "news", "outcome"),
    [
        ("DELIVRD", "000", ReceiptStatus.DELIVERED, None),
        ("EXPIRED", "000", ReceiptStatus.UNDELIVERED, Outcome.EXPIRED),
        ("UNDELIV", "027", ReceiptStatus.UNDELIVERED, Outcome.UNKNOWN),
        ("REJECTD", "0", ReceiptStatus.UNDELIVERED, Outcome.BLOCKED_BY_CARRIER),
        ("DELETED", "000", ReceiptStatus.UNDELIVERED, Outcome.PROVIDER_FAULT),
        ("ENROUTE", "000", ReceiptStatus.ACCEPTED, None),
        ("ACCEPTD", "000", ReceiptStatus.ACCEPTED, None),
        ("UNKNOWN", "000", ReceiptStatus.ACCEPTED, None),
        ("BUFFRED", "4F1", ReceiptStatus.ACCEPTED, None),
    ],
)
def test_a_receipts_word_means_what_the_table_says(
    stat: str, err: str, news: ReceiptStatus, outcome: Outcome | None, tmp_path: Path
) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path)
    code = stat if err.strip("0") == "" else f"{stat}/{err}"
    expected = [Receipt(news, provider_ref="a1", phone=PHONE, outcome=outcome, code=code)]
    assert read(adapter, receipt("00A1", stat, err)) == expected
    assert read(adapter, receipt("00A1", stat, err)) == expected


def test_a_receipt_may_have_optional_parameters_only(tmp_path: Path) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path)
    ids = tlv(0x1E, b"77\0")
    body = deliver(b"", esm_class=4, extra=ids + tlv(0x427, b"\x05") + tlv(0x423, b"\x03\x00\x1b"))
    assert read(adapter, body) == [
        Receipt(ReceiptStatus.UNDELIVERED, provider_ref="77", phone=PHONE, outcome=Outcome.UNKNOWN, code="UNDELIV/27")
    ]
    # some forget to say that it is a receipt, some invent states
    assert read(adapter, deliver(b"", extra=ids + tlv(0x427, b"\x02")))[0].status is ReceiptStatus.DELIVERED
    assert read(adapter, deliver(b"", esm_class=4, extra=ids + tlv(0x427, b"\x63")))[0].code == "STATE-99"


def test_a_receipt_in_a_message_payload_is_read_too(tmp_path: Path) -> None:
    text = b"id:9 stat:DELIVRD"
    (receipt,) = read(made("smpp://127.0.0.1:1", tmp_path), deliver(b"", esm_class=4, extra=tlv(0x424, text)))
    assert receipt == Receipt(ReceiptStatus.DELIVERED, provider_ref="9", phone=PHONE, code="DELIVRD")


@pytest.mark.parametrize(
    ("ids", "in_answer", "in_receipt"),
    [
        ("same", "0000000123", "123"),
        ("same", "A1B2C3", "a1b2c3"),
        ("same", "3f2a-77Zz", "3f2a-77Zz"),
        ("hex-dec", "1F", "31"),
        ("hex-dec", "0x1f", "0000000031"),
        ("dec-hex", "31", "1F"),
    ],
)
def test_ids_are_compared_the_way_each_side_writes_them(
    ids: str, in_answer: str, in_receipt: str, tmp_path: Path
) -> None:
    async def story() -> SubmitResult | BaseException:
        async with smsc(lambda link, submit: link.answer(submit, in_answer)) as server:
            return await one(server, tmp_path, ids=ids)

    answer = run(story())
    assert isinstance(answer, SubmitResult)
    (item,) = read(made("smpp://127.0.0.1:1", tmp_path, ids=ids), receipt(in_receipt))
    assert answer.provider_ref == item.provider_ref


@pytest.mark.parametrize(
    ("text", "coding", "alphabet", "expected"),
    [
        (b"STOP", 0, "gsm", "STOP"),
        (b"\x00\x1b\x65 5", 0, "gsm", "@€ 5"),
        ("José".encode("latin-1"), 0, "latin1", "José"),
        ("José".encode("latin-1"), 3, "gsm", "José"),
        ("退订😀".encode("utf-16-be"), 8, "gsm", "退订😀"),
        ("退订".encode("utf-16-be"), 0x18, "gsm", "退订"),
        (b"flash", 0xF0, "gsm", "flash"),
        ("стоп".encode("iso8859-5"), 6, "gsm", "стоп"),
        (b"\xd8", 8, "gsm", "\ufffd"),
    ],
)
def test_a_reply_is_read_in_its_own_letters(
    text: bytes, coding: int, alphabet: str, expected: str, tmp_path: Path
) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path, alphabet=alphabet)
    assert read(adapter, deliver(text, coding=coding)) == [Reply("+8613800138000", expected)]


@pytest.mark.parametrize(
    ("source", "ton", "country", "phone"),
    [
        ("13800138021", 2, "CN", "+8613800138021"),
        ("15122345678", 0, "CN", "+8615122345678"),
        ("15122345678", 2, "CN", "+8615122345678"),
        ("15122345678", 1, "CN", "+15122345678"),
        ("07911123456", 2, "GB", "+447911123456"),
        ("10690001", 3, "CN", "10690001"),
        ("Bank", 5, "CN", "Bank"),
    ],
)
def test_the_sender_of_a_reply_is_read_with_its_type_and_the_channels_country(
    source: str, ton: int, country: str, phone: str, tmp_path: Path
) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path)
    adapter.country = country
    assert read(adapter, deliver(b"TD", source=source, ton=ton)) == [Reply(phone, "TD")]


@pytest.mark.parametrize(
    "header", [b"\x05\x00\x03\x4d\x02", b"\x06\x08\x04\x00\x4d\x02", b"\x0b\x05\x04\x15\x8a\x00\x00\x00\x03\x4d\x02"]
)
def test_a_reply_in_parts_is_one_reply_whatever_their_order(header: bytes, tmp_path: Path) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path)

    def part(number: int, text: str, source: str = "8613800138000") -> bytes:
        raw = header + bytes((number,)) + text.encode("utf-16-be")
        return deliver(raw, esm_class=0x40, coding=8, source=source)

    assert read(adapter, part(2, "不要了")) == []
    assert read(adapter, part(1, "另一个人", "8613800138001")) == []
    assert read(adapter, part(2, "不要了")) == []
    assert read(adapter, part(1, "请把我删除，")) == [Reply("+8613800138000", "请把我删除，不要了")]
    # what is read again, because a transaction was lost, says the same again
    assert read(adapter, part(1, "请把我删除，")) == [Reply("+8613800138000", "请把我删除，不要了")]
    # a later text with the same number is another one
    assert read(adapter, part(1, "你好，")) == []
    assert read(adapter, part(2, "再见")) == [Reply("+8613800138000", "你好，再见")]


def test_a_reply_in_sar_parts_is_one_reply(tmp_path: Path) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path)

    def part(number: int, text: bytes) -> bytes:
        place = tlv(0x20C, b"\x00\x07") + tlv(0x20E, b"\x02") + tlv(0x20F, bytes((number,)))
        return deliver(text, extra=place)

    assert read(adapter, part(1, b"one ")) == []
    assert read(adapter, part(2, b"two")) == [Reply("+8613800138000", "one two")]


def test_what_is_neither_receipt_nor_text_says_nothing_and_what_is_cut_short_is_a_value_error(tmp_path: Path) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path)
    assert read(adapter, deliver(b"read", esm_class=0x10)) == []
    with pytest.raises(ValueError, match="no id"):
        read(adapter, deliver(b"hello", esm_class=4))
    whole = receipt("1")
    for end in range(len(whole)):
        with contextlib.suppress(ValueError):
            read(adapter, whole[:end])
    with pytest.raises(ValueError, match="no deliver_sm"):
        adapter.read_callback(Callback("POST", "", {}, pdu(5, 0, 1, whole)))


def test_nobody_can_bring_receipts_over_http(tmp_path: Path) -> None:
    with pytest.raises(CallbackRefused):
        made("smpp://127.0.0.1:1", tmp_path).verify_callback(Callback("POST", "", {}, b"x"))


def test_the_providers_own_codes_mean_what_the_settings_say(tmp_path: Path) -> None:
    own = "0x411 = balance\n0x412 = switched_off\n0x00000413 = throttled\n\n"
    own += "UNDELIV/027 = switched_off\nNOROUTE = bad_number"

    async def story(status: int) -> Any:
        async with smsc(refuses(status)) as server:
            return await one(server, tmp_path, own_codes=own)

    assert isinstance(run(story(0x411)), AccountError)
    assert run(story(0x412)).outcome is Outcome.SWITCHED_OFF
    assert isinstance(run(story(0x413)), Throttled)
    adapter = made("smpp://127.0.0.1:1", tmp_path, own_codes=own)
    assert read(adapter, receipt("5", "UNDELIV", "027")) == [
        Receipt(
            ReceiptStatus.UNDELIVERED, provider_ref="5", phone=PHONE, outcome=Outcome.SWITCHED_OFF, code="UNDELIV/027"
        )
    ]
    assert read(adapter, receipt("5", "NOROUTE"))[0].outcome is Outcome.BAD_NUMBER


@pytest.mark.parametrize(
    ("text", "id", "code"),
    [
        ("id:A1 sub:001 dlvrd:001 stat:DELIVRD err:000 text:Order id:77 stat:ok", "a1", "DELIVRD"),
        ("id:A1 stat:UNDELIV err: text:Hello", "a1", "UNDELIV"),
        ("id:A1 stat:UNDELIV err: Text:id:77 err:9", "a1", "UNDELIV"),
        ("id:A1 err: stat:UNDELIV text:", "a1", "UNDELIV"),
        ("id:A1 err:027 submit date:2603021000 done date:2603021001 stat:UNDELIV text:\u9752", "a1", "UNDELIV/027"),
    ],
)
@pytest.mark.parametrize("coding", ["latin-1", "utf-16-be", "utf-16-le"])
def test_the_fields_of_a_receipt_end_where_its_text_begins(
    text: str, id: str, code: str, coding: str, tmp_path: Path
) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path)
    body = deliver(text.encode(coding, "replace"), esm_class=4, coding=0 if coding == "latin-1" else 8)
    (item,) = read(adapter, body)
    assert (item.provider_ref, item.code, item.phone) == (id, code, PHONE)


def test_a_receipt_that_comes_from_our_own_sender_is_about_its_destination(tmp_path: Path) -> None:
    adapter = made("smpp://127.0.0.1:1", tmp_path, source="8613800138000")
    (item,) = read(adapter, receipt("1", destination="13900139000"))
    assert item.phone == "+8613900139000"
