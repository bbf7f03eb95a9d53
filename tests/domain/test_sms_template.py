"""What a template's text fills in, and what it is made of."""

from __future__ import annotations

import pytest

from smsapp.domain.sms_template import (
    Audit,
    Purpose,
    compile_text,
    entry,
    fit,
    full_text,
    is_usable,
    neutral,
    pieces,
    variables,
)
from smsapp.domain.template_problems import entry_problems

NOTIFICATION = Purpose.NOTIFICATION


def test_variables_are_named_once_in_the_order_they_appear() -> None:
    assert variables("${b}您好，${a}，${b}") == ("b", "a")
    assert variables("{2}您好{1}") == ("2", "1")
    assert variables("${姓名}您好") == ("姓名",)
    assert variables("100% {名} ${} {0} {100}") == ()


def test_values_are_filled_in_by_the_order_of_the_variables() -> None:
    assert compile_text("${b}您好，${a}，再见${b}")(["张三", "北京"]) == "张三您好，北京，再见张三"
    assert compile_text("{2}和{1}")(("二", "一")) == "二和一"
    assert compile_text("一个${x}")(["100%s"]) == "一个100%s"


def test_a_percent_sign_in_the_text_is_only_a_percent_sign() -> None:
    assert compile_text("返还100%，%s %(x)s ${name}")(["A"]) == "返还100%，%s %(x)s A"
    assert compile_text("返还100%%")([]) == "返还100%%"


def test_the_signature_stands_in_front_in_its_brackets() -> None:
    assert full_text("青禾商城", "您好") == "【青禾商城】您好"
    assert full_text("", "Hello") == "Hello"


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("青禾", "您好"),
        ("【青禾】", "您好"),
        ("", "【青禾】您好"),
        ("", "【青禾】 您好"),
        ("", "您好【青禾】"),
        ("青禾", "【青禾】您好"),
        ("青禾", "您好 【青禾】\r\n"),
    ],
)
def test_a_pasted_signature_is_taken_out_of_the_text(signature: str, text: str) -> None:
    made = entry(name=" 问候 ", text=text, signature=signature, purpose=NOTIFICATION)
    assert (made.name, made.signature, made.text) == ("问候", "青禾", "您好")


def test_another_signature_in_the_text_stays_and_is_a_problem() -> None:
    made = entry(name="问候", text="【别家】您好", signature="青禾", purpose=NOTIFICATION)
    assert "brackets_in_text" in [problem.code for problem in entry_problems(made)]


def test_an_entry_without_a_code_gets_the_same_one_each_time() -> None:
    def made(text: str) -> str:
        return entry(name="x", text=text, purpose=NOTIFICATION).code

    assert made("您好") == made(" 您好 ")
    assert made("您好") != made("再见")


def test_the_text_comes_apart_for_display() -> None:
    assert pieces("您好${name}，{1}") == [("您好", "${name}"), ("，", "{1}"), ("", "")]
    assert pieces("您好") == [("您好", "")]


@pytest.mark.parametrize("audit", Audit)
@pytest.mark.parametrize("purpose", Purpose)
def test_only_an_approved_template_with_a_known_purpose_is_sent(audit: Audit, purpose: Purpose) -> None:
    assert is_usable(audit, purpose) is (audit is Audit.APPROVED and purpose is not Purpose.UNSAID)


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ([], [], True),
        (["name"], ["NAME"], True),
        (["name"], ["1"], True),
        (["1"], ["name"], True),
        (["name"], ["city"], False),
        (["name", "city"], ["city", "name"], False),
        (["name"], [], False),
        (["name"], ["name", "city"], False),
        (["name", "x"], ["name", "y"], False),
    ],
)
def test_variables_fit_if_the_same_values_can_fill_them_in_the_same_order(
    first: list[str], second: list[str], fits: bool
) -> None:
    assert fit(first, second) is fits


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("您好${name}", "您好{1}", True),
        ("${a}${b}${a}", "{2}{1}{2}", True),
        ("${a}${b}", "${a}${a}", False),
        (" 您好，1 ", "您好,１", True),
        ("您好", "你好", False),
        # full-width braces and names look like variables once the width is gone
        ("您好｛1｝", "您好{1}", True),
        ("您好${ｎａｍｅ}", "您好{1}", True),
    ],
)
def test_two_texts_are_alike_however_their_variables_are_written(one: str, other: str, alike: bool) -> None:
    assert (neutral(one) == neutral(other)) is alike
