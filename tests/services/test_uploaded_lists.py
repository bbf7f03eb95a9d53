"""Lists out of files become segments; what cannot be matched is told line by line."""

from __future__ import annotations

import datetime as dt
import io

import openpyxl
import pytest
from flask import Flask

from smsapp.domain.errors import Refusal
from smsapp.domain.segment import EVERYONE, Kind
from smsapp.services.contacts import segments, uploaded_lists
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts.segments import Segment
from tests import builders

BY = Actor("tests")


@pytest.fixture(autouse=True)
def people(app: Flask) -> None:
    builders.known_property("城市")
    builders.known_property("code", "number")
    builders.known_property("vip", "bool")
    for n, (xwho, city) in enumerate([("u1", "北京"), ("u2", "上海"), ("u3", "北京")], 1):
        builders.contact(xwho, builders.phone(n), properties={"城市": city, "code": n})


def upload(
    content: bytes, property: str, now: dt.datetime, segment_id: int | None = None, name: str = "名单"
) -> Segment:
    return uploaded_lists.upload(name, property, io.BytesIO(content), "list.csv", segment_id, by=BY, now=now)


def source(segment: Segment) -> list[object]:
    rule_source = segment.rule["source"]
    return [rule_source[name] for name in ("lines", "matched", "doubles", "unmatched", "first_unmatched")]


def who(segment: Segment, now: dt.datetime) -> list[str]:
    return [member.xwho for member in segments.sample(segments.members(segment, now), [])]


def test_user_ids_are_matched_and_the_rest_is_told(now: dt.datetime) -> None:
    made = upload(b"xwho\nu1\n u3 \n\nu1\nnobody\n", "xwho", now)
    assert (made.kind, made.size, who(made, now)) == (Kind.UPLOADED, 2, ["u1", "u3"])
    assert source(made) == [4, 2, 1, 1, [(6, "nobody")]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_any_spelling_of_a_number_finds_its_contact(now: dt.datetime, encoding: str) -> None:
    text = "姓名,手机号\n张三,138 0000 0001\n李四,+86-13800000002\n王五,8613800000002\n赵六,12345\n"
    builders.known_property("$phone", label="手机号")
    made = upload(text.encode(encoding), "$phone", now)
    assert who(made, now) == ["u1", "u2"]
    assert source(made) == [4, 2, 1, 1, [(5, "12345")]]


def test_one_value_may_find_many_contacts(now: dt.datetime) -> None:
    made = upload("北京\n".encode(), "城市", now)
    assert who(made, now) == ["u1", "u3"]


def test_numbers_are_compared_as_they_are_written(now: dt.datetime) -> None:
    assert who(upload(b"2\n3\n", "code", now), now) == ["u2", "u3"]


def test_a_workbook_is_a_list_too(now: dt.datetime) -> None:
    book = openpyxl.Workbook()
    for cell in ("xwho", "u2", "u9"):
        book.worksheets[0].append([cell])
    content = io.BytesIO()
    book.save(content)
    made = upload(content.getvalue(), "xwho", now)
    assert (who(made, now), source(made)[4]) == (["u2"], [(3, "u9")])


def test_a_new_file_takes_the_place_of_the_old_members(now: dt.datetime) -> None:
    made = upload(b"u1\nu2\n", "xwho", now)
    again = upload(b"u3\n", "xwho", now, made.id)
    assert (again.id, who(again, now), again.size) == (made.id, ["u3"], 1)


def test_two_uploads_in_one_process_do_not_meet(now: dt.datetime) -> None:
    upload(b"u1\n", "xwho", now, name="a")
    assert who(upload(b"u2\n", "xwho", now, name="b"), now) == ["u2"]


def test_an_uploaded_segment_cannot_be_recomputed(now: dt.datetime) -> None:
    made = upload(b"u1\n", "xwho", now)
    with pytest.raises(Refusal, match="segment_upload_again"):
        segments.recompute(made.id, by=BY, now=now)


def test_an_uploaded_segment_may_become_a_rule(now: dt.datetime) -> None:
    made = upload(b"u1\n", "xwho", now)
    assert segments.edit(made.id, "大家", Kind.DYNAMIC, EVERYONE, by=BY, now=now).size == 3


@pytest.mark.parametrize(
    ("content", "property", "code"),
    [
        (b"", "xwho", "file_empty"),
        (b"\n\n", "xwho", "file_empty"),
        (b"PK\x03\x04 broken", "xwho", "file_damaged"),
        (b"\xd0\xcf\x11\xe0 old", "xwho", "file_old_excel"),
        (b"u1\n", "vip", "segment_property_not_text"),
        (b"u1\n", "gone", "segment_property_not_text"),
    ],
)
def test_a_file_that_is_no_list_changes_nothing(now: dt.datetime, content: bytes, property: str, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        upload(content, property, now)
    assert segments.everything() == []


def test_a_file_with_too_many_lines_changes_nothing(now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    made = upload(b"u1\n", "xwho", now)
    monkeypatch.setattr(uploaded_lists, "MAX_LINES", 2)
    with pytest.raises(Refusal, match="segment_file_too_long"):
        upload(b"u1\nu2\nu3\n", "xwho", now, made.id)
    assert who(segments.get(made.id), now) == ["u1"]


def test_a_list_is_read_as_spreadsheets_and_programs_save_it(now: dt.datetime) -> None:
    text = '\n,,\nxwho,x\n="u1",1\n,,\nu2\u200b\t,2\n\ufeffu3,"open\n1.23E+17,4\n'
    made = upload(text.encode(), "xwho", now)
    assert who(made, now) == ["u1", "u2", "u3"]
    assert source(made)[4] == [(8, "1.23E+17")]


def test_numbers_that_a_program_wrote_as_fractions_are_matched(now: dt.datetime) -> None:
    made = upload("手机号;x\n13800000001.0;a\n1.3800000002E10;b\n".encode("utf-16-le"), "$phone", now)
    assert who(made, now) == ["u1", "u2"]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"%PDF-1.7", "file_pdf"), (b"\x89PNG\r\n\x1a\n\0", "file_image"), (b"xwho\n", "file_only_headings")],
)
def test_what_is_no_list_is_not_saved_as_one_without_members(now: dt.datetime, content: bytes, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        upload(content, "xwho", now)
    assert segments.everything() == []
