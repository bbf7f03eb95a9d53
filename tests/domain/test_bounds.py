"""What may fill a variable, and what a stranger may not put into it."""

from __future__ import annotations

import re

import pytest

from smsapp.domain.bounds import LONGEST, Bound, Fault, declared, faults, forbidden

FINE = (
    "陈涛",
    "李一一",
    "O'Neil Jr.",
    "J.R.R. Tolkien",
    "A.Co",
    "青禾（上海）有限公司",
    "VIP3",
    "2026-03-01 09:30",
    "18-03-2019 12:30",
    "1985-06-12 09:30",
    "1234.5",
    "订单20260301123456",
    "A100-2026",
    "尾号8000",
    "9:30/10:30",
    "QQ群友",
    "wx",
    "3.14159",
    "😀小明",
)
TRAPS = {
    "，账户异常请立即登录 http://bad.example/x 验证": Fault.LINK,
    "HTTPS://T.CN/x": Fault.LINK,
    "ｈｔｔｐ：／／bad.example": Fault.LINK,
    "点 www.bad": Fault.LINK,
    "登录bad-bank.com领取": Fault.LINK,
    "bad．cn": Fault.LINK,
    "t.xy/abc": Fault.LINK,
    "看192.168.1.9:8080": Fault.LINK,
    "请拨13800138000": Fault.CONTACT,
    "138-0013-8000": Fault.CONTACT,
    "1 3 8 0 0 1 3 8 0 0 0": Fault.CONTACT,
    "１３８００１３８０００": Fault.CONTACT,
    "138\u200b0013\u200b8000": Fault.CONTACT,
    "8613800138000": Fault.CONTACT,
    "+44 7911 123456": Fault.CONTACT,
    "010-62345678": Fault.CONTACT,
    "400-123-4567": Fault.CONTACT,
    "幺三八零零幺三八零零零": Fault.CONTACT,
    "a@bad.example": Fault.CONTACT,
    "QQ:12345678": Fault.CONTACT,
    "加微信 abc_123": Fault.CONTACT,
    "vx：abc123": Fault.CONTACT,
    "第一行\n第二行": Fault.LINE_BREAK,
    "第一行\u2028第二行": Fault.LINE_BREAK,
    "\u202eabc": Fault.LINE_BREAK,
    "【招商银行】您": Fault.SIGNATURE,
    "长" * (LONGEST + 1): Fault.TOO_LONG,
}


@pytest.mark.parametrize("value", FINE)
def test_what_people_are_called_and_buy_fills_a_variable(value: str) -> None:
    assert faults(value, Bound()) == []


@pytest.mark.parametrize(("value", "fault"), TRAPS.items())
def test_links_contact_details_and_line_breaks_do_not(value: str, fault: Fault) -> None:
    assert faults(value, Bound()) == [fault]


def test_a_variable_takes_what_its_template_declares() -> None:
    everything = Bound(longest=100, links=True, contacts=True, lines=True)
    assert [value for value, fault in TRAPS.items() if faults(value, everything)] == ["【招商银行】您"]


def test_the_length_is_the_templates_or_else_the_providers_or_else_ours() -> None:
    assert declared({"longest": 12}, 35) == Bound(12)
    assert declared({"links": True}, 35) == Bound(35, links=True)
    assert declared(None, None) == Bound(LONGEST)


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("contacts", [False, True])
@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("value", ["a\nb", "【店】", "www.example.com", "13800138000", "小明"])
def test_the_expression_and_the_faults_say_the_same(value: str, links: bool, contacts: bool, lines: bool) -> None:
    bound = Bound(60, links, contacts, lines)
    assert bool(re.search(forbidden(bound), value, re.IGNORECASE)) is bool(faults(value, bound))


def test_a_bound_is_read_as_it_was_written() -> None:
    bound = Bound(5, links=True, contacts=False, lines=True)
    assert bound.as_json() == {"longest": 5, "links": True, "contacts": False, "lines": True}
    assert declared(bound.as_json(), 20) == bound
    other = Bound(6, links=False, contacts=True, lines=False)
    assert declared(other.as_json(), None) == other


@pytest.mark.parametrize(
    ("value", "longest", "expected"), [("x" * 5, 5, []), ("x" * 6, 5, [Fault.TOO_LONG]), ("", 5, [])]
)
def test_a_value_may_be_as_long_as_the_bound_and_no_longer(value: str, longest: int, expected: list[Fault]) -> None:
    assert faults(value, Bound(longest)) == expected
