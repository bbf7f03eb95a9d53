"""Tables as people and programs save them: each case was seen in the field, beside it what must be read."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from smsapp.domain.cells import BrokenRow
from smsapp.domain.errors import Refusal
from smsapp.services.tables import csv_rows, limited, reading, recognition, shared_texts, workbooks
from smsapp.services.tables.formats import Choice, Format
from smsapp.services.tables.xlsx_rows import cell_text

HEAD = "用户ID,手机号,姓名\n"
Rows = list[tuple[int, list[str]]]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Rows]:
    """Read the rows below the headings, [number, cells] each; a row that cannot be read begins with "BROKEN"."""

    def go(content: bytes | str, choice: Choice | None = None) -> Rows:
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        form = recognition.recognise(path)
        if choice:
            form = recognition.rechosen(path, form, choice)
        return [
            (number, [*["BROKEN"] * isinstance(row, BrokenRow), *row]) for number, row in reading.numbered(path, form)
        ]

    return go


@pytest.fixture
def form_of(tmp_path: Path) -> Callable[[bytes | str], Format]:
    def go(content: bytes | str) -> Format:
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return recognition.recognise(path)

    return go


def workbook(*rows: list[object]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in rows:
        sheet.append(row)
    book.save(out)
    return out.getvalue()


FIELD = {
    "an empty line before the headings": ("\n" + HEAD + "U1,1,a\n", [(3, ["U1", "1", "a"])]),
    "separators alone before the headings": (",,\n" + HEAD + "U1,1,a\n", [(3, ["U1", "1", "a"])]),
    "a title above the headings": ("会员名单\n\n" + HEAD + "U1,1,a\n", [(4, ["U1", "1", "a"])]),
    "a title padded with separators": ("会员名单,,\n" + HEAD + "U1,1,a\n", [(3, ["U1", "1", "a"])]),
    "rows of separators in between": (HEAD + ",,\nU1,1,a\n , ,\t\n", [(3, ["U1", "1", "a"])]),
    "a separator that the first line names": ("sep=;\nid;n\nU1;a,b\n", [(2, ["U1", "a,b"])]),
    "the same after a byte-order mark": ("\ufeffSEP=|\r\nid|n\r\nU1|1\r\n", [(2, ["U1", "1"])]),
    "the same as a spreadsheet saves it again": ('"sep=;",\nid;n\nU1;2\n', [(2, ["U1", "2"])]),
    "a tab behind every cell": ("用户ID\t,手机号\t\nU5b\t,13800138005\t\n", [(2, ["U5b\t", "13800138005\t"])]),
    "a tab before every cell": ("\t用户ID,\t手机号\n\tU5b,\t138\n", [(2, ["\tU5b", "\t138"])]),
    "tabs behind quoted cells": ('"用户ID"\t,"手机号"\t\n"U5b"\t,"138"\t\n', [(2, ["U5b", "138"])]),
    "blanks around quoted cells": ('id, n ,x\nU1, "b, c" ,3\n', [(2, ["U1", "b, c", "3"])]),
    "texts as formulas": ('id,n\n="U4",="0138"\n"=""U5""",x\n', [(2, ["U4", "0138"]), (3, ["U5", "x"])]),
    "a quotation mark in a text as formula": ('id,n\nU4,"=""a """" b"""\n', [(2, ["U4", 'a " b'])]),
    "an error saved as text": (
        "id,n\nU1,#N/A\nU2,#REF!\nU3,#1\n",
        [(2, ["U1", ""]), (3, ["U2", ""]), (4, ["U3", "#1"])],
    ),
    "two byte-order marks": ("\ufeff\ufeff" + HEAD + "Z1,1,a\n", [(2, ["Z1", "1", "a"])]),
    "a mark and an empty line": ("\ufeff\n" + HEAD + "Z1,1,a\n", [(3, ["Z1", "1", "a"])]),
    "UTF-16 without a mark": ((HEAD + "Z1,1,a\n").encode("utf-16-le"), [(2, ["Z1", "1", "a"])]),
    "the other UTF-16 without a mark": ((HEAD + "Z1,1,a\n").encode("utf-16-be"), [(2, ["Z1", "1", "a"])]),
    "UTF-16 with two marks": (("\ufeff\ufeff" + HEAD + "Z1,1,a\n").encode("utf-16-le"), [(2, ["Z1", "1", "a"])]),
    "GBK": ((HEAD + "U1,1,张三\n").encode("gbk"), [(2, ["U1", "1", "张三"])]),
    "Latin-1": (b"id,name\nU1,Dr\xe0zen\nU2,Caf\xe9\n", [(2, ["U1", "Dràzen"]), (3, ["U2", "Café"])]),
    "line breaks inside of cells": ('id,n\nU1,"a\nb"\nU2,"c\r\nd"\n', [(2, ["U1", "a\nb"]), (3, ["U2", "c\r\nd"])]),
    "a mark for inches in the middle of a cell": (
        'id,n\nU1,5" nail\nU2,x\n',
        [(2, ["U1", '5" nail']), (3, ["U2", "x"])],
    ),
    "line ends of an old Mac": ("id,n\rU1,1\rU2,2\r", [(2, ["U1", "1"]), (3, ["U2", "2"])]),
    "no end of the last line": ("id,n\nU1,1", [(2, ["U1", "1"])]),
    "decimal commas between semicolons": ("id;betrag\nU1;12,5\n", [(2, ["U1", "12,5"])]),
}


@pytest.mark.parametrize(("content", "rows"), FIELD.values(), ids=FIELD.keys())
def test_a_file_from_the_field_is_read_as_it_was_meant(
    read: Callable[..., Rows], content: bytes | str, rows: Rows
) -> None:
    assert read(content) == rows


OPEN_QUOTES = {
    "never closed": ('U16,138,"小明\nU17,139,b\nU18,1,c\n', ["小明"], ["U17", "U18"]),
    "closed by accident in the next row": ('U16,138,"小明\nU17,139,"小红"\nU18,1,c\n', ["小明"], ["U17", "U18"]),
    "in the last row": ('U17,139,b\nU16,138,"小明\n', ["小明"], ["U17"]),
    "text behind a closed one": ('U16,138,"小" 明\nU17,139,b\n', ["小 明"], ["U17"]),
    "in a cell of two lines": ('U16,138,"小\n明" x\nU17,139,b\n', ["小\n明 x"], ["U17"]),
    "in every row": ('U16,138,"a\nU19,138,"b\nU17,139,c\n', ["a", "b"], ["U17"]),
}


@pytest.mark.parametrize(("body", "broken", "good"), OPEN_QUOTES.values(), ids=OPEN_QUOTES.keys())
def test_a_quotation_mark_that_is_wrong_costs_its_own_row_only(
    read: Callable[..., Rows], body: str, broken: list[str], good: list[str]
) -> None:
    rows = read(HEAD + "U1,1,a\n" + body)
    assert [row[0] for _n, row in rows if row[0] != "BROKEN"] == ["U1", *good]
    assert [row[3] for _n, row in rows if row[0] == "BROKEN"] == broken


@pytest.mark.parametrize("block", [16, 64, 1 << 16])
def test_where_a_file_is_cut_into_blocks_changes_nothing(
    read: Callable[..., Rows], monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(csv_rows, "BLOCK", block)
    body = "".join(f'U{n},1,"a\n{n}"\nV{n},"x" y,3\nW{n},1,b\n' for n in range(20))
    rows = read(HEAD + body + 'X,1,"open\nY,1,c\n')
    assert [number for number, _row in rows] == list(range(2, 64))
    assert sum(row[0] == "BROKEN" for _n, row in rows) == 21
    assert rows[-1] == (63, ["Y", "1", "c"])


def test_a_quotation_mark_open_for_a_million_characters_is_told_and_reading_goes_on(read: Callable[..., Rows]) -> None:
    rows = read(HEAD + 'U1,1,"a\n' + "U2,1,b\n" * 200_000 + "U3,1,c\n")
    assert rows[0] == (2, ["BROKEN", "U1", "1", "a\n"]) or rows[0][1][0] == "BROKEN"
    assert len(rows) == 200_002


def test_a_file_made_of_open_quotation_marks_is_refused_before_it_keeps_us_busy(
    read: Callable[..., Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "MOST_REREAD", 1 << 12)
    with pytest.raises(Refusal, match="file_quotes"):
        read("a,b\n" + 'b",":\n1,2\n' * 1000)


ZIPS = {"docx": "word/document.xml", "ods": "content.xml", "xlsb": "xl/workbook.bin", "zip": "readme.txt"}


def zipped(member: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(member, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "file_pdf"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "file_image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "file_image"),
        (b"GIF89a\x01\x00", "file_image"),
        (b"\x1f\x8b\x08\x00\x00", "file_archive"),
        (b"Rar!\x1a\x07", "file_archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "file_old_excel"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "file_encrypted"),
        (zipped(ZIPS["docx"]), "file_word"),
        (zipped(ZIPS["ods"]), "file_opendocument"),
        (zipped(ZIPS["xlsb"]), "file_xlsb"),
        (zipped(ZIPS["zip"]), "file_archive"),
        (b"<html><body><table><tr><td>1</td></tr></table>", "file_web_page"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Workbook>', "file_web_page"),
        (b"\x00\x01\x02\x03id,name\n" * 50, "file_binary"),
        (bytes(range(256)) * 20, "file_binary"),
        (b"\n,,\n \n", "file_empty"),
    ],
)
def test_what_is_no_table_is_recognised_and_said(form_of: Callable[[bytes], Format], content: bytes, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        form_of(content)


def test_a_name_that_begins_as_a_bitmap_does_is_no_picture(form_of: Callable[[str], Format]) -> None:
    assert form_of("BMI,id\n22,u1\n").delimiter == ","


def test_encoding_separator_and_headings_can_be_chosen(read: Callable[..., Rows]) -> None:
    content = "编号|说明;甲\n名称,注\n1;2|3\n".encode("big5", "replace")
    assert read(content, Choice("big5", ";", 0))[2] == (3, ["1", "2|3"])
    assert read(content, Choice("big5", "|", 2)) == [(3, ["1;2", "3"])]
    assert read(b"id,n\nU1,Dr\xe0zen\n", Choice(encoding="gbk"))[0][1][1] == "Dr鄗en"


@pytest.mark.parametrize(
    ("choice", "place"),
    [
        (Choice(encoding="klingon"), "encoding"),
        (Choice(delimiter="x"), "delimiter"),
        (Choice(heading_row=99), "heading_row"),
    ],
)
def test_what_cannot_be_chosen_is_refused_at_its_field(read: Callable[..., Rows], choice: Choice, place: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read("id,n\nU1,1\n", choice)
    assert refusal.value.problems[0].place == place


# Workbooks


def test_cells_of_a_workbook_are_read_as_a_person_would_type_them(read: Callable[..., Rows]) -> None:
    when = dt.datetime(2024, 5, 26, 18, 53, 37, 297000)  # noqa: DTZ001 a cell has no zone
    rows = read(workbook(["id", "a", "b"], [1001.0, 0.1 + 0.2, when], [1.23e17, True, None]))
    assert rows == [(2, ["1001", "0.3", "2024-05-26 18:53:37"]), (3, ["1.23E+17", "true"])]


def test_an_error_cell_is_no_value_computed_or_not(read: Callable[..., Rows], tmp_path: Path) -> None:
    content = workbook(["id", "name"], ["u1", "#N/A"], ["u2", "b"])
    assert read(content) == [(2, ["u1"]), (3, ["u2", "b"])]


def test_empty_rows_before_the_headings_of_a_workbook_are_left_out(read: Callable[..., Rows]) -> None:
    assert read(workbook([None], ["", ""], ["id", "n"], [None], ["u1", 1])) == [(5, ["u1", "1"])]


def test_escapes_and_readings_of_shared_texts() -> None:
    content = b"""<x:sst xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:si><x:t>a_x000A_b</x:t></x:si>
    <x:si><x:r><x:t>c</x:t></x:r><x:r><x:t>d</x:t></x:r><x:rPh><x:t>no</x:t></x:rPh></x:si><x:si/></x:sst>"""
    assert shared_texts.read_shared_texts(io.BytesIO(content)) == ["a\nb", "cd", ""]


def test_shared_texts_are_counted_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_texts, "MOST_TEXTS", 1000)
    with pytest.raises(Refusal, match="file_unpacks_too_large"):
        shared_texts.read_shared_texts(io.BytesIO(b"<sst>" + b"<si><t/></si>" * 20_000 + b"</sst>"))


def test_a_workbook_with_a_document_type_is_damaged() -> None:
    with pytest.raises(workbooks.DAMAGED):
        shared_texts.read_shared_texts(io.BytesIO(b'<!DOCTYPE sst [<!ENTITY a "a">]><sst/>'))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (12, "12"), (12.0, "12"), (1.5, "1.5"), (123456789012345678, "123456789012345678"), (1e15, "1E+15")],
)
def test_a_number_is_written_without_what_a_person_would_not_type(value: object, text: str) -> None:
    assert cell_text(value) == text


# The process with limits


def test_a_table_is_recognised_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(workbook(["id", "n"], ["u1", "'=1"], ["u2", "=1"]))
    recognised = limited.recognise(path)
    form, rows = recognised.form, recognised.rows
    assert (form.kind, form.heading_row, rows[1]) == ("xlsx", 1, ["u1", "'=1"])
    with limited.table(path) as (table, plain):
        assert plain.kind == "csv"
        assert next(row for _n, row in reading.numbered(table, plain)) == ["u1", "'=1"]


def test_a_file_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"id\nu1\n")
    monkeypatch.setattr(limited, "PATIENCE", 0.001)
    with pytest.raises(Refusal, match="file_too_expensive"):
        limited.recognise(path)


def test_what_the_process_refuses_is_refused_here(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes((",".join(f"a{n}" for n in range(302)) + "\n1\n").encode())
    with pytest.raises(Refusal) as refusal:
        limited.recognise(path)
    assert [(problem.code, problem.facts["limit"]) for problem in refusal.value.problems] == [("file_too_wide", 301)]
