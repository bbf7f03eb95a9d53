"""README's table of settings, and the pinned dependencies, are what the code says."""

from __future__ import annotations

import re

import pytest

from config import HERE
from smsapp.cli.settings import table

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(\[[a-z,]+\])?==[0-9][A-Za-z0-9.]*$")


def lines(name: str) -> list[str]:
    text = (HERE / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-r "))]


def test_the_table_in_the_readme_is_made_from_the_settings() -> None:
    readme = (HERE / "README.md").read_text()
    assert table() in readme, "run `flask settings` and paste its table into README.md"


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_dependency_is_pinned_exactly(name: str) -> None:
    loose = [line for line in lines(name) if not PINNED.match(line)]
    assert not loose, loose


def test_every_dependency_is_explained_on_one_line() -> None:
    explained = (HERE / "docs" / "dependencies.md").read_text().lower()
    for name in REQUIREMENTS:
        for line in lines(name):
            package = line.split("=")[0].split("[")[0].lower()
            assert explained.count(f"| `{package}` |") == 1, f"docs/dependencies.md needs one line for {package}"
