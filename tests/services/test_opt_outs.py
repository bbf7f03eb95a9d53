"""The list of numbers nobody writes to."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol

import openpyxl
import pytest
from flask import Flask
from openpyxl.worksheet.worksheet import Worksheet

from smsapp.domain.errors import NotFound, Refusal
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import replies
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry
from tests import builders

P = ParamSpec("P")
ACTOR = Actor("olga")


class Add(Protocol):
    """Puts a number on the list."""

    def __call__(self, typed: str, remark: str = "") -> bool: ...


@pytest.fixture
def add(app: Flask, now: dt.datetime) -> Add:
    def call(typed: str, remark: str = "") -> bool:
        return opt_outs.add(typed, remark, ACTOR, now)

    return call


def listed(**given: Any) -> list[str]:
    return [row.phone for row in opt_outs.find_page(**given)]


def refused(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> list[tuple[str, str]]:
    with pytest.raises(Refusal) as caught:
        call(*args, **kwargs)
    return [(problem.code, problem.place) for problem in caught.value.problems]


def test_a_number_added_by_hand_is_on_the_list_once(add: Add, now: dt.datetime) -> None:
    assert add("138 0013 8000", " 热线要求 ")
    assert not add("+8613800138000")
    (row,) = opt_outs.find_page()
    assert (row.phone, row.source, row.note, row.at) == ("+8613800138000", "person", "热线要求", now)
    (line,) = current_session().query(AuditEntry)
    assert (line.action, line.noun, line.noun_id) == ("create", "opt_out", "138****8000")


def test_what_is_no_number_is_refused(add: Add) -> None:
    assert refused(add, "abc") == [("number_unreadable", "phone")]
    assert refused(add, " ") == [("number_missing", "phone")]


def test_a_number_is_taken_off_only_with_a_reason(add: Add, now: dt.datetime) -> None:
    add("13800138000")
    (row,) = opt_outs.find_page()
    assert refused(opt_outs.remove, row.id, " ", ACTOR, now) == [("consent_reason_missing", "reason")]
    opt_outs.remove(row.id, "3月1日在门店重新同意", ACTOR, now)
    assert listed() == []
    line = builders.existing(current_session().query(AuditEntry).order_by(AuditEntry.id.desc()).first())
    assert (line.action, line.noun_id, line.facts) == ("delete", "138****8000", {"reason": "3月1日在门店重新同意"})
    with pytest.raises(NotFound):
        opt_outs.remove(row.id, "x", ACTOR, now)
    with pytest.raises(NotFound):
        opt_outs.get(row.id)


def test_a_number_is_found_whole_and_by_its_last_digits(add: Add) -> None:
    for typed in ("13800138000", "13900138000", "13800130001", "+85291234567"):
        add(typed)
    assert listed(digits="138 0013 8000") == ["+8613800138000"]
    assert listed(digits="8000") == ["+8613900138000", "+8613800138000"]
    assert listed(digits="+852 9123 4567") == ["+85291234567"]
    assert listed(digits="%") == listed(digits="张三") == []
    assert opt_outs.find("13800138000").phone == "+8613800138000"
    with pytest.raises(NotFound):
        opt_outs.find("13700000000")
    assert refused(opt_outs.find, "x") == [("number_unreadable", "phone")]


def test_pages_follow_one_another(add: Add) -> None:
    for last in range(5):
        add(f"1380013800{last}")
    first = opt_outs.find_page(limit=3)
    assert [row.phone[-1] for row in first] == ["4", "3", "2"]
    assert [row.phone[-1] for row in opt_outs.find_page(before=first[-1].id)] == ["1", "0"]


def test_a_file_brings_its_numbers_and_tells_the_rows_without_one(app: Flask, add: Add, now: dt.datetime) -> None:
    add("13800138000")
    content = "姓名,手机号,备注\n张三,138-0013-8000,旧\n李四,13900139000,投诉\n王五,12345,\n,,\n赵六,,无\n"
    content += "李四,13900139000,再来\n"
    done = opt_outs.take_file(content.encode("gbk"), ACTOR, now)
    assert (done.added, done.known, done.refused) == (1, 2, 2)
    assert [(row, problem.code) for row, problem in done.complaints] == [
        (4, "number_unreadable"),
        (6, "number_missing"),
    ]
    (row, _before) = opt_outs.find_page()
    assert (row.phone, row.source, row.note) == ("+8613900139000", "import", "投诉")
    line = builders.existing(current_session().query(AuditEntry).order_by(AuditEntry.id.desc()).first())
    assert (line.action, line.facts) == ("import", {"added": 1, "known": 2, "refused": 2})


def test_a_plain_list_of_numbers_needs_no_header(app: Flask, now: dt.datetime) -> None:
    done = opt_outs.take_file(b"13800138000\n\n13900139000\r\n", ACTOR, now)
    assert (done.added, done.refused) == (2, 0)


def test_numbers_that_excel_keeps_as_numbers_are_read(app: Flask, now: dt.datetime) -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for cells in (["phone"], [13800138000], [13900139000.0], ["=A2"]):
        sheet.append(cells)
    book.save(out)
    done = opt_outs.take_file(out.getvalue(), ACTOR, now)
    assert (done.added, done.refused) == (2, 1)
    assert [(row, problem.code) for row, problem in done.complaints] == [(4, "sheet_formula")]


def test_a_long_file_is_kept_and_its_complaints_are_bounded(app: Flask, now: dt.datetime) -> None:
    good = "".join(f"138{n:08d}\n" for n in range(1200))
    done = opt_outs.take_file((good + "x\n" * 1100).encode(), ACTOR, now)
    assert (done.added, done.refused, len(done.complaints)) == (1200, 1100, 1000)
    assert len(list(opt_outs.everyone())) == 1200
    numbers = [f"+86138{n:08d}" for n in range(0, 2400, 2)]
    assert len(replies.opted_out(numbers)) == 600


@pytest.mark.parametrize("content", [b"%PDF-1.7 \x00", b"", b"PK\x03\x04 no workbook", "手机号\n".encode()])
def test_a_file_that_cannot_be_read_is_refused_whole(app: Flask, now: dt.datetime, content: bytes) -> None:
    with pytest.raises(Refusal):
        opt_outs.take_file(content, ACTOR, now)
    assert current_session().query(AuditEntry).count() == 0


def test_the_list_is_streamed_oldest_first(add: Add, now: dt.datetime) -> None:
    add("13800138000")
    opt_outs.add("13900139000", "", ACTOR, now + dt.timedelta(days=1))
    assert [row.phone for row in opt_outs.everyone()] == ["+8613800138000", "+8613900139000"]


def test_who_may_not_see_numbers_looks_for_a_whole_one_or_four_digits(add: Add) -> None:
    add("13800138000")
    assert [row.phone for row in opt_outs.find_page(digits="138000", sees_full_numbers=True)] == ["+8613800138000"]
    assert opt_outs.find_page(digits="138000") == []
    for digits in ("8000", "138 0013 8000"):
        assert [row.phone for row in opt_outs.find_page(digits=digits)] == ["+8613800138000"]


def test_a_list_of_opt_outs_is_read_as_spreadsheets_and_programs_save_it(app: Flask, now: dt.datetime) -> None:
    head = "sep=;\n;;\n姓名;手机号\t;备注\n"
    text = head + '张三;="13800138001"\t;=甲\n;;\n李四;13800138002.0;x\n王五;1.38E+10;y\n赵六;"138\n'
    done = opt_outs.take_file(text.encode("utf-16-le"), ACTOR, now)
    assert [row.phone for row in opt_outs.everyone()] == ["+8613800138001", "+8613800138002"]
    assert [(row, problem.code) for row, problem in done.complaints] == [
        (6, "number_unreadable"),
        (7, "record_bad_quotes"),
    ]
