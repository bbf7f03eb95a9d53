"""Files of contacts on their way in, in both databases."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from flask import Flask
from openpyxl.worksheet.worksheet import Worksheet

from smsapp.domain import layout
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.import_state import ImportState
from smsapp.services.contacts import contacts, import_rows, imports
from smsapp.services.contacts.imports import ImportRow
from smsapp.services.platform.audit_log import Actor
from smsapp.services.tables.formats import Choice
from smsapp.store import queue
from smsapp.store.contacts import property_catalogue
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import add_properties
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

BY = Actor("test")
HEAD = "用户ID,手机号,姓名,等级\n"


@pytest.fixture
def bring(app: Flask, now: dt.datetime) -> Any:
    """Uploads bytes, takes all guesses, imports, and returns the finished import."""

    def go(body: bytes | str, choice: Choice = imports.UNCHANGED) -> ImportRow:
        row = upload(body, now)
        seen = imports.preview(row, choice)
        imports.start(row.id, imports.layout_of(seen.guesses, seen.header), choice, BY, now)
        import_rows.run(row.id, lambda: now)
        current_session().expire_all()
        return imports.found(row.id)

    return go


def upload(body: bytes | str, now: dt.datetime) -> ImportRow:
    """Upload and have a worker recognise the file; raise Refusal if it is none."""
    row = imports.upload(io.BytesIO(body if isinstance(body, bytes) else body.encode()), "file", BY, now)
    imports.recognise(row.id, now)
    row = imports.found(row.id)
    if problem := import_rows.unready(row):
        raise Refusal(problem)
    return row


def held(xwho: str) -> Any:
    return current_session().query(Contact.properties).filter_by(xwho=xwho).scalar()


def counts(row: ImportRow) -> tuple[int, int, int, int]:
    return row.position, row.added, row.changed, row.refused


def workbook(*rows: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_is_read_in_any_encoding_with_any_delimiter(bring: Any, encoding: str, delimiter: str) -> None:
    text = (HEAD + "u1,13800138000,张三,3\nu2,+86 139-0013-9000,李四,5\n").replace(",", delimiter)
    row = bring(text.encode(encoding))
    assert (row.state, counts(row)) == (ImportState.DONE, (2, 2, 0, 0))
    assert held("u1") == {"$phone": "13800138000", "name": "张三", "level": 3}
    phones = current_session().query(Contact.phones).filter_by(xwho="u2").scalar()
    assert phones == {"$phone": "+8613900139000"}


def test_the_file_is_gone_afterwards(bring: Any) -> None:
    assert not imports.path_of(bring(HEAD + "u1,1,a,1\n")).exists()


def test_bad_rows_never_cost_the_good_ones(bring: Any) -> None:
    rows = ["u1,13800138000,a,1", "u2,13800138001,b,x", ",13800138002,c,2", "u3,1,d,3,surplus", "u4", "", "u5,abc,e,5"]
    row = bring(HEAD + "".join(f"{line}\n" for line in rows) + "u6,13800138006," + "x" * 8194 + ",6\n")
    # The level of the first rows makes it text, because one of them is no number.
    assert counts(row)[0] == 8
    refused = list(import_rows.refused_rows(row.id))
    assert [(row.number, row.reason) for row in refused] == [
        (4, "bad_id"),
        (5, "too_many_cells"),
        (9, "too_long"),
    ]
    assert held("u4") == {}
    assert held("u1")["level"] == "1"
    assert current_session().query(Contact.phones).filter_by(xwho="u5").scalar() == {"$phone": ""}


def test_a_value_of_another_type_than_the_catalogue_says_is_refused(bring: Any, now: dt.datetime) -> None:
    with writing() as session:
        add_properties(session, {"level": Type.NUMBER}, now)
    row = bring(HEAD + "u1,13800138000,a,3\nu2,13800138001,b,high\n")
    assert counts(row) == (2, 1, 0, 1)
    [bad] = import_rows.refused_rows(row.id)
    assert (bad.number, bad.reason, bad.facts["name"]) == (3, "type_conflict", "level")
    assert bad.cells == ["u2", "13800138001", "b", "high"]
    assert held("u2") is None


def test_of_two_rows_with_one_id_the_later_wins(bring: Any) -> None:
    row = bring(HEAD + "u1,13800138000,a,1\nu2,13800138001,b,1\nu1,13900139000,,2\n")
    assert counts(row) == (3, 2, 1, 0)
    assert held("u1") == {"$phone": "13900139000", "name": "a", "level": 2}
    assert current_session().query(Contact.phones).filter_by(xwho="u1").scalar() == {"$phone": "+8613900139000"}


def test_contacts_that_are_there_are_updated(bring: Any) -> None:
    bring("id,city,level\nu1,北京,1\n")
    row = bring("id,city,points\nu1,,7\nu2,上海,8\n")
    assert counts(row) == (2, 1, 1, 0)
    assert held("u1") == {"city": "北京", "level": 1, "points": 7}


def test_a_file_without_headings_is_recognised(bring: Any) -> None:
    row = bring("13800138000,张三\n13800138001,李四\n")
    assert counts(row) == (2, 2, 0, 0)
    assert held("+8613800138000") == {"$phone": "13800138000", "column_2": "张三"}


def test_three_hundred_columns_fit_and_one_more_does_not(bring: Any) -> None:
    names = [f"p{i}" for i in range(300)]
    row = bring("id," + ",".join(names) + "\nu1," + ",".join("1" * 300) + "\n")
    assert counts(row) == (1, 1, 0, 0)
    assert len(held("u1")) == 300
    with pytest.raises(Refusal) as refusal:
        bring("id," + ",".join([*names, "more"]) + "\nu1" + ",1" * 301 + "\n")
    assert refusal.value.problems[0].code == "file_too_wide"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "file_empty"),
        (b"\n\n", "file_empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "file_old_excel"),
        (b"PK\x03\x04 not a workbook", "file_damaged"),
    ],
)
def test_what_is_no_table_is_refused_in_words(app: Flask, now: dt.datetime, body: bytes, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        upload(body, now)
    assert refusal.value.problems[0].code == code
    assert list((settings().INSTANCE_DIR / "uploads").iterdir()) == []


def test_a_file_without_a_user_id_waits_for_a_person(bring: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        bring("name,city\na,b\n")
    assert refusal.value.problems[0].code == "import_without_id"


def test_headings_alone_are_an_import_of_nothing(bring: Any) -> None:
    assert counts(bring(HEAD)) == (0, 0, 0, 0)


def test_a_damaged_place_costs_only_its_row(bring: Any) -> None:
    row = bring(HEAD.encode() + b"u1,13800138000,a,1\nu2,13800138001,\xff\xfe\xff,2\nu3,13800138002,c,3\n")
    assert counts(row) == (3, 2, 0, 1)
    assert [bad.reason for bad in import_rows.refused_rows(row.id)] == ["bad_text"]


def test_a_workbook_is_read_as_it_was_computed(bring: Any) -> None:
    when = dt.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001 a cell has no zone
    row = bring(
        workbook(
            ["用户ID", "手机号", "等级", "注册时间", "vip"],
            [1001, 13800138000, 1.5, when, True],
            [1002, "139 0013 9000", 2, None, False],
        )
    )
    assert counts(row) == (2, 2, 0, 0)
    assert held("1001") == {
        "$phone": "13800138000",
        "level": 1.5,
        "注册时间" if "注册时间" in held("1001") else "registered_at": "2024-01-02T03:04:05",
        "vip": True,
    }


def test_a_formula_without_a_result_is_an_error_of_its_cell(bring: Any) -> None:
    row = bring(workbook(["id", "level"], ["u1", 1], ["u2", "=1+1"], ["u3", None]))
    assert counts(row) == (3, 2, 0, 1)
    [bad] = import_rows.refused_rows(row.id)
    assert (bad.number, bad.reason, bad.facts["name"]) == (3, "formula_without_value", "level")
    assert held("u3") == {}


def test_a_worker_that_dies_is_followed_without_double_work(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_rows, "CHUNK", 2)
    monkeypatch.setattr(import_rows, "PIECE", 1)
    body = "id,level\n" + "".join(f"u{i},{i}\n" for i in range(6)) + "bad,x\n" * 0 + ",9\n"
    row = upload(body, now)
    seen = imports.preview(row)
    imports.start(row.id, imports.layout_of(seen.guesses, seen.header), imports.UNCHANGED, BY, now)

    def die(_row: ImportRow) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_rows.run(row.id, lambda: now, die)
    current_session().expire_all()
    assert (imports.found(row.id).state, imports.found(row.id).position) == (ImportState.RUNNING, 2)
    import_rows.run(row.id, lambda: now)
    current_session().expire_all()
    assert imports.found(row.id).position == 2
    rung: list[Any] = []
    monkeypatch.setattr(queue, "enqueue", lambda *args: rung.append(args))
    later = now + import_rows.LEASE + dt.timedelta(seconds=1)
    assert imports.sweep(later) == 1
    assert rung == [("periodic", "import_contacts", row.id)]
    import_rows.run(row.id, lambda: later)
    current_session().expire_all()
    done = imports.found(row.id)
    assert (done.state, counts(done)) == (ImportState.DONE, (7, 6, 0, 1))


def test_a_type_that_was_seen_meanwhile_breaks_the_import_off(bring: Any, app: Flask, now: dt.datetime) -> None:
    row = upload(b"id,level\nu1,1\n", now)
    seen = imports.preview(row)
    imports.start(row.id, imports.layout_of(seen.guesses, seen.header), imports.UNCHANGED, BY, now)
    with writing() as session:
        add_properties(session, {"level": Type.STRING}, now)
    import_rows.run(row.id, lambda: now)
    current_session().expire_all()
    assert (imports.found(row.id).state, imports.found(row.id).failure) == (ImportState.FAILED, "property_type_changed")


def test_a_file_may_not_bring_more_properties_than_there_may_be(
    bring: Any, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = upload(b"id,a,b\nu1,1,2\n", now)
    seen = imports.preview(row)
    imports.start(row.id, imports.layout_of(seen.guesses, seen.header), imports.UNCHANGED, BY, now)
    for module in (layout, property_catalogue):
        monkeypatch.setattr(module, "MAX_CATALOGUE", 3)
    with pytest.raises(Refusal) as refusal:
        bring("id,c,d\nu1,1,2\n")
    assert [(problem.code, problem.facts["room"]) for problem in refusal.value.problems] == [("catalogue_full", 1)]
    with writing() as session:
        add_properties(session, {"x": Type.STRING, "y": Type.STRING}, now)
    import_rows.run(row.id, lambda: now)
    current_session().expire_all()
    assert (imports.found(row.id).state, imports.found(row.id).failure) == (ImportState.FAILED, "property_without_room")


def test_a_file_that_vanished_breaks_the_import_off(app: Flask, now: dt.datetime) -> None:
    row = upload(b"id,level\nu1,1\n", now)
    seen = imports.preview(row)
    imports.start(row.id, imports.layout_of(seen.guesses, seen.header), imports.UNCHANGED, BY, now)
    imports.path_of(row).unlink()
    import_rows.run(row.id, lambda: now)
    current_session().expire_all()
    assert imports.found(row.id).failure == "file_gone"


def test_a_begun_file_can_be_neither_begun_again_nor_discarded(app: Flask, now: dt.datetime) -> None:
    row = upload(b"id,level\nu1,1\n", now)
    seen = imports.preview(row)
    layout = imports.layout_of(seen.guesses, seen.header)
    imports.start(row.id, layout, imports.UNCHANGED, BY, now)
    begun: tuple[Callable[[], object], ...] = (
        lambda: imports.start(row.id, layout, imports.UNCHANGED, BY, now),
        lambda: imports.discard(row.id, BY, now),
    )
    for again in begun:
        with pytest.raises(Refusal) as refusal:
            again()
        assert refusal.value.problems[0].code == "import_begun"


def test_uploads_that_nobody_begins_are_forgotten(app: Flask, now: dt.datetime) -> None:
    row = upload(b"id,level\nu1,1\n", now)
    path = imports.path_of(row)
    imports.sweep(now + dt.timedelta(days=8))
    assert not path.exists()
    with pytest.raises(NotFound):
        imports.found(row.id)


def test_refused_rows_of_an_import_are_found_among_all(bring: Any) -> None:
    row = bring("id,a\n,1\n")
    assert [bad.reason for bad in contacts.bad_records(source=f"import:{row.id}")] == ["bad_id"]


def test_every_value_of_a_row_has_the_import_as_its_source_and_blank_cells_have_none(bring: Any) -> None:
    first = bring(HEAD + "u1,13800138000,陈涛,3\nu2,13900139001,,\n")
    second = bring("用户ID,姓名\nu2,林\n")
    sources = {row.xwho: row.sources for row in current_session().query(Contact)}
    held_ = {row.xwho: row.properties for row in current_session().query(Contact)}
    assert {xwho: set(found) for xwho, found in sources.items()} == {xwho: set(found) for xwho, found in held_.items()}
    assert {text.rsplit(":", 1)[0] for text in sources["u1"].values()} == {f"i:{first.id}"}
    assert {text.rsplit(":", 1)[0] for text in sources["u2"].values()} == {f"i:{first.id}", f"i:{second.id}"}
