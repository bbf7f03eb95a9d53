"""Files of templates: good rows are kept beside bad ones, and the same file again changes nothing."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import zipfile
from collections.abc import Sequence
from typing import Protocol

import openpyxl
import pytest
import yaml
from flask import Flask
from openpyxl.worksheet.worksheet import Worksheet

from smsapp.domain.errors import NotFound, Refusal
from smsapp.services.platform.audit_log import Actor
from smsapp.services.tables import limited
from smsapp.services.templates import sms_templates, template_files, template_imports
from smsapp.services.templates.template_imports import ImportResult
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry
from tests import builders

ACTOR = Actor("flask templates")
HEADERS = ["模板编号", "名称", "内容", "签名", "类型", "审核状态", "原因"]
ROWS = [
    ["SMS_1", "发货", "您的订单${order}已发货。", "青禾商城", "通知", "审核通过", ""],
    ["SMS_2", "促销", "全场五折，拒收请回复R", "青禾商城", "营销", "待审核", ""],
    ["SMS_3", "积分", "您有{1}积分。", "青禾商城", "通知", "审核不通过", "变量过多"],
]


class Take(Protocol):
    """Takes in a file for the channel under test."""

    def __call__(self, name: str, content: bytes | str, *, dry_run: bool = False) -> ImportResult: ...


def as_csv(rows: list[list[str]], headers: list[str] = HEADERS, delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([headers, *rows])
    return out.getvalue()


def as_xlsx(rows: Sequence[Sequence[str | float]]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in rows:
        sheet.append(list(row))
    book.save(out)
    return out.getvalue()


def records(rows: list[list[str]] = ROWS, headers: list[str] = HEADERS) -> list[dict[str, str]]:
    return [dict(zip(headers, row, strict=True)) for row in rows]


FILES = {
    "t.csv": as_csv(ROWS).encode(),
    "bom.csv": as_csv(ROWS).encode("utf-8-sig"),
    "gbk.csv": as_csv(ROWS).encode("gbk"),
    "utf16.csv": as_csv(ROWS).encode("utf-16"),
    "semicolons.csv": as_csv(ROWS, delimiter=";").encode(),
    "t.tsv": as_csv(ROWS, delimiter="\t").encode(),
    "t.xlsx": as_xlsx([HEADERS, *ROWS]),
    "excel named.csv": as_xlsx([HEADERS, *ROWS]),
    "t.json": json.dumps(records(), ensure_ascii=False).encode(),
    "wrapped.json": json.dumps({"templates": records()}).encode("utf-8"),
    "t.yaml": yaml.safe_dump(records(), allow_unicode=True).encode(),
    "t.yml": yaml.safe_dump({"templates": records()}).encode(),
    "english.csv": as_csv(
        [
            [row[0], row[1], row[2], row[3], kind, state, row[6]]
            for row, kind, state in zip(
                ROWS, ["notification", "Marketing", "notification"], ["approved", "pending", "REJECTED"], strict=True
            )
        ],
        headers=["Code", "Name", "Text", "Signature", "Purpose", "Status", "Reason"],
    ).encode(),
}


@pytest.fixture
def channel(app: Flask) -> ChannelRow:
    return builders.channel()


@pytest.fixture
def take(channel: ChannelRow, now: dt.datetime) -> Take:
    def call(name: str, content: bytes | str, *, dry_run: bool = False) -> ImportResult:
        content = content if isinstance(content, bytes) else content.encode()
        return template_imports.take_file(channel.id, name, content, ACTOR, now, dry_run=dry_run)

    return call


def counts(taken: ImportResult) -> tuple[int, ...]:
    return tuple(taken.counts.values())


def told(taken: ImportResult) -> list[tuple[int, str]]:
    return [(row.number, problem.code) for row in taken.rows for problem in row.problems if not problem.warning]


def stored() -> list[tuple[str, str]]:
    return sorted((row.code, row.audit) for row in sms_templates.find_page())


def unusable(take: Take, name: str, content: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        take(name, content)
    return caught.value.problems[0].code


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_brings_the_same_templates(take: Take, name: str) -> None:
    taken = take(name, FILES[name])
    assert counts(taken) == (3, 0, 0, 0)
    assert taken.clean
    assert stored() == [("SMS_1", "approved"), ("SMS_2", "pending"), ("SMS_3", "refused")]
    third = sms_templates.find_page(words="SMS_3")[0]
    assert (third.text, third.signature, third.audit_reason, third.source) == (
        "您有{1}积分。",
        "青禾商城",
        "变量过多",
        "import",
    )


def test_a_dry_run_says_the_same_and_changes_nothing(take: Take) -> None:
    taken = take("t.csv", FILES["t.csv"], dry_run=True)
    assert counts(taken) == (3, 0, 0, 0)
    assert stored() == []
    assert current_session().query(AuditEntry).count() == 0


def test_the_same_file_again_changes_nothing(take: Take) -> None:
    take("t.csv", FILES["t.csv"])
    before = [row.updated_at for row in sms_templates.find_page()]
    assert counts(take("t.json", FILES["t.json"])) == (0, 0, 3, 0)
    assert [row.updated_at for row in sms_templates.find_page()] == before


def test_changed_rows_are_changed_and_the_others_left(take: Take) -> None:
    take("t.csv", FILES["t.csv"])
    taken = take("t.csv", as_csv([[*ROWS[0][:2], "您的订单${order}已发出。", *ROWS[0][3:]], ROWS[1]]))
    assert counts(taken) == (0, 1, 1, 0)
    assert taken.rows[0].changed == ("text",)
    assert sms_templates.find_page(words="已发出")[0].audit == "approved"


def test_new_words_without_a_word_on_their_audit_wait_for_approval(take: Take) -> None:
    take("t.csv", FILES["t.csv"])
    taken = take("t.csv", as_csv([["SMS_1", "您的订单${order}已发出。"]], ["code", "text"]))
    assert taken.rows[0].changed == ("text", "audit")
    template = sms_templates.find_page(words="SMS_1")[0]
    assert (template.audit, template.name, template.signature) == ("pending", "发货", "青禾商城")


def test_what_a_file_has_no_column_for_stays_as_it_is(take: Take) -> None:
    take("t.csv", FILES["t.csv"])
    assert counts(take("t.csv", as_csv([[row[0], row[2]] for row in ROWS], ["code", "text"]))) == (0, 0, 3, 0)
    assert stored() == [("SMS_1", "approved"), ("SMS_2", "pending"), ("SMS_3", "refused")]


def test_good_rows_are_kept_beside_bad_ones(take: Take) -> None:
    rows = [
        ROWS[0],
        ["SMS_1", "又一个", "您好。", "青禾", "通知", "", ""],
        ["", "没有编号", "您好。", "青禾", "通知", "", ""],
        ["SMS_4", "挨着", "您好${a}${b}。", "青禾", "通知", "", ""],
        ["SMS_5", "跳号", "您好{1}和{3}。", "青禾", "通知", "", ""],
        ["SMS_6", "混用", "您好{1}和${b}。", "青禾", "通知", "", ""],
        ["SMS_7", "没关", "您好${name。", "青禾", "通知", "", ""],
        ["SMS_8", "类型", "您好。", "青禾", "广告", "", ""],
        ["SMS_9", "状态", "您好。", "青禾", "通知", "也许", ""],
        ["SMS_10", "签名", "您好。", "青-禾", "通知", "", ""],
        ["SMS_11", "没有内容", "", "青禾", "通知", "", ""],
        ["SMS_12", "没有退订", "全场五折", "青禾", "营销", "", ""],
        [],
        ROWS[1],
    ]
    taken = take("t.csv", as_csv(rows))
    assert told(taken) == [
        (3, "template_code_twice"),
        (4, "template_code_missing"),
        (5, "variables_adjacent"),
        (6, "variable_numbers_gap"),
        (7, "variables_mixed"),
        (8, "brace_unclear"),
        (9, "template_purpose_unknown"),
        (10, "template_status_unknown"),
        (11, "signature_unusable"),
        (12, "template_text_missing"),
        (13, "unsubscribe_missing"),
    ]
    assert counts(taken) == (2, 0, 0, 11)
    assert not taken.clean
    assert stored() == [("SMS_1", "approved"), ("SMS_2", "pending")]


def test_unknown_columns_are_told_and_the_rest_is_kept(take: Take) -> None:
    taken = take("t.csv", as_csv([[*ROWS[0], "2026-01-01", "x"]], [*HEADERS, "创建时间", "text"]))
    assert [(row, problem.code) for row, problem in taken.column_problems] == [
        (1, "template_column_unknown"),
        (1, "template_column_twice"),
    ]
    assert counts(taken) == (1, 0, 0, 0)
    assert not taken.clean
    taken = take("t.json", json.dumps([records()[1], records()[2] | {"singature": "x"}]))
    assert [(row, problem.code) for row, problem in taken.column_problems] == [(2, "template_column_misspelt")]
    assert counts(taken) == (2, 0, 0, 0)


def test_warnings_refuse_nothing(take: Take) -> None:
    taken = take("t.csv", as_csv([["A", "旧式", "五折，回T退订", "青禾", "营销", "通过", ""]]))
    assert taken.clean
    assert [problem.code for problem in taken.rows[0].problems] == ["unsubscribe_old"]


def test_a_text_pasted_with_its_signature_needs_no_column_for_it(take: Take) -> None:
    take("t.csv", as_csv([["A", "【青禾】您好。"], ["B", "再见。【青禾】"]], ["code", "text"]))
    assert [(row.signature, row.text) for row in sms_templates.find_page()] == [("青禾", "再见。"), ("青禾", "您好。")]


def test_a_file_without_codes_can_be_imported_twice_too(take: Take) -> None:
    content = as_csv([["您好。"], ["再见。"]], ["内容"])
    assert counts(take("t.csv", content)) == (2, 0, 0, 0)
    assert counts(take("t.csv", content)) == (0, 0, 2, 0)


def test_codes_kept_as_numbers_lose_no_digit(take: Take) -> None:
    book: list[list[str | float]] = [["code", "text"], [1234567, "您好。"], [89.0, "再见。"]]
    take("t.xlsx", as_xlsx(book))
    take("t.json", '[{"code": 100200300400500600700, "text": "甲。"}, {"code": 1.50, "text": "乙。"}]')
    take("t.yaml", "- {code: 0012, text: 丙。}\n- {code: 1e5, text: 丁。, reason: null, name: ~}")
    assert [row.code for row in sms_templates.find_page()][::-1] == [
        *("1234567", "89", "100200300400500600700", "1.50", "0012", "1e5")
    ]


def test_a_cell_with_a_formula_is_told_and_the_other_rows_kept(take: Take) -> None:
    taken = take("t.xlsx", as_xlsx([["code", "text"], ["A", "您好。"], ["B", '=CONCATENATE("您","好")']]))
    assert told(taken) == [(3, "sheet_formula")]
    assert taken.rows[1].problems[0].facts == {"cell": "B3"}
    assert stored() == [("A", "pending")]


def test_a_row_with_too_many_cells_or_an_open_quote_is_told(take: Take) -> None:
    taken = take("t.csv", 'code,text\nA,您好，再见\nB,您好,再见\nC,"没关上\nD,x\n')
    assert told(taken) == [(3, "sheet_row_too_long"), (4, "record_bad_quotes")]
    assert stored() == [("A", "pending"), ("D", "pending")]


def test_a_row_with_unreadable_characters_is_told(take: Take) -> None:
    taken = take("t.csv", b"code,text\nA,ok\nB,\x81\xff\xff\n")
    assert told(taken) == [(3, "record_bad_text")]
    assert stored() == [("A", "pending")]


def test_yaml_that_is_long_or_nested_costs_nothing(take: Take) -> None:
    assert unusable(take, "t.yaml", b"- {code: A, text: x}\n" * 60_000) == "sheet_yaml_too_large"
    assert unusable(take, "t.yaml", b"- " * 100_000) == "sheet_unreadable"
    assert unusable(take, "t.yaml", b"[" * 100_000) == "sheet_unreadable"


def test_entries_of_a_list_that_are_no_templates_are_told(take: Take) -> None:
    taken = take("t.json", '[{"code": "A", "text": "您好。"}, 7, {"code": "B", "text": ["x"]}, {"code": "C"}]')
    assert told(taken) == [
        (2, "template_row_not_object"),
        (3, "template_row_value_not_text"),
        (4, "template_text_missing"),
    ]
    assert stored() == [("A", "pending")]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("t.doc", b"x", "sheet_kind_unknown"),
        ("t", b"x", "sheet_kind_unknown"),
        ("t.csv", b"", "file_empty"),
        ("t.csv", b" \r\n", "file_empty"),
        ("t.csv", b"code,text\n", "file_only_headings"),
        ("t.csv", "SMS_1,您好\nSMS_2,再见".encode(), "template_columns_missing"),
        ("t.csv", b"code,name\nA,B", "template_columns_missing"),
        ("t.csv", b"\xff\xfet\x00\x00\xd8", "template_columns_missing"),
        ("t.json", b"\x81\xff\xff", "file_binary"),
        ("t.csv", b"%PDF-1.7", "file_pdf"),
        ("t.json", b"{", "sheet_unreadable_at"),
        ("t.json", b"7", "template_file_without_list"),
        ("t.json", b"{}", "template_file_without_list"),
        ("t.json", b"[]", "file_only_headings"),
        ("t.json", b'[{"code": "A"}]', "template_columns_missing"),
        ("t.json", b"[" * 100_000, "sheet_unreadable"),
        ("t.yaml", b"a: [", "sheet_unreadable_at"),
        ("t.yaml", b"\x00", "sheet_unreadable"),
        ("t.yaml", b"- !!python/object/apply:os.system [ls]", "template_columns_missing"),
        ("t.xlsx", b"PK\x03\x04 nothing", "file_damaged"),
        ("t.xlsx", b"no zip at all", "template_columns_missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(take: Take, name: str, content: bytes, code: str) -> None:
    assert unusable(take, name, content) == code
    assert stored() == []


def test_an_archive_without_a_workbook_is_refused(take: Take) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert unusable(take, "t.xlsx", out.getvalue()) == "file_archive"


def test_files_larger_than_anybody_needs_are_refused(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_files, "MOST_ROWS", 2)
    assert unusable(take, "t.csv", FILES["t.csv"]) == "sheet_too_many_rows"
    assert unusable(take, "t.json", FILES["t.json"]) == "sheet_too_many_rows"
    monkeypatch.setattr(limited, "MOST_BYTES", 100)
    assert unusable(take, "t.csv", FILES["t.csv"]) == "sheet_too_large"


def test_a_file_for_no_channel_is_refused(app: Flask, now: dt.datetime) -> None:
    for dry_run in (True, False):
        with pytest.raises(Refusal) as caught:
            template_imports.take_file(99, "t.csv", FILES["t.csv"], ACTOR, now, dry_run=dry_run)
        assert caught.value.problems[0].code == "template_channel_missing"


def test_an_import_is_in_the_audit_log_with_its_counts(take: Take, channel: ChannelRow) -> None:
    take("t.csv", FILES["t.csv"])
    line = current_session().query(AuditEntry).one()
    assert (line.action, line.noun, line.by) == ("import", "sms_template", "flask templates")
    assert line.facts == {"counts": {"added": 3, "changed": 0, "unchanged": 0, "refused": 0}}


def test_an_upload_waits_a_day_for_its_person(app: Flask, now: dt.datetime) -> None:
    token = template_imports.stash("模板.CSV", b"x", now)
    assert template_imports.stashed(token) == b"x"
    assert token.endswith(".csv")
    folder = template_imports._folder()
    os.utime(folder / token, (now.timestamp(), now.timestamp()))
    recent = template_imports.stash("t.json", b"y", now + dt.timedelta(hours=23))
    assert template_imports.stashed(token) == b"x"
    template_imports.stash("t.json", b"z", now + dt.timedelta(hours=25))
    with pytest.raises(NotFound):
        template_imports.stashed(token)
    template_imports.drop(recent)
    with pytest.raises(NotFound):
        template_imports.stashed(recent)


@pytest.mark.parametrize("token", ["../../secret.key", "x", "", "a" * 32 + ".py"])
def test_a_token_leads_nowhere_else(app: Flask, token: str) -> None:
    with pytest.raises(NotFound):
        template_imports.stashed(token)
    template_imports.drop(token)


def test_a_file_of_templates_is_read_as_spreadsheets_save_it(take: Take) -> None:
    taken = take("t.csv", '\ufeff\n,,\ncode\t,text\t\nA\t,您好。\t\n,,\n="B","再见。"\nC,"没关上\n')
    assert told(taken) == [(7, "record_bad_quotes")]
    assert stored() == [("A", "pending"), ("B", "pending")]
