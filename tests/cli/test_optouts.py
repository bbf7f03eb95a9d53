"""flask optouts: the list of numbers nobody writes to, from the command line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from smsapp.channels.types import Reply as Incoming
from smsapp.services.contacts import opt_outs
from smsapp.services.receipts import replies
from smsapp.store.db import writing
from tests import builders


@pytest.fixture
def flask(runner: FlaskCliRunner) -> Callable[..., Result]:
    return lambda *args: runner.invoke(args=["optouts", *args])


def test_numbers_come_from_a_file_and_bad_rows_are_told(flask: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone,note\n13800138000,投诉\nabc,\n")
    result = flask("import", str(path))
    assert result.exit_code == 1
    assert "row 3" in result.stderr
    assert result.stdout == "1 added, 0 known already, 1 refused\n"
    path.write_text("13800138000\n")
    assert flask("import", str(path)).exit_code == 0
    path.write_text("")
    assert flask("import", str(path)).exit_code == 2


def test_the_list_is_masked_unless_asked_for_in_full(flask: Callable[..., Result]) -> None:
    assert flask("add", "13800138000", "--note", "热线").stdout == "added\n"
    assert flask("add", "13800138000").stdout == "known already\n"
    assert flask("list").stdout.startswith("138****8000\t")
    assert flask("list", "--full").stdout.startswith("+8613800138000\t")
    assert flask("list").stdout.endswith("\tperson\teverything\t\t热线\n")


def test_a_number_refuses_part_of_the_texts_and_the_list_can_be_imported_again(
    flask: Callable[..., Result], tmp_path: Path
) -> None:
    builders.template(builders.channel().id, signature="青禾商城")
    assert flask("add", "13800138000", "--scope", "signature", "--signature", "青禾商城").stdout == "added\n"
    assert flask("add", "13800138001", "--scope", "signature").exit_code == 1
    assert flask("add", "13800138001").stdout == "added\n"
    assert flask("scope", "13800138001", "--scope", "marketing", "--reason", "电话").stdout == "changed\n"
    assert flask("scope", "13900139000", "--reason", "电话").exit_code == 1
    path = tmp_path / "optouts.tsv"
    path.write_text(listing := flask("list", "--full", "--headings").stdout)
    for number in ("13800138000", "13800138001"):
        flask("remove", number, "--reason", "x")
    assert flask("import", str(path)).stdout == "2 added, 0 known already, 0 refused\n"
    again = flask("list", "--full", "--headings").stdout
    rows = [[line.split("\t")[place] for place in (0, 3, 4)] for line in listing.splitlines()]
    assert [[line.split("\t")[place] for place in (0, 3, 4)] for line in again.splitlines()] == rows
    assert rows[1:] == [["+8613800138000", "signature", "【青禾商城】"], ["+8613800138001", "marketing", ""]]


def test_a_number_is_taken_off_with_a_reason(flask: Callable[..., Result]) -> None:
    flask("add", "13800138000")
    assert flask("remove", "13800138000").exit_code == 2
    assert flask("remove", "13800138000", "--reason", "重新登记").stdout == "removed\n"
    assert opt_outs.find_page() == []
    assert flask("remove", "13800138000", "--reason", "x").exit_code == 1
    assert flask("remove", "abc", "--reason", "x").exit_code == 1
    assert flask("add", "abc").exit_code == 1


def test_replies_without_a_number_are_told_and_laid_to_one(flask: Callable[..., Result], now: dt.datetime) -> None:
    channel = builders.channel()
    with writing() as session:
        replies.take(session, channel.id, None, 0, Incoming(phone="Shop", text="TD"), now)
        replies.take(session, channel.id, None, 1, Incoming(phone="10690001", text="好 13800138000"), now)
    assert "2 replies wait for a number" in flask("list").stderr
    waiting = flask("waiting")
    assert waiting.exit_code == 1
    (second, first) = [line.split("\t") for line in waiting.stdout.splitlines()]
    assert first[2:] == ["opt-out", "Shop", "TD"]
    assert second[2:] == ["reply", "10****01", "好 138****8000"]
    assert flask("assign", first[0], "Shop").exit_code == 1
    assert flask("assign", first[0], "13800138000").stdout == "on the list\n"
    assert flask("dismiss", second[0], "--reason", "a carrier's notice").stdout == "dismissed\n"
    assert flask("assign", second[0], "13800138000").exit_code == 1
    assert flask("waiting").exit_code == 0
    assert flask("list", "--full").stdout.startswith("+8613800138000\t")


def test_replies_that_look_like_refusals_are_decided(flask: Callable[..., Result], now: dt.datetime) -> None:
    channel = builders.channel()
    with writing() as session:
        replies.take(session, channel.id, None, 0, Incoming(phone="13800138000", text="别再发了，13800138000"), now)
    waiting = flask("suspected")
    assert waiting.exit_code == 1
    reply_id, _at, decision, number, text = waiting.stdout.strip().split("\t")
    assert (decision, number, text) == ("waits", "138****8000", "别再发了，138****8000")
    assert "1 replies look like refusals" in flask("list").stderr
    assert flask("decide", reply_id, "--as", "marketing").stdout == "1 decided\n"
    assert flask("suspected").exit_code == 0
    assert flask("suspected", "--decided").stdout.split("\t")[2] == "opt_out"
    assert flask("undo", reply_id).stdout == "taken back\n"
    assert flask("undo", reply_id).exit_code == 1
