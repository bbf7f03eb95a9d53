"""flask contacts and flask keys: what scripts get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from smsapp.services.apps import app_keys
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.imports import Import
from smsapp.store.db import current_session

Call = Callable[..., Result]

GOOD = "会员号;手机号;等级\nu1;13800138000;3\nu2;13900139000;5\n"


@pytest.fixture
def bring(runner: FlaskCliRunner, tmp_path: Path) -> Call:
    def call(content: str, *args: str) -> Result:
        path = tmp_path / "members.csv"
        path.write_bytes(content.encode("gbk"))
        return runner.invoke(args=["contacts", "import", str(path), *args])

    return call


def held() -> dict[str, dict[str, object]]:
    current_session().expire_all()
    return {row.xwho: row.properties for row in current_session().query(Contact)}


def test_a_gbk_file_with_semicolons_is_imported_and_the_exit_code_is_0(bring: Call) -> None:
    result = bring(GOOD, "--id", "会员号", "--map", "等级=level:number")
    assert (result.exit_code, result.stdout) == (0, "2 rows: 2 new, 0 updated, 0 refused.\n")
    assert held() == {"u1": {"$phone": "13800138000", "level": 3}, "u2": {"$phone": "13900139000", "level": 5}}
    assert "手机号: phone number" in result.stderr


def test_a_dry_run_writes_nothing(bring: Call) -> None:
    result = bring(GOOD, "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "2 rows: 2 can be kept, 0 refused. Nothing was written.\n")
    assert held() == {}
    assert current_session().query(Import).count() == 0


@pytest.mark.parametrize("args", [("--dry-run",), ()])
def test_a_blank_line_within_the_file_is_no_row(bring: Call, args: tuple[str, ...]) -> None:
    result = bring("会员号;手机号\nu1;13800138000\n;\nu2;13900139000\n", *args)
    assert (result.exit_code, result.stdout[:8]) == (0, "2 rows: ")


@pytest.mark.parametrize("args", [(), ("--dry-run",)])
def test_refused_rows_are_told_with_their_number_and_the_exit_code_is_3(bring: Call, args: tuple[str, ...]) -> None:
    result = bring(GOOD + ";13700137000;1\n", *args)
    assert result.exit_code == 3
    assert "row 4: " in result.stderr
    assert "1 refused" in result.stdout
    assert "13700137000" not in result.output


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("--id", "没有"), "会员号"),
        (("--map", "等级"), "--map COLUMN=NAME"),
        (("--map", "等级=level:colour"), "colour"),
        (("--map", "会员号=-"), "user id"),
    ],
)
def test_options_that_do_not_fit_the_file_end_with_exit_code_2(bring: Call, args: tuple[str, ...], word: str) -> None:
    result = bring(GOOD, *args)
    assert result.exit_code == 2
    assert word in result.stderr
    assert held() == {}


def test_a_file_that_is_no_table_ends_with_exit_code_2(bring: Call) -> None:
    assert bring("").exit_code == 2
    assert bring(GOOD, "--colour").exit_code == 2


def test_a_key_is_made_listed_and_disabled(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["keys", "create", "Shop app", "--kind", "server"])
    key = result.stdout.strip()
    assert result.exit_code == 0
    assert [row.key for row in app_keys.listed()] == [key]
    assert "never" in runner.invoke(args=["keys", "list"]).stdout
    assert runner.invoke(args=["keys", "disable", key]).stdout == "Shop app: disabled\n"
    assert f"{key}  server   disabled" in runner.invoke(args=["keys", "list"]).stdout
    assert runner.invoke(args=["keys", "enable", key]).stdout == "Shop app: active\n"


def test_what_cannot_be_done_with_a_key_is_said_with_exit_code_1(runner: FlaskCliRunner) -> None:
    runner.invoke(args=["keys", "create", "Shop app", "--kind", "app"])
    again = runner.invoke(args=["keys", "create", "Shop app", "--kind", "browser"])
    assert again.exit_code == 1
    assert "Shop app" in again.stderr
    assert runner.invoke(args=["keys", "disable", "unknown"]).exit_code == 1
