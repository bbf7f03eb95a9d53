"""What people do with files of contacts in the pages."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.import_state import ImportState
from smsapp.services.contacts import import_rows, imports
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.tables.formats import Choice
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session

HEAD = "会员号,手机号,姓名\n"
ROLES = {"role-0": "id", "role-1": "phone", "role-2": "property", "name-2": "nickname", "type-2": "string"}


def upload(content: bytes | str, by: Actor = Actor("test")) -> imports.ImportRow:  # noqa: B008 a constant
    """Upload a file and have a worker recognise it."""
    body = content if isinstance(content, bytes) else content.encode()
    row = imports.upload(io.BytesIO(body), "members.csv", by, clock.now())
    imports.recognise(row.id, clock.now())
    return imports.found(row.id)


def brought(content: bytes | str, choice: Choice = imports.UNCHANGED) -> imports.ImportRow:
    """Upload a file and import it with what is guessed."""
    row = upload(content)
    seen = imports.preview(row, choice)
    imports.start(row.id, imports.layout_of(seen.guesses, seen.header), choice, Actor("test"), clock.now())
    import_rows.run(row.id, clock.now)
    return imports.found(row.id)


def test_a_file_is_mapped_and_imported(client: Any, app: Flask) -> None:
    row = upload(HEAD + "u1,13800138000,小明\n,13800138001,nobody\n")
    operator = client.as_("operator")
    page = operator.get(f"/contacts/imports/{row.id}")
    chosen = {
        element["name"]: element.find("option", selected=True)["value"] for element in page.select("select[name^=role]")
    }
    assert chosen == {"role-0": "id", "role-1": "phone", "role-2": "property"}
    operator.post(f"/contacts/imports/{row.id}", heading_row="1", **ROLES)
    import_rows.run(row.id, clock.now)
    page = operator.get(f"/contacts/imports/{row.id}")
    assert page.select("[data-hx-trigger]") == []
    assert current_session().query(Contact.properties).filter_by(xwho="u1").scalar()["nickname"] == "小明"
    refused = operator.raw.get(f"/contacts/imports/{row.id}/refused.csv").get_data(as_text=True)
    assert "138****8001" in refused


def test_an_upload_is_looked_at_by_a_worker_and_its_page_waits_for_it(client: Any) -> None:
    operator = client.as_("operator")
    page = operator.post("/contacts/imports/", file=(io.BytesIO((HEAD + "u1,1,a\n").encode()), "f.csv"))
    assert page.select("#import[data-hx-trigger='every 2s']")
    [row] = imports.listed()
    assert row.state == ImportState.RECEIVED
    imports.recognise(row.id, clock.now())
    answer = operator.raw.get(f"/contacts/imports/{row.id}", headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == f"/contacts/imports/{row.id}"
    assert operator.get(f"/contacts/imports/{row.id}").select("[name=role-0]")


def test_a_look_at_an_upload_never_reads_it_again(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = upload(HEAD + "u1,1,a\n")
    imports.path_of(row).write_bytes(b"")
    assert "u1" in client.as_("operator").get(f"/contacts/imports/{row.id}").text


@pytest.mark.parametrize(
    ("content", "words"), [(b"%PDF-1.7 \x00", "PDF"), (b"\x89PNG\r\n\x1a\n\0", "图片"), (b"", "文件是空的")]
)
def test_what_is_no_table_is_said_on_the_page(client: Any, content: bytes, words: str) -> None:
    row = upload(content)
    assert words in client.as_("operator").get(f"/contacts/imports/{row.id}").text
    assert not imports.path_of(row).exists()


def test_encoding_separator_and_headings_are_changed_beside_the_preview(client: Any) -> None:
    row = upload(b"id;name|x\nU1;Dr\xe0zen|1\n")
    operator = client.as_("operator")
    address = f"/contacts/imports/{row.id}"
    assert "Dràzen" in operator.get(address).text
    page = operator.get(f"{address}?encoding=gb18030&delimiter=;&heading_row=1")
    assert "Dr鄗en" in page.text
    assert page.select_one("#encoding option[selected]")["value"] == "gb18030"
    assert page.select_one("form[method=post] [name=encoding]")["value"] == "gb18030"
    page = operator.get(f"{address}?encoding=cp1252&delimiter=%7C&heading_row=0", htmx=True)
    assert [cell.get_text(strip=True) for cell in page.select("tbody td:nth-of-type(2)")] == ["id;nameU1;Dràzen", "x1"]
    fields = {"role-0": "ignore", "role-1": "id"}
    operator.post(address, encoding="cp1252", delimiter="|", heading_row="0", **fields)
    import_rows.run(row.id, clock.now)
    assert {xwho for (xwho,) in current_session().query(Contact.xwho)} == {"x", "1"}


def test_a_choice_that_does_not_exist_is_said_and_the_file_shown_as_it_was(client: Any) -> None:
    row = upload(HEAD + "u1,1,a\n")
    page = client.as_("operator").get(f"/contacts/imports/{row.id}?encoding=klingon", status=422)
    assert page.said()
    assert "u1" in page.text


def test_headings_alone_are_said_before_and_after(client: Any) -> None:
    row = upload(HEAD)
    operator = client.as_("operator")
    assert "只有标题行" in operator.get(f"/contacts/imports/{row.id}").text
    operator.post(f"/contacts/imports/{row.id}", heading_row="1", **ROLES)
    import_rows.run(row.id, clock.now)
    page = operator.get(f"/contacts/imports/{row.id}")
    assert "只有标题行" in page.text
    assert "所有行" not in page.text


def test_the_result_says_how_many_rows_have_no_usable_number_and_gives_them(client: Any) -> None:
    row = brought(HEAD + "u1,13800138000,a\nu2,,b\nu3,12,c\nu4,1.38E+10,d\n")
    assert (row.added, row.refused, row.without_number) == (4, 0, 3)
    operator = client.as_("operator")
    page = operator.get(f"/contacts/imports/{row.id}")
    assert "其中 3 行没有可用的手机号" in page.text
    text = operator.raw.get(f"/contacts/imports/{row.id}/without-number.csv").get_data(as_text=True)
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert rows[0][2:] == ["会员号", "手机号", "姓名"]
    assert [cells[2] for cells in rows[1:]] == ["u2", "u3", "u4"]
    assert operator.get("/contacts/refused").rows() == []


def test_refused_rows_are_shown_on_the_page(client: Any) -> None:
    row = brought(HEAD + "u1,13800138000,a\n,13800138001,b\n1.23E+17,13800138002,c\n1.23E+17,13800138003,d\n")
    page = client.as_("operator").get(f"/contacts/imports/{row.id}")
    assert [cells[0] for cells in page.rows()] == ["3", "4", "5"]
    assert "13800138001" not in page.text


def refused_file(client: Any, row: imports.ImportRow, role: str = "administrator") -> bytes:
    content: bytes = client.as_(role).raw.get(f"/contacts/imports/{row.id}/refused.csv").get_data()
    return content


def test_the_file_of_refused_rows_is_corrected_and_imported_again(client: Any) -> None:
    body = '会员号,手机号,差额,备注\nu0,13800138000,1,a\n,13800138001,-12.5,=甲+乙\n,13800138002,3,"一,二\n三"\n'
    row = brought(body)
    text = refused_file(client, row).decode()
    for n, number in enumerate(("13800138001", "13800138002"), 1):
        text = text.replace(f",,{number}", f",u{n},{number}")
    again = brought(text)
    assert (again.added, again.refused) == (2, 0)
    current_session().expire_all()
    held = dict(current_session().query(Contact.xwho, Contact.properties).all())
    assert {name for properties in held.values() for name in properties} == {"$phone", "差额", "备注"}
    assert held["u1"] == {"$phone": "13800138001", "差额": -12.5, "备注": "=甲+乙"}
    assert held["u2"] == {"$phone": "13800138002", "差额": 3, "备注": "一,二\n三"}


def test_a_file_of_refused_rows_of_a_file_without_headings_names_its_columns(client: Any) -> None:
    row = brought("13800138000,张三,x\n13800138003,王五,z\n12,李四,y\n", Choice(heading_row=0))
    text = refused_file(client, row).decode()
    assert text.splitlines()[0].split(",")[2:] == ["$phone", "column_2", "column_3"]
    again = brought(text.replace(",12,", ",13800138012,"))
    assert (again.added, again.refused) == (1, 0)
    assert current_session().query(Contact.properties).filter_by(xwho="+8613800138012").scalar()["column_2"] == "李四"


def test_whoever_uploaded_a_file_gets_its_refused_rows_as_they_were(client: Any) -> None:
    operator = client.as_("operator")
    operator.post("/contacts/imports/", file=(io.BytesIO((HEAD + ",13800138001,b\n").encode()), "f.csv"))
    [row] = imports.listed()
    imports.recognise(row.id, clock.now())
    operator.post(f"/contacts/imports/{row.id}", heading_row="1", **ROLES)
    import_rows.run(row.id, clock.now)
    assert b"13800138001" in operator.raw.get(f"/contacts/imports/{row.id}/refused.csv").get_data()


def test_a_person_may_not_leave_any_number_of_uploads_behind(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MOST_WAITING", 2)
    operator = client.as_("operator")
    for name in ("a.csv", "b.csv"):
        operator.post("/contacts/imports/", file=(io.BytesIO(b"id\nu1\n"), name))
    page = operator.post("/contacts/imports/", status=422, file=(io.BytesIO(b"id\nu1\n"), "c.csv"))
    assert "尚未导入" in page.said()
    assert len(imports.listed()) == 2


def test_cells_with_commas_and_line_breaks_come_back_in_their_columns(client: Any) -> None:
    row = brought('会员号,手机号,备注\n,13800138001,"一,二\n三"\n,13800138002,"a ""b"""\n')
    _heading, first, second = csv.reader(io.StringIO(refused_file(client, row).decode(), newline=""))
    assert first[2:] == ["", "13800138001", "一,二\n三"]
    assert second[2:] == ["", "13800138002", 'a "b"']


def test_a_mapping_without_a_user_id_comes_back_with_what_was_chosen(client: Any) -> None:
    row = upload("name,city\na,b\n")
    fields = {"role-0": "property", "name-0": "1 bad", "type-0": "string", "role-1": "ignore"}
    page = client.as_("operator").post(f"/contacts/imports/{row.id}", status=422, heading_row="1", **fields)
    assert page.select_one("[name=name-0]")["value"] == "1 bad"
    assert page.said()


def test_a_running_import_asks_again_until_it_is_done(client: Any) -> None:
    row = upload("id,city\nu1,b\n")
    seen = imports.preview(row)
    layout = imports.layout_of(seen.guesses, seen.header)
    imports.start(row.id, layout, imports.UNCHANGED, Actor("test"), clock.now())
    piece = client.as_("operator").get(f"/contacts/imports/{row.id}", htmx=True)
    assert piece.select("[data-hx-trigger='every 2s']")


def test_no_file_at_all_is_refused_in_words(client: Any) -> None:
    operator = client.as_("operator")
    operator.get("/contacts/imports/")
    page = operator.post("/contacts/imports/", status=422)
    assert page.said()
