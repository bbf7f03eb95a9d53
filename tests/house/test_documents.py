"""Documents for developers lead to what is there: links, files and names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config import HERE

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FILE = re.compile(r"`((?:smsapp|bench|tests|docs|deploy)/[\w./-]+|\w+\.(?:py|toml|md|lock))`")
PLACE = re.compile(r"`([\w/]+\.py)`((?:(?:, | )`\w+`)*)")
DOCUMENTS = sorted(
    [
        *(path for path in (HERE / "docs").rglob("*.md") if path.parent.name in {"docs", "adr"}),
        *(HERE / name for name in ("README.md", "README.zh.md", "CONTRIBUTING.md", "SECURITY.md")),
    ]
)
NEW = [path for path in DOCUMENTS if path.parent.name == "adr" or path.name in {"CONTRIBUTING.md", "SECURITY.md"}]


def ids(paths: list[Path]) -> list[str]:
    return [path.relative_to(HERE).as_posix() for path in paths]


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids(DOCUMENTS))
def test_links_lead_somewhere(document: Path) -> None:
    links = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    broken = [link for link in links if not (document.parent / link).exists()]
    assert not broken, broken


@pytest.mark.parametrize("document", NEW, ids=ids(NEW))
def test_files_that_are_named_are_there(document: Path) -> None:
    missing = [name for name in FILE.findall(document.read_text()) if not (HERE / name).exists()]
    assert not missing, missing


def test_every_decision_is_in_the_list_of_decisions() -> None:
    listed = (HERE / "docs" / "adr" / "README.md").read_text()
    records = sorted((HERE / "docs" / "adr").glob("0*.md"))
    assert len(records) >= 8
    assert [record.name for record in records if f"]({record.name})" not in listed] == []


def test_the_glossary_names_what_is_in_the_code() -> None:
    missing = []
    rows = [line for line in (HERE / "docs" / "glossary.md").read_text().splitlines() if line.startswith("| ")]
    for row in rows:
        place = row.rstrip(" |").rsplit(" | ", 1)[1]
        for file, names in PLACE.findall(place):
            path = HERE / "smsapp" / file
            text = path.read_text() if path.exists() else ""
            missing += [file] if not text else []
            missing += [f"{file} {name}" for name in re.findall(r"\w+", names) if not re.search(rf"\b{name}\b", text)]
    assert len(rows) > 60
    assert not missing, missing
