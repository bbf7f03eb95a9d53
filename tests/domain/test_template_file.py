"""What the words of a file of templates mean."""

from __future__ import annotations

import pytest

from smsapp.domain.errors import Problem
from smsapp.domain.sms_template import Audit, Entry, Purpose
from smsapp.domain.template_file import AUDITS, COLUMNS, PURPOSES, Reading, Record, column, header_problems, read


def reading(with_code: bool = True, **values: str) -> Reading:
    return read(Record(2, {"code": "A1", "text": "您好"} | values), with_code=with_code)


def entry_of(row: Reading) -> Entry:
    """Return what was read; it has to be usable."""
    assert row.entry is not None, row.problems
    return row.entry


@pytest.mark.parametrize(("ours", "header"), [(ours, alias) for ours, aliases in COLUMNS.items() for alias in aliases])
def test_every_name_of_a_column_is_known_however_it_is_typed(ours: str, header: str) -> None:
    for typed in (header, header.upper(), f" {header} ", f"{header}*", header.replace(" ", "_"), f"\ufeff{header}"):
        assert column(typed) == ours


def test_an_unknown_column_is_told_and_a_slip_of_the_pen_guessed() -> None:
    (unknown,) = header_problems(["内容", "创建时间"])
    assert (unknown.code, unknown.facts["column"]) == ("template_column_unknown", "创建时间")
    (slip,) = header_problems(["内容", "singature"])
    assert (slip.code, slip.facts["near"]) == ("template_column_misspelt", "signature")
    (twice,) = header_problems(["内容", "text"])
    assert twice.code == "template_column_twice"
    assert header_problems(["内容", ""]) == []


@pytest.mark.parametrize(("audit", "word"), [(audit, word) for audit, words in AUDITS.items() for word in words])
def test_every_word_for_an_audit_state_is_known(audit: Audit, word: str) -> None:
    assert reading(status=word).audit is audit
    assert reading(status=f" {word.upper()} ").audit is audit


@pytest.mark.parametrize(("purpose", "word"), [(kind, word) for kind, words in PURPOSES.items() for word in words])
def test_every_word_for_a_kind_of_text_is_known(purpose: Purpose, word: str) -> None:
    assert entry_of(reading(purpose=word)).purpose is purpose


def test_a_word_nobody_knows_is_a_problem_of_the_row() -> None:
    assert [problem.code for problem in reading(status="0").problems] == ["template_status_unknown"]
    assert [problem.code for problem in reading(purpose="好").problems] == ["template_purpose_unknown"]
    assert [problem.code for problem in reading(code=" ").problems] == ["template_code_missing"]


def test_a_file_that_says_nothing_of_kind_and_audit_is_understood_by_its_text() -> None:
    assert entry_of(reading()).purpose is Purpose.NOTIFICATION
    assert entry_of(reading(text="五折，拒收请回复R")).purpose is Purpose.MARKETING
    assert reading().audit is None
    assert reading(status="通过").audit is Audit.APPROVED


def test_a_template_without_a_name_is_called_by_its_code_or_its_first_words() -> None:
    assert entry_of(reading()).name == "A1"
    assert entry_of(reading(with_code=False, code="", text="中" * 30)).name == "中" * 20


def test_what_is_wrong_with_a_header_names_it_and_what_is_known() -> None:
    known = ", ".join(COLUMNS)
    assert header_problems(["创建时间", "singature", "内容", "text", "***"]) == [
        Problem("template_column_unknown", "创建时间", {"column": "创建时间", "known": known}),
        Problem("template_column_misspelt", "singature", {"column": "singature", "known": known, "near": "signature"}),
        Problem("template_column_twice", "text", {"column": "text"}),
    ]


def test_a_row_is_read_into_an_entry_or_into_its_problems() -> None:
    kept = reading(code=" A2 ", name="欢迎", signature="青禾", purpose="营销", status="拒绝", reason=" 含链接 ")
    assert kept.problems == ()
    entry = entry_of(kept)
    assert (entry.code, entry.name, entry.text) == ("A2", "欢迎", "您好")
    assert (entry.signature, entry.purpose) == ("青禾", Purpose.MARKETING)
    assert (kept.audit, kept.reason) == (Audit.REFUSED, "含链接")
    bad = reading(code=" ", purpose="好" * 41, status="0", reason=" r ")
    assert (bad.entry, bad.audit, bad.reason) == (None, None, "r")
    assert bad.problems == (
        Problem("template_code_missing", "code"),
        Problem("template_purpose_unknown", "purpose", {"word": "好" * 40}),
        Problem("template_status_unknown", "status", {"word": "0"}),
    )


def test_a_row_that_could_not_be_read_says_why_and_not_that_its_code_is_missing_too() -> None:
    broken = Problem("row_broken", "row")
    assert read(Record(2, {}, (broken,)), with_code=True).problems == (broken,)
    assert read(Record(2, {"text": "您好"}), with_code=False).problems == ()
