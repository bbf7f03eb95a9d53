"""What comes from outside is printed so that it cannot steer a terminal."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.cli.output import visible
from tests import builders

CLEAR_SCREEN = "\x1b[2J\x1b]0;owned\x07"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("短信 №7\tand\nmore", "短信 №7\tand\nmore"),
        (CLEAR_SCREEN, r"\u001b[2J\u001b]0;owned\u0007"),
        ("a\u009b31mb", r"a\u009b31mb"),
        ("user\u202egpj.exe", r"user\u202egpj.exe"),
        ("one\r\x08two", r"one\u000d\u0008two"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, printed: str) -> None:
    assert visible(text) == printed


def test_json_stays_json() -> None:
    line = visible(json.dumps({"code": "\u009b1m\x1b"}, ensure_ascii=False))
    assert json.loads(line) == {"code": "\u009b1m\x1b"}


def test_a_name_from_a_file_is_written_out(app: Flask, runner: FlaskCliRunner) -> None:
    builders.campaign(name=f"会员日{CLEAR_SCREEN}")
    printed = runner.invoke(args=["campaigns", "list"]).output
    assert "会员日" in printed
    assert "\x1b" not in printed
