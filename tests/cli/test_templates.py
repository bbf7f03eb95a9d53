"""flask templates: what scripts and people get."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn, Protocol

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from smsapp.channels.errors import AccountError
from smsapp.channels.http import HttpClient
from smsapp.channels.simulator import Simulator
from smsapp.domain.outcome import Outcome
from smsapp.services.templates import sms_templates
from tests import builders

GOOD = "code,name,text,signature,purpose,status\nSMS_1,发货,您的订单已发货。,青禾商城,notification,approved\n"
BAD = "SMS_2,挨着,您好${a}${b},青禾商城,notification,approved\n"


class Cli(Protocol):
    """Runs `flask templates`, with a file to import if one is given."""

    def __call__(self, *args: str, file: str | None = None) -> Result: ...


@pytest.fixture
def flask(runner: FlaskCliRunner, tmp_path: Path) -> Cli:
    builders.channel(name="乐信通")

    def call(*args: str, file: str | None = None) -> Result:
        if file is not None:
            path = tmp_path / "t.csv"
            path.write_text(file, "utf-8-sig")
            args = ("import", str(path), "--channel", "乐信通", *args)
        return runner.invoke(args=["templates", *args])

    return call


def test_a_good_file_is_taken_and_the_exit_code_is_0(flask: Cli) -> None:
    result = flask(file=GOOD)
    assert (result.exit_code, result.stdout) == (0, "1 added, 0 changed, 0 unchanged, 0 refused\n")
    assert flask(file=GOOD).stdout == "0 added, 0 changed, 1 unchanged, 0 refused\n"
    assert sms_templates.find_page()[0].audit == "approved"


def test_a_dry_run_changes_nothing(flask: Cli) -> None:
    result = flask("--dry-run", file=GOOD)
    assert result.exit_code == 0
    assert "1 added" in result.stdout
    assert sms_templates.find_page() == []


def test_refused_rows_are_told_with_their_number_and_the_exit_code_is_1(flask: Cli) -> None:
    result = flask(file=GOOD + BAD)
    assert result.exit_code == 1
    assert "row 3: SMS_2" in result.stderr
    assert "${a}" in result.stderr
    assert [row.code for row in sms_templates.find_page()] == ["SMS_1"]


def test_an_unknown_column_is_told_with_exit_code_1(flask: Cli) -> None:
    result = flask(file="code,text,singature\nA,您好。,x\n")
    assert result.exit_code == 1
    assert "row 1:" in result.stderr
    assert "signature" in result.stderr


def test_scripts_get_json(flask: Cli) -> None:
    result = flask("--json", file=GOOD + BAD)
    report = json.loads(result.stdout)
    assert (report["added"], report["refused"], report["dry_run"]) == (1, 1, False)
    assert report["rows"][1]["row"] == 3
    assert report["rows"][1]["problems"][0]["code"] == "variables_adjacent"
    assert report["rows"][1]["problems"][0]["severity"] == "error"


def test_an_unusable_file_ends_with_exit_code_2(flask: Cli, tmp_path: Path) -> None:
    result = flask(file="")
    assert result.exit_code == 2
    assert result.stderr.strip()
    result = flask("--json", file="a,b\n1,2\n")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["code"] == "unusable"
    assert flask("import", str(tmp_path / "none.csv"), "--channel", "乐信通").exit_code == 2


def test_an_unknown_channel_is_named_with_those_there_are(flask: Cli, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(GOOD)
    result = flask("import", str(path), "--channel", "没有")
    assert result.exit_code == 2
    assert "乐信通" in result.stderr
    assert flask("list", "--channel", "没有").exit_code == 2


def test_the_list_can_be_narrowed_and_read_by_scripts(flask: Cli) -> None:
    flask(file=GOOD)
    builders.template(builders.channel().id, code="OTHER", audit="pending")
    assert "SMS_1" in flask("list", "--channel", "乐信通", "--audit", "approved").stdout
    assert flask("list", "--search", "没有这样的").stdout == ""
    items = json.loads(flask("list", "--json").stdout)["items"]
    assert [item["code"] for item in items] == ["OTHER", "SMS_1"]


@pytest.mark.parametrize("args", [("import", "--help"), ("list", "--help")])
def test_help_has_an_example(flask: Cli, args: tuple[str, ...]) -> None:
    assert "flask templates" in flask(*args).stdout


LISTED = "T1 | approved | | 您的订单{1}已发货。\nT2 | refused: 内容含违禁词 | notification | 【青禾商城】恭喜中奖"


def test_a_sync_says_what_changed_and_what_a_person_has_to_say(flask: Cli) -> None:
    builders.channel(name="模拟", settings={"templates": LISTED})
    result = flask("sync", "--channel", "模拟")
    assert result.exit_code == 0
    assert "T2 T2: added, Not approved: 内容含违禁词" in result.stdout
    assert "Nobody has said yet whether this text is marketing" in result.stdout
    assert result.stdout.endswith("模拟: 2 added, 0 changed, 0 withdrawn, 0 as they were.\n")


def test_a_sync_of_all_channels_that_fails_at_one_has_exit_code_1(flask: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: Simulator, http: HttpClient) -> NoReturn:
        raise AccountError("AuthFailure", outcome=Outcome.CREDENTIALS)

    monkeypatch.setattr(Simulator, "list_templates", fails)
    builders.channel(name="模拟", settings={"templates": LISTED})
    result = flask("sync")
    assert result.exit_code == 1
    assert "The provider does not accept the account" in result.stderr
    assert "AuthFailure" in result.stderr
    assert json.loads(flask("sync", "--json").stdout)["items"][0]["error"] == "account_error"


def test_a_channel_that_cannot_be_asked_for_templates_has_exit_code_2(flask: Cli) -> None:
    assert flask("sync", "--channel", "乐信通").exit_code == 2
    assert flask("sync", "--channel", "nobody").exit_code == 2
    assert flask("sync").exit_code == 0
