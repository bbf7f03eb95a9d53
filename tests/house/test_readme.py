"""README in both languages: the same sections, commands, settings, channels and pictures."""

from __future__ import annotations

import re

from config import HERE

ENGLISH, CHINESE = ((HERE / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))


def cells(readme: str, pattern: str) -> list[tuple[str, ...]]:
    """Return what the pattern finds in each line."""
    return re.findall(pattern, readme, re.MULTILINE)


def test_they_lead_to_each_other() -> None:
    assert "(README.zh.md)" in ENGLISH.split("\n## ")[0]
    assert "(README.md)" in CHINESE.split("\n## ")[0]


def test_they_have_the_same_sections_steps_and_points() -> None:
    for mark in (r"^(#+) ", r"^(\d)\. ", r"^(-) "):
        assert cells(ENGLISH, mark) == cells(CHINESE, mark)
        assert len(cells(ENGLISH, mark)) > 5


def test_they_name_the_same_commands() -> None:
    named = r"^\| (`flask [^|]*) \|"
    assert cells(ENGLISH, named) == cells(CHINESE, named)
    assert len(cells(ENGLISH, named)) > 15
    make = r"^(make \w+)"
    assert cells(ENGLISH, make) == cells(CHINESE, make)


def test_they_have_the_same_settings_with_the_same_defaults() -> None:
    settings = r"^\| `([A-Z_]+)` \| ([^|]*) \|"
    assert cells(ENGLISH, settings) == cells(CHINESE, settings)
    assert len(cells(ENGLISH, settings)) > 40


def test_they_lead_to_the_same_documents_each_in_its_language() -> None:
    links = [
        {link.replace("/zh/", "/en/") for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("README")}
        for text in (ENGLISH, CHINESE)
    ]
    assert links[0] == links[1]
    assert not re.search(r"docs/(?:guide|images)/zh/", ENGLISH)
    assert not re.search(r"docs/(?:guide|images)/en/", CHINESE)
