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
    assert flask("list").stdout.endswith("\tperson\t热线\n")


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
