"""`flask channels`, as a script calls it."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

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
    assert "绑定测试通过" in done.output or "account answers" in done.output


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
