"""Everything carriers object to in a template, with its place and its facts."""

from __future__ import annotations

from typing import Any

import pytest

from smsapp.domain.billed_parts import Measure, measure
from smsapp.domain.errors import Problem
from smsapp.domain.sms_template import Entry, Purpose, Style
from smsapp.domain.template_problems import LONGEST_TEXT, entry_problems, problems

PLAIN, MARKETING = Purpose.NOTIFICATION, Purpose.MARKETING


def text_problem(code: str, warning: bool = False, **facts: Any) -> Problem:
    return Problem(code, "text", facts, warning)


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
    assert problems(text, "青禾", PLAIN, style) == expected
    assert entry_problems(Entry("c", "n", text, "青禾", PLAIN), style) == expected


@pytest.mark.parametrize(
    ("text", "purpose", "expected"),
    [
        ("五折，拒收请回复R", Purpose.UNSAID, []),
        ("五折，拒收请回复R", PLAIN, [text_problem("unsubscribe_out_of_place", purpose=PLAIN)]),
        ("您好", PLAIN, []),
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
def test_marketing_says_how_to_refuse_and_nothing_else_does(
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
        ("青" * 13, [Problem("signature_unusable", "signature")]),
    ],
)
def test_what_is_wrong_with_a_signature_is_named(signature: str, expected: list[Problem]) -> None:
    assert problems("您好", signature, PLAIN) == expected


def test_a_text_may_have_500_characters_with_its_signature() -> None:
    assert problems("中" * (LONGEST_TEXT - 4), "青禾", PLAIN) == []
    assert problems("中" * (LONGEST_TEXT - 3), "青禾", PLAIN) == [
        text_problem("template_text_too_long", length=501, most=500)
    ]


def test_a_name_and_a_code_may_have_120_characters() -> None:
    assert entry_problems(Entry("c" * 120, "n" * 120, "您好", "青禾", PLAIN)) == []
    assert entry_problems(Entry("c" * 121, "n" * 122, "您好", "青禾", PLAIN)) == [
        Problem("template_value_too_long", "code", {"length": 121, "most": 120}),
        Problem("template_value_too_long", "name", {"length": 122, "most": 120}),
    ]
    assert entry_problems(Entry("", "", "您好", "青禾", PLAIN)) == [Problem("template_name_missing", "name")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 71, Measure(71, 2, 1, 63)),
        ("a" * 161, Measure(161, 3, 2, 40)),
        ("中" * 70, Measure(70, 1, 1, 0)),
        ("中" * 71 + "${name}", Measure(71, 2, 2, 63)),
    ],
)
def test_a_template_is_measured_for_china_and_abroad(text: str, expected: Measure) -> None:
    assert measure("", text) == expected
