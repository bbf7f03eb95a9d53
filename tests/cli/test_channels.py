"""`flask channels`, as a script calls it."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.services.channels import channel_health, registry
from tests import builders


@pytest.fixture(autouse=True)
def simulator(app: Flask) -> None:
    builders.channel(name="演练", settings={"refused": "0"})


def test_the_list_has_a_line_per_channel(runner: FlaskCliRunner) -> None:
    done = runner.invoke(args=["channels", "list"])
    assert done.exit_code == 0
    assert done.output.split("\t")[1:] == ["simulator", "active", "never checked", "演练\n"]


def test_a_check_says_whether_the_account_answers(runner: FlaskCliRunner) -> None:
    done = runner.invoke(args=["channels", "check", "演练"])
    assert done.exit_code == 0
    assert "The account answers." in done.output


def test_a_test_message_is_sent_or_the_exit_code_says_no(runner: FlaskCliRunner) -> None:
    assert runner.invoke(args=["channels", "test", "演练", "13800000000"]).exit_code == 0
    done = runner.invoke(args=["channels", "test", "演练", "13800000101"])
    assert done.exit_code == 1
    assert "SIM-BAD_NUMBER" in done.output
    assert runner.invoke(args=["channels", "test", "演练", "12"]).exit_code == 1


@pytest.mark.parametrize("command", [["check", "没有"], ["test", "没有", "13800000000"]])
def test_an_unknown_channel_is_an_error_in_words(runner: FlaskCliRunner, command: list[str]) -> None:
    done = runner.invoke(args=["channels", *command])
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")


def test_keys_are_rotated(runner: FlaskCliRunner) -> None:
    done = runner.invoke(args=["channels", "rotate"])
    assert done.exit_code == 0
    assert done.output.startswith("0 channels")


CHINESE = re.compile(r"[\u3400-\u9fff]")


@pytest.mark.parametrize(
    "command",
    [
        ["check", "Rehearsal"],
        ["test", "Rehearsal", "13800000000"],
        ["test", "Rehearsal", "13800000101"],
        ["test", "Rehearsal", "12"],
        ["test", "nobody", "12"],
        ["check", "Closed"],
    ],
)
def test_commands_speak_english_throughout(runner: FlaskCliRunner, command: list[str]) -> None:
    builders.channel(name="Rehearsal", settings={"refused": "0"})
    values = {setting.name: setting.default for setting in registry.kinds()["gateway"].settings}
    builders.channel(
        name="Closed", kind="gateway", settings=values | {"url": "https://x/", "check_url": "https://127.0.0.1:1/"}
    )
    done = runner.invoke(args=["channels", *command])
    assert not CHINESE.search(done.output), done.output


def test_a_check_that_fails_says_it_once_and_why(runner: FlaskCliRunner) -> None:
    values = {setting.name: setting.default for setting in registry.kinds()["gateway"].settings}
    builders.channel(
        name="Closed", kind="gateway", settings=values | {"url": "https://x/", "check_url": "https://127.0.0.1:1/"}
    )
    done = runner.invoke(args=["channels", "check", "Closed"])
    assert done.exit_code == 1
    assert done.output.count("does not accept the account or the settings") == 1
    assert "settings refused" not in done.output, "the check itself is none of the calls before it"
    assert "ALLOWED_PRIVATE_HOSTS" in done.output


def test_a_learned_pace_is_printed(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    pace = channel_health.Pace(None, None, [], 12, None)
    monkeypatch.setattr(channel_health, "pace", lambda *_given: pace)
    for command in (["check", "演练"], ["test", "演练", "13800000000"]):
        assert "learned pace: 12 per second" in runner.invoke(args=["channels", *command]).output
