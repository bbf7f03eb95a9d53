"""Links and phone numbers in texts: every text of the corpus, and what carriers take of them in one template."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from smsapp.domain.contact_details import contact_details, contact_problems, link_variables

CORPUS: list[list[str]] = yaml.safe_load((Path(__file__).parent / "texts_with_contacts.yaml").read_text())


def test_the_corpus_is_large_enough_and_says_nothing_twice() -> None:
    texts = [text for text, *_ in CORPUS]
    assert len(texts) >= 200
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(("text", "expected"), [(text, expected) for text, *expected in CORPUS])
def test_every_link_and_number_of_a_text_is_seen_and_nothing_else(text: str, expected: list[str]) -> None:
    assert [f"{info.kind} {info.value}" for info in contact_details(text)] == expected


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("戳t.cn/a", []),
        ("戳t.cn/a或t.cn/b", ["links_too_many"]),
        ("戳t.cn/a，或看${url}", ["links_too_many"]),
        ("戳https://t.cn/${url}", []),
        ("致电95588或400-820-8820", []),
        ("致电95588、95566或400-820-8820", ["contacts_too_many"]),
        ("致电13800138000", ["mobile_contact"]),
    ],
)
def test_more_than_a_link_or_two_contacts_is_warned_of_and_a_mobile_number_is_an_error_for_some(
    text: str, codes: list[str]
) -> None:
    problems = contact_problems(text, {}, mobiles_allowed=False)
    assert [problem.code for problem in problems] == codes
    assert [problem.code for problem in problems if not problem.warning] == [code for code in codes if "mobile" in code]
    assert "mobile_contact" not in [problem.code for problem in contact_problems(text, {})]


def test_a_variable_may_hold_a_link_by_its_name_or_because_the_template_declares_it() -> None:
    text = "${name}，请看${orderUrl}，或${more}"
    assert link_variables(text, {}) == ["orderUrl"]
    assert link_variables(text, {"more": {"links": True}, "name": {"links": False}}) == ["orderUrl", "more"]
