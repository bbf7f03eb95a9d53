"""flask contacts erase: what would go, and that it goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from tests import builders, traces

NUMBER = "+8613912340001"


@pytest.fixture
def flask(runner: FlaskCliRunner) -> Callable[..., Result]:
    return lambda *args, **more: runner.invoke(args=["contacts", *args], **more)


def test_without_yes_only_what_would_go_is_printed(flask: Callable[..., Result]) -> None:
    builders.contact("QH-9", NUMBER)
    result = flask("erase", "QH-9")
    assert (result.exit_code, result.output) == (0, "1 contacts, 1 numbers\n  contact: 1\n")
    assert traces.places_of("QH-9") != {}


def test_numbers_come_from_a_file_and_are_gone_afterwards(flask: Callable[..., Result]) -> None:
    builders.contact("QH-9", NUMBER)
    result = flask("erase", "--from", "-", "--yes", input="139 1234 0001\n\n")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "Erased.")
    assert traces.places_of(NUMBER[3:], "QH-9") == {}


def test_a_number_as_an_argument_is_refused(flask: Callable[..., Result]) -> None:
    builders.contact("QH-9", NUMBER)
    result = flask("erase", NUMBER, "--yes")
    assert result.exit_code == 1
    assert "--from" in result.stderr
    assert NUMBER[3:] not in result.output + result.stderr


def test_somebody_unknown_is_refused_in_words(flask: Callable[..., Result]) -> None:
    result = flask("erase", "nobody", "--yes")
    assert result.exit_code == 1
    assert result.stderr.strip()
