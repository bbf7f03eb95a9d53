"""What a template's text fills in, costs and may not contain."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain.billed_parts import GSM_EXTENSION, characters, measure, parts, parts_of_all
from smsapp.domain.sms_template import (
    Audit,
    Entry,
    Purpose,
    Style,
    compile_text,
    entry,
    fit,
    full_text,
    is_usable,
    neutral,
    pieces,
    variables,
)
from smsapp.domain.template_problems import entry_problems, problems

MARKETING, NOTIFICATION = Purpose.MARKETING, Purpose.NOTIFICATION


def codes(
    text: str, signature: str = "青禾商城", purpose: Purpose = NOTIFICATION, style: Style | None = None
) -> list[str]:
    return [problem.code for problem in problems(text, signature, purpose, style)]


def errors(
    text: str, signature: str = "青禾商城", purpose: Purpose = NOTIFICATION, style: Style | None = None
) -> list[str]:
    return [problem.code for problem in problems(text, signature, purpose, style) if not problem.warning]


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
    ("length", "billed"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (160, 3), (201, 3), (202, 4)]
)
@pytest.mark.parametrize("letter", ["中", "a"])
def test_a_chinese_number_is_billed_70_and_67_even_for_ascii(letter: str, length: int, billed: int) -> None:
    assert parts(letter * length, domestic=True) == billed


@pytest.mark.parametrize(
    ("text", "billed"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("é" * 160, 1),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("[" * 80, 1),
        ("[" * 81, 2),
        ("`" * 70, 1),  # a back quote is ASCII but not GSM-7
        ("`" * 71, 2),
        ("中" * 70, 1),
        ("中" * 71, 2),
        ("a" * 152 + "[" + "a" * 152, 3),  # the escape pair does not fit behind 152, so it begins the second part
        ("a" * 151 + "[" + "a" * 153, 2),
        ("é" * 152 + "€" + "a" * 152, 3),
    ],
)
def test_elsewhere_gsm_7_holds_more_and_never_cuts_an_escape_pair(text: str, billed: int) -> None:
    assert parts(text, domestic=False) == billed


@pytest.mark.parametrize("domestic", [True, False])
def test_an_emoji_counts_two_and_is_never_cut(domestic: bool) -> None:
    assert characters("😀") == 2
    assert parts("😀" * 35, domestic) == 1
    assert parts("😀" * 36, domestic) == 2
    assert parts("中" * 66 + "😀" + "中" * 67, domestic) == 3  # 135 units: two parts of 67 would cut the emoji
    assert parts("中" * 65 + "😀" + "中" * 67, domestic) == 2


def test_no_text_costs_nothing() -> None:
    assert parts("", domestic=True) == parts("", domestic=False) == 0


def cut(text: str, rooms: tuple[int, int], width: Callable[[str], int]) -> int:
    """Count parts the slow way: letter by letter."""
    widths = [width(letter) for letter in text]
    if sum(widths) <= rooms[0]:
        return 1
    count, used = 1, 0
    for size in widths:
        if used + size > rooms[1]:
            count, used = count + 1, 0
        used += size
    return count


@given(st.text(alphabet="a中😀[€é\n", min_size=1, max_size=400))
def test_the_quick_count_is_the_slow_one(text: str) -> None:
    units = cut(text, (70, 67), lambda letter: 1 + (letter > "\uffff"))
    assert parts(text, domestic=True) == units
    gsm = not set(text) & {"中", "😀"}
    septets = cut(text, (160, 153), lambda letter: 1 + (letter in GSM_EXTENSION))
    assert parts(text, domestic=False) == (septets if gsm else units)


def test_half_of_an_emoji_is_counted_and_not_a_crash() -> None:
    assert characters("\ud83d") == 1
    assert parts("\ud83d" * 71, domestic=True) == 2


def test_a_fine_text_has_no_problem() -> None:
    assert codes("您的订单${order}已发货，预计${day}送达。") == []
    assert codes("会员日全场五折，拒收请回复R", purpose=MARKETING) == []
    assert codes("Your order {1} is on its way to {2}.") == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "template_text_missing"),
        (" \n ", "template_text_missing"),
        ("【青禾】您好", "brackets_in_text"),
        ("您好${name}，{1}件", "variables_mixed"),
        ("您好{1}，{3}件", "variable_numbers_gap"),
        ("您好{2}，再见", "variable_numbers_gap"),
        ("您好${a}${b}", "variables_adjacent"),
        ("您好{1}{2}。", "variables_adjacent"),
        ("${a}", "text_only_variable"),
        (" {1} ", "text_only_variable"),
        ("您好${name", "brace_unclear"),
        ("您好${}", "brace_unclear"),
        ("您好${first name}", "brace_unclear"),
        ("您好{name}", "brace_unclear"),
        ("您好{0}", "brace_unclear"),
        ("您好}", "brace_alone"),
        ("满100{减20", "brace_alone"),
        ("中" * 495, "template_text_too_long"),
        ("您好，拒收请回复R", "unsubscribe_out_of_place"),
        ("您好，回T退订", "unsubscribe_out_of_place"),
    ],
)
def test_what_providers_refuse_is_an_error(text: str, code: str) -> None:
    assert code in errors(text)


def test_the_numbers_that_are_missing_are_named() -> None:
    (problem,) = problems("您好{4}，{2}件", "青禾", NOTIFICATION)
    assert problem.facts == {"missing": "{1}, {3}"}


def test_500_characters_with_the_signature_are_still_fine() -> None:
    assert errors("中" * 494) == []


@pytest.mark.parametrize("words", ["拒收请回复R", "拒收请回复r", "拒收请回复Ｒ", "拒收 请回复 R", "拒收请回复R。"])
def test_marketing_says_how_to_refuse(words: str) -> None:
    assert codes(f"全场五折，{words}", purpose=MARKETING) == []


@pytest.mark.parametrize(
    "words", ["回T退订", "退订回T", "回复TD退订", "退订回复TD", "拒收回R", "退订请回复T", "回Ｎ退订"]
)
def test_older_forms_of_refusing_are_a_warning(words: str) -> None:
    (problem,) = problems(f"全场五折，{words}", "青禾", MARKETING)
    assert problem.code == "unsubscribe_old"
    assert problem.warning


def test_marketing_without_a_way_to_refuse_is_an_error() -> None:
    assert errors("全场五折", purpose=MARKETING) == ["unsubscribe_missing"]
    assert errors("全场五折，不喜欢就算了", purpose=MARKETING) == ["unsubscribe_missing"]
    assert errors("Half price today", "", MARKETING) == ["unsubscribe_missing"]


def test_marketing_abroad_may_say_stop() -> None:
    assert errors("Half price today. Reply STOP to opt out", "", MARKETING) == []


def test_the_way_to_refuse_should_come_last() -> None:
    (problem,) = problems("拒收请回复R，全场五折", "青禾", MARKETING)
    assert (problem.code, problem.warning) == ("unsubscribe_not_last", True)


@pytest.mark.parametrize(
    "signature", ["青", "青禾商城青禾商城青禾商城青", "青禾 商城", "青禾-商城", "【青禾】", "青禾!"]
)
def test_a_signature_has_2_to_12_letters_and_nothing_else(signature: str) -> None:
    assert "signature_unusable" in errors("您好", signature)


@pytest.mark.parametrize("signature", ["青禾", "青禾商城2026", "Qinghe", "青禾商城青禾商城青禾商城"])
def test_a_usual_signature_is_fine(signature: str) -> None:
    assert codes("您好", signature) == []


def test_no_signature_is_a_warning_because_other_countries_have_none() -> None:
    (problem,) = problems("Hello", "", NOTIFICATION)
    assert (problem.code, problem.warning) == ("signature_missing", True)


def test_a_channel_may_want_its_own_style_of_variables() -> None:
    assert errors("您好${name}", style=Style.NUMBERED) == ["variables_must_be_numbered"]
    assert errors("您好{1}", style=Style.NAMED) == ["variables_must_be_named"]
    assert errors("您好{1}", style=Style.NUMBERED) == errors("您好${name}", style=Style.NAMED) == []


def test_a_variable_used_twice_is_a_warning() -> None:
    (problem,) = problems("${name}您好，再见${name}", "青禾", NOTIFICATION)
    assert (problem.code, problem.warning) == ("variable_repeated", True)


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


def test_name_and_code_have_their_limits() -> None:
    long = Entry("c" * 121, "n" * 121, "您好", "青禾", NOTIFICATION)
    assert [problem.place for problem in entry_problems(long)] == ["code", "name"]
    assert [problem.code for problem in entry_problems(Entry("c", "", "您好", "青禾", NOTIFICATION))] == [
        "template_name_missing"
    ]


def test_the_measure_counts_without_values_and_says_what_room_they_have() -> None:
    found = measure("青禾", "您好${name}")
    assert (found.characters, found.parts, found.parts_abroad, found.room) == (6, 1, 1, 64)
    assert measure("", "").room == 70
    assert (measure("", "a" * 71).parts, measure("", "a" * 71).room) == (2, 63)


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


@pytest.mark.parametrize(
    "texts", [[], [""], ["您好"], ["中" * 70, "中" * 71], ["😀" * 35, "a" * 71], ["😀" * 36, "中" * 134]]
)
def test_many_texts_have_as_many_parts_as_each_of_them(texts: list[str]) -> None:
    for here in (True, False):
        assert parts_of_all(texts, [here] * len(texts)) == [parts(text, here) for text in texts]
    with pytest.raises(ValueError, match="zip"):
        parts_of_all(texts, [True] * (len(texts) + 1))
