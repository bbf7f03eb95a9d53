"""flask contacts consent: what people have agreed to, from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from tests import builders

NUMBER = "13800138000"


@pytest.fixture
def flask(runner: FlaskCliRunner) -> Callable[..., Result]:
    return lambda *args: runner.invoke(args=["contacts", "consent", *args])


def test_consents_are_recorded_and_shown_newest_first(flask: Callable[..., Result]) -> None:
    assert flask("give", NUMBER, "--words", "好，13900139000", "--at", "2026-01-02").stdout == "recorded\n"
    assert flask("withdraw", NUMBER, "--words", "热线").stdout == "recorded\n"
    lines = [line.split("\t") for line in flask("show", NUMBER).stdout.splitlines()]
    assert [line[:3] for line in lines] == [
        ["withdrawn", "in force", "everything"],
        ["given", "replaced", "everything"],
    ]
    assert lines[1][-2:] == ["2026-01-01T16:00:00+00:00", "好，139****9000"]
    assert flask("give", "abc", "--words", "x").exit_code == 1
    assert flask("give", NUMBER, "--words", "x", "--at", "soon").exit_code == 1
    assert flask("show", "abc").exit_code == 1


def test_a_file_is_taken(flask: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "consents.csv"
    path.write_text(f"phone,consent\n{NUMBER},yes\n13800138001,perhaps\n")
    result = flask("import", str(path), "--words", "agreed on the form")
    assert (result.exit_code, result.stdout) == (1, "1 recorded, 1 refused\n")
    assert "row 3" in result.stderr
    path.write_text("name\nx\n")
    assert flask("import", str(path)).exit_code == 2


def test_a_property_is_declared(flask: Callable[..., Result]) -> None:
    builders.known_property("sms_ok", "bool")
    assert flask("property").stdout == "none\n"
    assert flask("property", "name", "--words", "x").exit_code == 1
    assert flask("property", "sms_ok", "--words", "x", "--scope", "marketing").stdout == "saved\n"
    assert flask("property").stdout == "sms_ok\tmarketing\tx\n"
    assert flask("property", "--none").stdout == "saved\n"
    assert flask("property").stdout == "none\n"
