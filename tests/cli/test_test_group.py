"""flask test-group, as a script calls it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner


@pytest.fixture
def flask(runner: FlaskCliRunner) -> Callable[..., Result]:
    return lambda *args: runner.invoke(args=["test-group", *args])


def test_the_test_group_is_kept_from_scripts(flask: Callable[..., Result]) -> None:
    number = flask("add", "林然", "13700137001", "--seed").stdout.strip()
    assert flask("list").stdout == f"{number}\t林然\t137****7001\tseed\n"
    assert flask("add", "又一位", "13700137001").exit_code == 1
    assert flask("seed", number, "--off").stdout == "proofs\n"
    assert flask("remove", number).stdout == "removed\n"
    assert flask("remove", number).exit_code == 1
    assert flask("list").stdout == ""
