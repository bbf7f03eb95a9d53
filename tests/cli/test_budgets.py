"""flask budgets, as a script calls it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from tests import builders


@pytest.fixture
def flask(runner: FlaskCliRunner) -> Callable[..., Result]:
    return lambda *args: runner.invoke(args=["budgets", *args])


def test_budgets_are_set_listed_and_removed(flask: Callable[..., Result]) -> None:
    channel = builders.channel(name="演练通道")
    number = flask("set", "500").stdout.strip()
    assert flask("set", "20.5", "--channel", str(channel.id), "--money", "cny").exit_code == 0
    lines = [line.split("\t") for line in flask("list").stdout.splitlines()]
    assert lines[0] == [number, "all", "-", "parts", "500", "0", "0", "500"]
    assert lines[1][1:] == ["channel", "演练通道", "CNY", "20.5", "0", "0", "20.5"]
    assert flask("remove", number).stdout == "removed\n"
    assert flask("remove", number).exit_code == 1


def test_what_means_nothing_is_said(flask: Callable[..., Result]) -> None:
    assert "how much" in flask("set", "much").stderr
    assert flask("set", "5", "--channel", "4711").exit_code == 1
    assert "for a channel or for a person" in flask("set", "5", "--channel", "1", "--person", "1").stderr
