"""The shared texts of a workbook's cells, parsed as a stream, so that too many are refused early."""

from __future__ import annotations

import re
from typing import IO
from xml.parsers import expat

from smsapp.domain.errors import Problem, Refusal

MOST_TEXTS = 2_000_000
"""They are all kept in memory: about 100 bytes each."""
BLOCK = 1 << 16
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")


def read_shared_texts(file: IO[bytes]) -> list[str]:
    """Return the texts in order; raise Refusal if there are more than MOST_TEXTS, SyntaxError if it is no XML."""
    table = _Texts()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = table.start
    parser.EndElementHandler = table.end
    parser.CharacterDataHandler = table.characters
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        while block := file.read(BLOCK):
            parser.Parse(block)
            if len(table.texts) > MOST_TEXTS:
                raise Refusal(Problem("file_unpacks_too_large", "file"))
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise SyntaxError(str(error)) from None
    return table.texts


def _refuse_doctype(*_declaration: object) -> None:
    raise SyntaxError("a workbook declares no document type")


class _Texts:
    """The texts between <si> and </si>: the <t> of all runs, without the readings (<rPh>) of Japanese words."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._parts: list[str] = []
        self._in_reading = False
        self._in_text = False

    def start(self, name: str, _attributes: object) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "t":
            self._in_text = not self._in_reading
        elif tag == "rPh":
            self._in_reading = True
        elif tag == "si":
            self._parts = []

    def end(self, name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "t":
            self._in_text = False
        elif tag == "rPh":
            self._in_reading = False
        elif tag == "si":
            self.texts.append(unescaped("".join(self._parts)))

    def characters(self, text: str) -> None:
        if self._in_text:
            self._parts.append(text)


def unescaped(text: str) -> str:
    """Return a text of a workbook with its escapes: _x000D_ is a carriage return."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text
