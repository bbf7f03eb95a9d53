"""Files of Amazon Pinpoint, listmonk and GOV.UK Notify on their way in, as their own documentation writes them."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from config import HERE
from smsapp.domain import csv_text
from smsapp.domain.errors import Refusal
from smsapp.domain.import_state import ImportState
from smsapp.domain.other_systems import System
from smsapp.services.backups import archive
from smsapp.services.channels import phone_properties
from smsapp.services.contacts import import_rows, imports, opt_outs, uploaded_lists
from smsapp.services.contacts.imports import ImportRow
from smsapp.services.platform.audit_log import Actor
from smsapp.services.tables import translating
from smsapp.store.contacts import imports as import_store
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.replies import OptOut
from smsapp.store.contacts.segments import Segment, SegmentMember
from smsapp.store.db import current_session
from tests.backups import backed_up, silent

BY = Actor("test")
ON_SQLITE = pytest.mark.parametrize("config", ["sqlite"], indirect=True)
"""What the database has no part in is tested on one."""
FILES = HERE / "tests" / "files" / "other_systems"
Bring = Callable[..., ImportRow]


@pytest.fixture
def bring(app: Flask, now: dt.datetime) -> Bring:
    """Uploads a file, takes all guesses, imports, and returns the finished import."""

    def go(content: str | bytes, system: System | None = None, segment_name: str = "") -> ImportRow:
        body = (FILES / content).read_bytes() if isinstance(content, str) else content
        row = recognised(body, system, now)
        seen = imports.preview(row)
        layout = imports.layout_of(seen.guesses, seen.header)
        imports.start(row.id, layout, imports.UNCHANGED, BY, now, segment_name=segment_name)
        import_rows.run(row.id, lambda: now)
        current_session().expire_all()
        row = imports.found(row.id)
        assert row.state == ImportState.DONE, row.failure
        return row

    return go


def recognised(body: bytes, system: System | None, now: dt.datetime) -> ImportRow:
    row = imports.upload(io.BytesIO(body), "export", BY, now, system)
    imports.recognise(row.id, now)
    row = imports.found(row.id)
    if problem := import_rows.unready(row):
        raise Refusal(problem)
    return row


def people() -> dict[str, dict[str, Any]]:
    return {row.xwho: row.properties for row in current_session().query(Contact)}


def numbers() -> dict[str, str]:
    return {row.xwho: row.phones.get("$phone", "") for row in current_session().query(Contact)}


def refusing() -> dict[str, str]:
    return {row.phone: row.note for row in current_session().query(OptOut)}


def left_out(row: ImportRow) -> list[tuple[int, str]]:
    return [(kept.number, kept.reason) for kept in import_rows.refused_rows(row.id)]


def endpoints(*changes: dict[str, Any]) -> bytes:
    """JSON lines of SMS endpoints with these attributes."""
    return b"".join(
        json.dumps({"ChannelType": "SMS", "Address": f"+120655501{i:02d}"} | change).encode() + b"\n"
        for i, change in enumerate(changes)
    )


def user(user_id: str, **attributes: Any) -> dict[str, Any]:
    return {"User": {"UserId": user_id, "UserAttributes": attributes}}


def corrected(row: ImportRow) -> bytes:
    """The file of rows to correct, as the page gives it."""
    rows = ((kept, kept.reason) for kept in import_rows.rows_to_correct(row))
    return "".join(csv_text.stream(import_rows.table_of(row, ("Row", "Reason"), rows))).encode()


def counts(row: ImportRow) -> tuple[int, int, int, int]:
    """Rows, taken, merged, left out."""
    taken = row.added + row.changed
    assert row.position == taken + row.merged + row.refused
    return row.position, taken, row.merged, row.refused


@ON_SQLITE
@pytest.mark.parametrize(("name", "first"), [("pinpoint_endpoints.csv", 2), ("pinpoint_endpoints.json", 1)])
@pytest.mark.parametrize("packed", [False, True])
def test_the_documented_endpoint_files_are_recognised_and_come_in(
    bring: Bring, name: str, first: int, packed: bool
) -> None:
    body = (FILES / name).read_bytes()
    row = bring(gzip.compress(body) if packed else body)
    assert counts(row) == (5, 1, 0, 4)
    assert people() == {
        "example-user-id-1": {"$phone": "+16045550182", "country": "CA", "platform": "Android", "make": "LG"}
    }
    assert left_out(row) == [(first + i, "other_channel") for i in range(1, 5)]


@ON_SQLITE
def test_the_documented_number_without_a_plus_is_read_with_its_country_code(bring: Bring) -> None:
    bring("pinpoint_no_plus.csv")
    assert numbers() == {"example-user-id-1": "+12065550182"}


def test_of_a_persons_endpoints_the_newest_readable_one_comes_in_and_opt_outs_are_listed(bring: Bring) -> None:
    row = bring("pinpoint_export.json", segment_name="VIP")
    assert counts(row) == (5, 2, 1, 2)
    assert left_out(row) == [(1, "other_channel"), (2, "merged"), (5, "inactive")]
    assert numbers() == {"example_user": "+12065550182", "other_user": "+16045550182"}
    held = people()["example_user"]
    assert (held["firstname"], held["interests"]) == ("Wang", ["Technology", "Music", "Travel"])
    assert (held["music_interest_level"], held["latitude"]) == (6, 47.6)
    assert "requestid" not in held
    assert refusing() == {"+16045550182": "Amazon Pinpoint: OptOut=ALL"}
    assert row.opted_out == 1
    segment = current_session().query(Segment).one()
    members = current_session().query(SegmentMember).filter_by(segment_id=segment.id).count()
    assert (segment.name, segment.kind, segment.size, members) == ("VIP", "uploaded", 2, 2)


@ON_SQLITE
def test_what_stands_in_a_file_twice_and_in_other_cases_is_understood(bring: Bring) -> None:
    row = bring(
        endpoints(
            user("a") | {"EffectiveDate": "2024-02-01T00:00:00Z", "OptOut": "All"},
            user("a") | {"EffectiveDate": "2024-01-01T00:00:00Z", "OptOut": "none"},
            user("b") | {"ChannelType": "sms", "EndpointStatus": "active"},
            user("b"),
            user("c") | {"OptOut": "MAYBE"},
            {"Address": "+12065550109"},
            {"Address": "nobody"},
            user("d") | {"Address": "13512345678"},
            user("e") | {"Address": "13800138000"},
        )
    )
    assert left_out(row) == [
        (2, "merged"),
        (3, "merged"),
        (5, "unclear_opt_out"),
        (7, "bad_address"),
        (8, "unclear_number"),
    ]
    assert numbers() == {
        "a": "+12065550100",
        "b": "+12065550103",
        "+12065550109": "+12065550109",
        "e": "+8613800138000",
    }
    assert [*refusing()] == ["+12065550100"]
    assert counts(row) == (9, 4, 2, 3)


@ON_SQLITE
def test_an_opt_out_of_an_endpoint_that_does_not_come_in_counts_as_well(bring: Bring) -> None:
    newer = user("a") | {"EffectiveDate": "2021-01-01T00:00:00Z"}
    bring(endpoints(user("a") | {"OptOut": "ALL", "EffectiveDate": "2020-01-01T00:00:00Z"}, newer))
    assert (numbers(), [*refusing()]) == ({"a": "+12065550101"}, ["+12065550100"])


@ON_SQLITE
def test_broken_and_endless_lines_cost_no_other_line(bring: Bring) -> None:
    good = endpoints(user("a"), user("b")).splitlines()
    endless = b'{"ChannelType":"SMS","Address":"' + b"1" * (100 << 20) + b'"}'
    row = bring(b"\n".join([good[0], b'{"ChannelType":"SMS","Addr', b"[1]", b"", endless, good[1]]) + b"\n")
    assert left_out(row) == [(2, "broken_line"), (3, "broken_line"), (5, "long_line")]
    assert (row.rows, row.added, row.refused) == (5, 2, 3)
    assert [*people()] == ["a", "b"]


@ON_SQLITE
def test_attributes_that_come_late_have_columns_and_long_ones_are_refused(
    bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = bring(
        endpoints(
            user("a", name=["x"]) | {"Attributes": {"name": ["y"], "note": ['=1,"\n']}},
            user("b") | {"Attributes": {"late": ["1"]}},
            user("c", name=["z" * 9000]),
        )
    )
    assert people() == {
        "a": {"$phone": "+12065550100", "name": "x", "attributes_name": "y", "note": '=1,"'},
        "b": {"$phone": "+12065550101", "late": 1},
    }
    assert left_out(row) == [(3, "too_long")]


def test_columns_found_after_the_headings_were_written_widen_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translating, "ROWS_BEFORE_HEADINGS", 1)
    source, target = tmp_path / "in", tmp_path / "out"
    late = {"Attributes": {"late": ["1", "2"]}}
    source.write_bytes(endpoints(user("a"), *[user(f"b{i}") for i in range(1999)], user("c") | late))
    translated = translating.translate(source, target, None, "CN")
    lines = target.read_text().splitlines()
    assert (lines[0], len(translated.marks)) == ("user_id,phone,late", 2001)
    assert lines[-1] == 'c,+1206555012000,"1, 2"'


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "system", "code"),
    [
        (gzip.compress(b'{"ChannelType":"SMS"}\n' * 50_000)[:-40], None, "gzip_broken"),
        (b"Channel,Number\nSMS,+12065550100\n", System.PINPOINT, "system_headings"),
        (b'[{"ChannelType":"SMS"}]', None, "json_no_lines"),
        (b'{\n  "EndpointResponse": {\n', None, "json_no_endpoints"),
        (b'{"name": "x"}\n', None, "json_no_endpoints"),
        ((FILES / "pinpoint_user_ids.json").read_bytes(), None, "pinpoint_ids_only"),
        ((FILES / "pinpoint_user_ids.csv").read_bytes(), System.PINPOINT, "pinpoint_ids_only"),
        (b'{"ChannelType":"SMS"}\n', System.NOTIFY, "system_not_json"),
        (b"email,name\na@example.com,A\n", System.LISTMONK, "system_headings"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole_in_words(
    app: Flask, now: dt.datetime, body: bytes, system: System | None, code: str
) -> None:
    with pytest.raises(Refusal) as refused:
        recognised(body, system, now)
    assert refused.value.problems[0].code == code
    assert not list((imports.path_of(imports.listed()[0])).parent.iterdir())


@ON_SQLITE
def test_subscribers_of_listmonk_come_in_with_their_attributes(bring: Bring) -> None:
    row = bring("listmonk.csv")
    assert counts(row) == (6, 3, 0, 3)
    assert left_out(row) == [(5, "disabled"), (6, "broken_attributes"), (7, "blocked_without_number")]
    assert numbers() == {"anon@example.com": "+447900900123", "bob@example.com": "", "out@example.com": "+447900900124"}
    held = people()["anon@example.com"]
    assert (held["city"], held["likes_tea"], held["projects"]) == ("Bengaluru", True, 3)
    assert held["spoken_languages"] == ["English", "Malayalam"]
    assert refusing() == {"+447900900124": "listmonk: blocklisted"}
    assert row.without_number == 1


@ON_SQLITE
def test_a_list_of_notify_is_read_with_british_numbers_when_it_is_named(bring: Bring) -> None:
    row = bring("notify.csv", System.NOTIFY, "One-off")
    assert numbers() == {
        "+447900900123": "+447900900123",
        "+447900900124": "+447900900124",
        "+447900900125": "+447900900125",
    }
    assert (people()["+447900900123"]["reference"], people()["+447900900123"]["$phone"]) == ("A1", "+447900900123")
    phone_properties.rebuild_phones("$phone")
    current_session().expire_all()
    assert numbers()["+447900900123"] == "+447900900123"
    assert left_out(row) == [(5, "bad_id")]
    assert current_session().query(Segment).one().size == 3


@ON_SQLITE
@pytest.mark.parametrize("name", ["pinpoint_user_ids.csv", "pinpoint_user_ids.json"])
def test_the_documented_lists_of_user_ids_become_segments(bring: Bring, now: dt.datetime, name: str) -> None:
    bring("pinpoint_endpoints.csv")
    with (FILES / name).open("rb") as file:
        segment = uploaded_lists.upload("Ids", uploaded_lists.USER_ID, file, name, None, by=BY, now=now)
    assert (segment.size, segment.rule["source"]["lines"]) == (1, 3)


@ON_SQLITE
def test_opted_out_numbers_as_amazon_prints_them_go_on_the_list(app: Flask, now: dt.datetime) -> None:
    result = opt_outs.take_file((FILES / "opted_out_numbers.json").read_bytes(), BY, now)
    assert (result.added, result.refused) == (3, 1)
    assert [(place, problem.code) for place, problem in result.complaints] == [(4, "number_unreadable")]
    assert refusing() == {
        "+13512345678": "AWS: 1699222944 by the person",
        "+12065550100": "AWS: 2023-11-05T17:23:44.123000-05:00 by the person",
        "+16045550182": "AWS: 1699222944 by the account",
    }


@ON_SQLITE
def test_a_value_of_another_type_than_the_catalogue_says_is_left_out(bring: Bring) -> None:
    bring(endpoints(user("a") | {"Metrics": {"points": 3.0}}))
    row = bring(endpoints(user("b") | {"Metrics": {"points": 4.5}}, user("c") | {"Metrics": {"points": "many"}}))
    assert people()["b"]["points"] == 4.5
    assert left_out(row) == [(2, "type_conflict")]


@ON_SQLITE
def test_a_backup_that_is_made_while_a_translated_file_waits_is_opened_again(
    app: Flask, now: dt.datetime, tmp_path: Path
) -> None:
    table = imports.path_of(recognised(endpoints(user("a")), None, now))
    backed_up(tmp_path / "a.backup", now)
    archive.unpack(tmp_path / "a.backup", "", tmp_path / "out", silent)
    assert (tmp_path / "out" / "uploads" / table.name).read_bytes() == table.read_bytes()


@ON_SQLITE
def test_the_file_of_rows_to_correct_has_only_rows_that_undo_nothing_when_they_are_uploaded_again(bring: Bring) -> None:
    row = bring(
        endpoints(
            user("a") | {"EffectiveDate": "2024-02-01T00:00:00Z"},
            user("a") | {"EffectiveDate": "2020-01-01T00:00:00Z"},
            user("a") | {"ChannelType": "EMAIL", "Address": "a@b.c"},
            user("i") | {"EndpointStatus": "INACTIVE"},
            user("u") | {"OptOut": "UNKNOWN"},
            user("w") | {"OptOut": "UNKNOWN", "Address": "nobody"},
            user("n") | {"Address": "13512345678"},
        )
    )
    again = bring(corrected(row).replace(b"13512345678", b"+8613512345678"))
    assert (again.added, again.changed, again.refused) == (1, 0, 0)
    assert numbers() == {"a": "+12065550100", "n": "+8613512345678"}
    assert [kept.reason for kept in import_rows.rows_that_stay_out(row)] == [
        *("merged", "other_channel", "inactive", "unclear_opt_out", "unclear_opt_out")
    ]


@ON_SQLITE
def test_the_list_of_rows_that_stay_out_is_refused_by_an_import(bring: Bring, now: dt.datetime) -> None:
    row = bring(endpoints(user("a"), user("b") | {"EndpointStatus": "INACTIVE"}))
    rows = ((kept, kept.reason) for kept in import_rows.rows_that_stay_out(row))
    table = import_rows.table_of(row, ("Row", "Reason"), rows, is_list=True)
    again = recognised("".join(csv_text.stream(table)).encode(), None, now)
    seen = imports.preview(again)
    with pytest.raises(Refusal, match="import_without_id"):
        imports.start(again.id, imports.layout_of(seen.guesses, seen.header), imports.UNCHANGED, BY, now)


@ON_SQLITE
def test_an_opted_out_endpoint_comes_in_only_if_its_number_can_be_read_in_one_way(bring: Bring) -> None:
    row = bring(
        endpoints(
            user("a") | {"OptOut": "ALL"},
            user("b") | {"OptOut": "ALL", "Address": "+123456789"},
            user("c") | {"OptOut": "ALL", "Address": "nobody"},
            user("d") | {"OptOut": "ALL", "Address": "13512345678"},
            user("e") | {"OptOut": "ALL", "Address": "13512345679", "EndpointStatus": "INACTIVE"},
        )
    )
    unreadable, unclear = "opted_out_unreadable", "opted_out_unclear"
    assert left_out(row) == [(2, unreadable), (3, unreadable), (4, unclear), (5, "inactive")]
    assert numbers() == {"a": "+12065550100"}
    assert {*refusing()} == {
        *("+12065550100", "+8613512345678", "+13512345678", "+8613512345679", "+13512345679"),
    }
    assert (row.opted_out, [*import_rows.rows_to_correct(row)]) == (5, [])


@ON_SQLITE
def test_a_blocklisted_subscriber_comes_in_only_if_the_number_can_be_read_in_one_way(bring: Bring) -> None:
    lines = [
        "uuid,email,name,attributes,status",
        *(f'{i},{i}@x.com,A,"{{""phone"":""{number}""}}",blocklisted' for i, number in enumerate(BLOCKED)),
    ]
    row = bring("\n".join(lines).encode())
    assert numbers() == {"0@x.com": "+447900900123", "1@x.com": "+447900900124"}
    assert left_out(row) == [(4, "opted_out_unreadable"), (5, "opted_out_unclear"), (6, "blocked_without_number")]
    assert {*refusing()} == {"+447900900123", "+447900900124", "+8613512345678", "+13512345678"}


BLOCKED = ("+447900900123", "447900900124", "07900 90012", "13512345678", "")


@ON_SQLITE
@pytest.mark.parametrize("heading", ["phone-number", "Phone_Number", "PHONE  NUMBER"])
def test_the_recipients_of_notify_are_found_however_their_heading_is_written(bring: Bring, heading: str) -> None:
    bring(f"{heading},name\n07900 900123,A\n".encode(), System.NOTIFY)
    assert people() == {"+447900900123": {"$phone": "+447900900123", "name": "A"}}


ORDINARY = (
    "user_id,phone,channel_type,address\nu1,13800138000,wechat,Shanghai\n",
    "会员号,手机号,email,attributes\nu1,13800138000,a@b.c,vip\n",
)


@ON_SQLITE
@pytest.mark.parametrize("body", ORDINARY)
def test_a_table_with_similar_headings_is_an_ordinary_table(bring: Bring, body: str) -> None:
    row = bring(body.encode())
    assert (row.format["system"], numbers()) == ("", {"u1": "+8613800138000"})


@ON_SQLITE
def test_a_table_with_the_very_headings_of_another_system_is_ordinary_if_a_person_says_so(bring: Bring) -> None:
    body = b"user_id,phone,ChannelType,Address\nu1,13800138000,wechat,Shanghai\n"
    row = bring(gzip.compress(body), System.TABLE)
    assert (row.format["system"], people()["u1"]["address"]) == ("", "Shanghai")


@ON_SQLITE
def test_the_headings_of_a_named_system_are_understood_however_they_are_written(bring: Bring) -> None:
    bring(b"channel_type,ADDRESS,user.userid,optout\nSMS,+12065550100,u1,ALL\n", System.PINPOINT)
    assert (numbers(), [*refusing()]) == ({"u1": "+12065550100"}, ["+12065550100"])
    bring(b'E-mail,Status,Attributes\na@x.com,enabled,"{""phone"":""+447900900123""}"\n', System.LISTMONK)
    assert numbers()["a@x.com"] == "+447900900123"


DEEP = '{"x":' * 300 + "1" + "}" * 300
ODD = (
    ('{"x": "\\ud800"}', "broken_attributes"),
    ('{"x": {"id": 123456789012345678901234}}', None),
    ('{"x": [1, {"id": 123456789012345678901234}]}', None),
    (DEEP, "too_long"),
    ('{"x":' + "[" * 990 + "]" * 990 + "}", "too_long"),
)


@ON_SQLITE
@pytest.mark.parametrize(("attributes", "reason"), ODD)
def test_an_odd_value_costs_its_own_row_at_most(bring: Bring, attributes: str, reason: str | None) -> None:
    quoted = attributes.replace('"', '""')
    row = bring(f'uuid,email,attributes,status\n1,a@x.com,{{}},enabled\n2,b@x.com,"{quoted}",enabled\n'.encode())
    assert left_out(row) == ([(3, reason)] if reason else [])
    assert "a@x.com" in people()


@ON_SQLITE
def test_the_segment_of_a_file_is_without_people_whose_row_was_refused(bring: Bring) -> None:
    bring(b"user_id,phone,n\nu1,13800138000,1\nu2,13800138001,2\n")
    bring(b"user_id,phone,n\nu1,13800138000,many\nu2,13800138001,5\n", None, "S")
    assert current_session().query(Segment).one().size == 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'[8613800138000, "+8613800138001", null]', (2, 1)),
        (b'\xef\xbb\xbf{"phoneNumbers":["+8613800138002"]}\n{"phoneNumbers":["+8613800138003"]}\n', (2, 0)),
        (b"[" * 990 + b'"+8613800138004"' + b"]" * 990, (1, 0)),
    ],
)
def test_opted_out_numbers_are_read_from_lists_of_any_form(
    app: Flask, now: dt.datetime, body: bytes, found: tuple[int, int]
) -> None:
    result = opt_outs.take_file(body, BY, now)
    assert (result.added, result.refused) == found


@ON_SQLITE
def test_a_worker_that_lost_its_lease_ends_no_import_again(
    bring: Bring, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = bring(endpoints(user("a")), None, "S")
    monkeypatch.setattr(import_store, "claim_import", lambda *_args: True)
    import_rows.run(row.id, lambda: now)
    current_session().expire_all()
    assert (imports.found(row.id).state, current_session().query(Segment).count()) == (ImportState.DONE, 1)
