"""Everything carriers object to in a template, with its place and its facts."""

from __future__ import annotations

from typing import Any

import pytest

from smsapp.domain.errors import Problem
from smsapp.domain.sms_template import Entry, Purpose, Style
from smsapp.domain.template_problems import LONGEST_TEXT, entry_problems, problems

MARKETING, NOTIFICATION = Purpose.MARKETING, Purpose.NOTIFICATION


def text_problem(code: str, warning: bool = False, **facts: Any) -> Problem:
    return Problem(code, "text", facts, warning)


def codes(
    text: str, signature: str = "青禾商城", purpose: Purpose = NOTIFICATION, style: Style | None = None
) -> list[str]:
    return [problem.code for problem in problems(text, signature, purpose, style)]


def errors(
    text: str, signature: str = "青禾商城", purpose: Purpose = NOTIFICATION, style: Style | None = None
) -> list[str]:
    return [problem.code for problem in problems(text, signature, purpose, style) if not problem.warning]


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("您好", None, []),
        (" ", None, [text_problem("template_text_missing")]),
        ("【店】您好", None, [text_problem("brackets_in_text")]),
        ("您好】", None, [text_problem("brackets_in_text")]),
        ("您好$ {name}!", None, [text_problem("brace_unclear", near="{name}")]),
        (
            "a}b{",
            None,
            [text_problem("brace_alone", brace="}", near="a}b"), text_problem("brace_alone", brace="{", near="{")],
        ),
        ("a${x} {y}", None, [text_problem("brace_unclear", near="{y}")]),
        ("${a}和{1}", None, [text_problem("variables_mixed")]),
        ("${a}和{1}", Style.NUMBERED, [text_problem("variables_mixed")]),
        ("您好${a}", Style.NUMBERED, [text_problem("variables_must_be_numbered")]),
        ("您好{1}", Style.NAMED, [text_problem("variables_must_be_named")]),
        ("您好{1}", Style.NUMBERED, []),
        ("您好${a}", Style.NAMED, []),
        ("您好{2}和{4}", None, [text_problem("variable_numbers_gap", missing="{1}, {3}")]),
        ("您好{1}{2}", None, [text_problem("variables_adjacent", first="{1}", second="{2}")]),
        ("您好{1} {2}", None, []),
        ("${a}", None, [text_problem("text_only_variable")]),
        (
            "${a}，${b}，${a}，${b}",
            None,
            [
                text_problem("variable_repeated", warning=True, variable="${a}"),
                text_problem("variable_repeated", warning=True, variable="${b}"),
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_text_is_named(text: str, style: Style | None, expected: list[Problem]) -> None:
    assert problems(text, "青禾", NOTIFICATION, style) == expected
    assert entry_problems(Entry("c", "n", text, "青禾", NOTIFICATION), style) == expected


@pytest.mark.parametrize(
    ("text", "purpose", "expected"),
    [
        ("五折，拒收请回复R", Purpose.UNSAID, []),
        (
            "五折，拒收请回复R",
            NOTIFICATION,
            [text_problem("unsubscribe_out_of_place", warning=True, purpose=NOTIFICATION)],
        ),
        ("您好", NOTIFICATION, []),
        ("五折，拒收请回复R。", MARKETING, []),
        ("拒收请回复R，五折", MARKETING, [text_problem("unsubscribe_not_last", warning=True, words="拒收请回复R")]),
        (
            "五折，回T退订",
            MARKETING,
            [text_problem("unsubscribe_old", warning=True, found="回T退订", words="拒收请回复R")],
        ),
        ("Half price, reply STOP", MARKETING, []),
    ],
)
def test_marketing_says_how_to_refuse_and_other_texts_usually_do_not(
    text: str, purpose: Purpose, expected: list[Problem]
) -> None:
    assert problems(text, "青禾", purpose) == expected
    assert entry_problems(Entry("c", "n", text, "青禾", purpose)) == expected


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("青禾", []),
        ("青" * 12, []),
        ("", [Problem("signature_missing", "signature", warning=True)]),
        ("青", [Problem("signature_unusable", "signature")]),
        ("青" * 13, [Problem("signature_long", "signature", {"length": 13, "usual": 12}, warning=True)]),
        ("青" * 33, [Problem("signature_unusable", "signature")]),
    ],
)
def test_what_is_wrong_with_a_signature_is_named(signature: str, expected: list[Problem]) -> None:
    assert problems("您好", signature, NOTIFICATION) == expected


def test_a_text_may_have_500_characters_with_its_signature() -> None:
    assert problems("中" * (LONGEST_TEXT - 4), "青禾", NOTIFICATION) == []
    assert problems("中" * (LONGEST_TEXT - 3), "青禾", NOTIFICATION) == [
        text_problem("template_text_too_long", length=501, most=500)
    ]


def test_a_name_and_a_code_may_have_120_characters() -> None:
    assert entry_problems(Entry("c" * 120, "n" * 120, "您好", "青禾", NOTIFICATION)) == []
    assert entry_problems(Entry("c" * 121, "n" * 122, "您好", "青禾", NOTIFICATION)) == [
        Problem("template_value_too_long", "code", {"length": 121, "most": 120}),
        Problem("template_value_too_long", "name", {"length": 122, "most": 120}),
    ]
    assert entry_problems(Entry("", "", "您好", "青禾", NOTIFICATION)) == [Problem("template_name_missing", "name")]


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


@pytest.mark.parametrize("signature", ["青", "青禾商城" * 8 + "青", "青禾 商城", "青禾-商城", "【青禾】", "青禾!"])
def test_a_signature_has_2_to_32_letters_and_nothing_else(signature: str) -> None:
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


def test_name_and_code_have_their_limits() -> None:
    long = Entry("c" * 121, "n" * 121, "您好", "青禾", NOTIFICATION)
    assert [problem.place for problem in entry_problems(long)] == ["code", "name"]
    assert [problem.code for problem in entry_problems(Entry("c", "", "您好", "青禾", NOTIFICATION))] == [
        "template_name_missing"
    ]
