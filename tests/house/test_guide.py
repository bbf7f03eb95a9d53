"""The guide says the same in both languages, in the words of the pages, and explains every status and reason."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from config import HERE
from smsapp import labels
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.outcome import Outcome
from smsapp.domain.roles import Role
from smsapp.domain.sms_template import Audit
from smsapp.labels import reports
from smsapp.web.guide import GUIDE, TO_PICTURE, TO_SECTION
from smsapp.web.help_sections import SECTIONS

LANGUAGES = ("zh", "en")
FILES = sorted(GUIDE.rglob("*.md"))
BOLD = re.compile(r"\*\*(.+?)\*\*")
CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")
EXPLAINED: dict[str, list[Any]] = {
    "list": [labels.LABELS["Status", status] for status in CampaignStatus],
    "left-out": [labels.LABELS["ExclusionReason", reason] for reason in ExclusionReason],
    "reasons": [labels.LABELS["Outcome", outcome] for outcome in Outcome],
    "templates": [labels.LABELS["Audit", audit] for audit in Audit],
    "report": list(reports.STATES.values()),
    "roles": [labels.LABELS["Role", role] for role in Role],
}
"""Section -> words of the pages, each of which has a row that begins with it."""


@cache
def chinese() -> dict[str, str]:
    """Return {English word of the pages: Chinese word}."""
    with (HERE / "smsapp" / "translations" / "zh_Hans" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue: Catalog = read_po(file, locale="zh_Hans")
    words: dict[str, str] = {}
    for entry in catalogue:
        if entry.id:
            ids, strings = ([text] if isinstance(text, str) else list(text or ()) for text in (entry.id, entry.string))
            words |= {english: strings[min(n, len(strings) - 1)] for n, english in enumerate(ids)}
    return words


def text(language: str, section: str) -> str:
    return (GUIDE / language / f"{section}.md").read_text(encoding="utf-8")


def shape(markdown: str) -> list[str]:
    """Return what a section is made of: headings, steps, points, rows, pictures; without their words."""
    kinds = (r"#+ ", r"\d\. ", r" *- ", r"\| ?-|\|-", r"\|", r"!\[")
    lines = markdown.splitlines()
    return [kind for line in lines for kind in kinds if re.match(kind, line)]


def test_every_section_is_there_in_both_languages_and_nothing_else() -> None:
    assert [sorted(path.stem for path in (GUIDE / language).glob("*")) for language in LANGUAGES] == [
        sorted(SECTIONS)
    ] * 2
    assert len(set(SECTIONS)) == len(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_both_languages_have_the_same_headings_steps_and_rows(section: str) -> None:
    zh, en = (shape(text(language, section)) for language in LANGUAGES)
    headings, steps, rows = r"#+ ", r"\d\. ", r"\|"
    for kind in (headings, steps, rows, r"!\["):
        assert zh.count(kind) == en.count(kind), f"{section}: {kind}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_is_bold_is_written_like_this_on_the_pages(path: Path) -> None:
    """Bold is a word of the pages: button, heading, status. Titles and sentences of the guide are not bold."""
    known = set(chinese()) if path.parent.name == "en" else set(chinese().values())
    unknown = [word for word in BOLD.findall(CODE.sub("", path.read_text())) if word not in known]
    assert not unknown, unknown


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("section", EXPLAINED)
def test_every_status_and_reason_is_explained(section: str, language: str) -> None:
    rows = [BOLD.findall(line) for line in text(language, section).splitlines() if line.startswith("| **")]
    explained = {row[0] for row in rows}
    english = [word._args[0] for word in EXPLAINED[section]]
    words = english if language == "en" else [chinese()[word] for word in english]
    missing = [word for word in words if word not in explained]
    assert not missing, missing


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_links_lead_to_sections_and_pictures_of_this_language(path: Path) -> None:
    for link in LINK.findall(CODE.sub("", path.read_text())):
        picture, section = TO_PICTURE.fullmatch(link), TO_SECTION.fullmatch(link)
        assert picture or section, link
        assert (path.parent / link).exists(), link
        assert not picture or picture[1].startswith(f"{path.parent.name}/"), link


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_section_is_short_enough_to_be_read(path: Path) -> None:
    words = path.read_text()
    assert len(words) < 5000
    assert words.count("\n# ") == 0
    assert words.startswith("# ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_column_of_a_table_has_a_heading(path: Path) -> None:
    rows = path.read_text().splitlines()
    headings = [row for row, below in itertools.pairwise(rows) if re.fullmatch(r"\|[-:| ]+\|", below)]
    assert not [row for row in headings if not all(cell.strip() for cell in row.strip("|").split("|"))]


def test_pictures_are_small() -> None:
    pictures = sorted((HERE / "docs" / "images").rglob("*.*"))
    assert {path.suffix for path in pictures} == {".webp"}
    assert sum(path.stat().st_size for path in pictures) < 3_000_000
    by_language = [{path.name for path in pictures if path.parent.name == language} for language in LANGUAGES]
    assert by_language[0] == by_language[1]
