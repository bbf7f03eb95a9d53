"""The operator's guide: the Markdown files of docs/guide as parts of one page, rendered once in each language."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from smsapp.web.help_sections import SECTIONS

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
GUIDE, PICTURES = DOCUMENTS / "guide", DOCUMENTS / "images"
FOLDERS = {"zh_Hans": "zh", "en": "en"}
"""Locale -> folder of its files and pictures."""
TO_SECTION = re.compile(r"([\w-]+)\.md")
TO_PICTURE = re.compile(r"\.\./\.\./images/((?:zh|en)/[\w-]+\.webp)")
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True)
class Section:
    """One file of the guide: its name is its anchor, its first heading its title, the rest its HTML."""

    name: str
    title: str
    html: Markup


@cache
def sections(locale: str) -> dict[str, Section]:
    """Return the whole guide in this language, by section, in reading order."""
    return {name: read(name, GUIDE / FOLDERS[locale] / f"{name}.md") for name in SECTIONS}


def read(name: str, path: Path) -> Section:
    """Return one file as HTML; ValueError if it does not begin with its title."""
    title, *tokens = _without_title(MARKDOWN.parse(path.read_text(encoding="utf-8")))
    number = 0
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            # The title is an h2 of the page; what the file has as ## becomes its h3.
            token.tag = f"h{int(token.tag[1]) + 1}"
        if token.type == "heading_open":
            number += 1
            token.attrSet("id", f"{name}-{number}")
        elif token.type == "th_open":
            token.attrs = {"scope": "col"}
        elif token.type == "td_open":
            token.attrs = {}
        for child in token.children or ():
            _lead(child)
    html = MARKDOWN.renderer.render(tokens, MARKDOWN.options, {})
    # nosemgrep: markup-from-a-value -- a document of ours, in which raw HTML is off
    return Section(name, title.content, Markup(_framed(html, title.content)))  # noqa: S704 # nosec B704


def _without_title(tokens: list[Token]) -> Iterator[Token]:
    """Yield the text of the first heading, then all that follows it."""
    opening, text, _closing, *rest = tokens
    if opening.tag != "h1":
        raise ValueError("a section of the guide begins with its title")
    yield text
    yield from rest


def _lead(token: Token) -> None:
    """Let links and pictures lead to where the application serves them."""
    if token.type == "link_open":
        if match := TO_SECTION.fullmatch(str(token.attrs["href"])):
            token.attrSet("href", f"#{match[1]}")
    elif token.type == "image" and (match := TO_PICTURE.fullmatch(str(token.attrs["src"]))):
        picture = (PICTURES / match[1]).read_bytes()
        width, height = size(picture)
        version = hashlib.sha256(picture).hexdigest()[:12]
        token.attrSet("src", f"/help/pictures/{match[1]}?v={version}")
        token.attrSet("loading", "lazy")
        token.attrSet("width", str(width))
        token.attrSet("height", str(height))


def _framed(html: str, title: str) -> str:
    """Let tables scroll inside a frame that can be reached by keyboard."""
    label = str(Markup.escape(title))
    opening = (
        f'<div class="table-wrap" role="group" aria-label="{label}" tabindex="0"><table class="table table-dense">'
    )
    return html.replace("<table>", opening).replace("</table>", "</table></div>")


def size(webp: bytes) -> tuple[int, int]:
    """Return width and height of a WebP picture (RFC 9649), lossy or extended; ValueError for anything else."""
    kind = webp[12:16]
    if webp[:4] != b"RIFF" or webp[8:12] != b"WEBP" or kind not in {b"VP8 ", b"VP8X"}:
        raise ValueError("not a WebP picture")
    if kind == b"VP8X":
        return 1 + int.from_bytes(webp[24:27], "little"), 1 + int.from_bytes(webp[27:30], "little")
    return int.from_bytes(webp[26:28], "little") & 0x3FFF, int.from_bytes(webp[28:30], "little") & 0x3FFF
