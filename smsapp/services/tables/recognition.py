"""Recognises a file: its kind by its first bytes, its encoding, its separator, and the row of its headings."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import mmap
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smsapp.domain.cells import is_blank
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.guesses import has_header
from smsapp.services.tables import reading, workbooks
from smsapp.services.tables.csv_rows import MOST_LINE, separator_of, without_marks
from smsapp.services.tables.formats import CSV, DELIMITERS, MOST_COLUMNS, XLSX, Choice, Format

LOOKED_AT = 1 << 16
"""Bytes of a file's beginning by which its kind is recognised."""
BLOCK = 1 << 16
SAMPLE_LINES = 20
OLD_OFFICE = b"\xd0\xcf\x11\xe0"
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
ZIP = b"PK\x03\x04"
SIGNATURES = {
    b"%PDF": "file_pdf",
    b"\x89PNG": "file_image",
    b"\xff\xd8\xff": "file_image",
    b"GIF8": "file_image",
    b"RIFF": "file_image",
    b"BM": "file_image",
    b"PK\x05\x06": "file_archive",
    b"\x1f\x8b": "file_archive",
    b"Rar!": "file_archive",
    b"7z\xbc\xaf": "file_archive",
    b"{\\rtf": "file_word",
}
"""First bytes of files that are no tables."""
MEMBERS = {
    "xl/workbook.bin": "file_xlsb",
    "word/document.xml": "file_word",
    "ppt/presentation.xml": "file_word",
    "content.xml": "file_opendocument",
    "Index/Document.iwa": "file_opendocument",
}
"""Members of archives that are other programs' files."""
_HIGH = re.compile(rb"[\x80-\xff]+")
WEB_PAGE = (b"<html", b"<!doctype html", b"<table", b"<?xml", b"<meta", b"<head", b"<style")
CONTROL = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1a\x1b")
MOST_DAMAGE = 30
"""Undecodable characters that a small file may have and still count as text."""
MOST_CONTROL = 0.005
"""A file with a larger share of control characters is no text."""


def recognise(path: Path) -> Format:
    """Return the format of the file; raise Refusal if it is no readable table."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    if not start:
        raise Refusal(Problem("file_empty", "file"))
    if start.startswith(ZIP):
        form = Format(XLSX, formulas=_check_workbook(path))
    else:
        _refuse_other_kinds(path, start)
        _refuse_endless_lines(path)
        encoding = _encoding(path, start)
        form = Format(CSV, encoding, _delimiter(path, encoding))
    return with_headings(form, reading.sample(path, form))


def rechosen(path: Path, recognised: Format, choice: Choice) -> Format:
    """Return the format with a person's choices; the delimiter is recognised anew if only the encoding was chosen."""
    form = choice.applied(recognised)
    if form.kind == CSV and form.encoding != recognised.encoding and choice.delimiter is None:
        form = replace(form, delimiter=_delimiter(path, form.encoding))
    return form


def with_headings(form: Format, rows: Sequence[Sequence[str]]) -> Format:
    """Return the format with the row of headings among a file's first rows; raise Refusal if they are empty.

    A row of one cell above wider ones is a title, if headings follow it.
    """
    numbered_rows = [(number, reading.trimmed(row)) for number, row in enumerate(rows, 1) if not is_blank(row)]
    if not numbered_rows:
        raise Refusal(Problem("file_empty", "file"))
    if len(numbered_rows[0][1]) > MOST_COLUMNS:
        raise Refusal(Problem("file_too_wide", "file", {"limit": MOST_COLUMNS}))
    width = max(len(row) for _number, row in numbered_rows)
    for number, row in numbered_rows[:SAMPLE_LINES]:
        if has_header(row) and (len(row) > 1 or width == 1):
            return replace(form, heading_row=number)
        if len(row) > 1 or width == 1:
            break
    return form


def refuse_binary(start: bytes) -> None:
    """Raise Refusal if a file begins like one that is no text."""
    for signature, code in SIGNATURES.items():
        if start.startswith(signature) and (len(signature) > 2 or _is_binary(start)):
            raise Refusal(Problem(code, "file"))
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:20].lower().startswith(WEB_PAGE):
        raise Refusal(Problem("file_web_page", "file"))


def _refuse_other_kinds(path: Path, start: bytes) -> None:
    if start.startswith(OLD_OFFICE):
        raise Refusal(Problem("file_encrypted" if _holds(path, ENCRYPTED) else "file_old_excel", "file"))
    refuse_binary(start)


def _holds(path: Path, part: bytes) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(part) >= 0


def _is_binary(start: bytes) -> bool:
    return sum(start.count(byte) for byte in CONTROL) > len(start) * MOST_CONTROL


# Encoding


def text_of(content: bytes) -> str:
    """Return the text of a file that is no table; raise Refusal if its encoding is not recognised."""
    for encoding in (encoding_of(content[:LOOKED_AT]) or "utf-8", "gb18030"):
        try:
            return without_marks(content.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise Refusal(Problem("file_binary", "file"))


def encoding_of(start: bytes) -> str:
    """Return the encoding by a file's first bytes: by a mark, or by the zeros of UTF-16; "" if there are neither."""
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if start.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if start.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    even, odd = start[0::2].count(0), start[1::2].count(0)
    enough = max(1, len(start) // 40)
    if odd >= enough and not even and _is_text(start, "utf-16-le"):
        return "utf-16-le"
    if even >= enough and not odd and _is_text(start, "utf-16-be"):
        return "utf-16-be"
    return ""


def _is_text(start: bytes, encoding: str) -> bool:
    text = start[: len(start) // 2 * 2].decode(encoding, "replace")
    return text.count("\ufffd") <= 1 and not any(letter in text for letter in map(chr, CONTROL))


def _encoding(path: Path, start: bytes) -> str:
    """Return the encoding: by its mark, else UTF-8 if the whole file is valid, else GB 18030 (which includes GBK).

    Western text (Dr\xe0zen) is well-formed GBK now and then; it has single letters above 127 where GBK has pairs.
    """
    if encoding := encoding_of(start):
        return encoding
    if _is_binary(start):
        raise Refusal(Problem("file_binary", "file"))
    if _is_all(path, "utf-8"):
        return "utf-8"
    begin = reading.beginning(path)
    if _is_western(begin):
        return "cp1252"
    if _is_all(path, "gb18030"):
        return "gb18030"
    # Damaged in places: the damaged rows are refused one by one.
    utf8, gb18030 = (begin.decode(encoding, "replace").count("\ufffd") for encoding in ("utf-8", "gb18030"))
    if min(utf8, gb18030) > max(MOST_DAMAGE, len(begin) // 10):
        raise Refusal(Problem("file_binary", "file"))
    return "utf-8" if utf8 <= gb18030 else "gb18030"


def _is_western(begin: bytes) -> bool:
    """Return whether most runs of bytes above 127 are single bytes: accented letters between plain ones."""
    runs = Counter(len(run) for run in _HIGH.findall(begin))
    return runs[1] * 2 > sum(runs.values()) > 0


def _is_all(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while block := file.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


# Separator


def _delimiter(path: Path, encoding: str) -> str:
    """Return the separator: that of a first line "sep=;", else the best one for the first rows."""
    text = io.StringIO(reading.beginning(path).decode(encoding, "replace"), newline="")
    lines = [line for line in itertools.islice(text, SAMPLE_LINES + 1) if line.strip()]
    if lines and (separator := separator_of(lines[0])):
        return separator if separator in DELIMITERS else ","
    return best_delimiter([without_marks(line) for line in lines])


def best_delimiter(lines: Sequence[str]) -> str:
    """Return the separator that splits most lines into the same number of columns, and into the most columns.

    A column whose cells are all empty or begin with another separator does not count: some programs add a tab to each
    cell.
    """
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        other_delimiters = "".join(DELIMITERS).replace(delimiter, "")
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        (width, alike), *_rest = Counter(map(len, rows)).most_common(1) or [(0, 0)]
        columns = sum(any(_is_cell(row[i], other_delimiters) for row in rows if i < len(row)) for i in range(width))
        score = (alike / max(1, len(lines)), columns)
        if columns > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def _is_cell(cell: str, delimiters: str) -> bool:
    plain = cell.strip()
    return plain != "" and plain[0] not in delimiters


def _refuse_endless_lines(path: Path) -> None:
    """Raise Refusal if a block of MOST_LINE bytes has no line end: parsing it would take the whole file into memory.

    This is one pass before parsing, because a check of every line slows imports down (bench/contacts_import.py).
    """
    with path.open("rb") as file:
        while len(block := file.read(MOST_LINE)) == MOST_LINE:
            if b"\n" not in block and b"\r" not in block:
                raise Refusal(Problem("file_line_too_long", "file"))


def refuse_endless_text(path: Path, form: Format) -> None:
    """Raise Refusal for a UTF-16 file, whose lines end in other bytes, if MOST_LINE characters have no line end."""
    if form.kind != CSV or not form.encoding.startswith("utf-16"):
        return
    with path.open(encoding=form.encoding, errors="replace", newline="") as file:
        while len(text := file.read(MOST_LINE)) == MOST_LINE:
            if "\n" not in text and "\r" not in text:
                raise Refusal(Problem("file_line_too_long", "file"))


# Workbooks


def _check_workbook(path: Path) -> bool:
    """Return whether a sheet holds formulas; raise Refusal if the file is damaged or unpacks to too much."""
    try:
        with path.open("rb") as file:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                for member, code in MEMBERS.items():
                    if member in names:
                        raise Refusal(Problem(code, "file"))
                if "xl/workbook.xml" not in names and not any(name.startswith("xl/") for name in names):
                    raise Refusal(Problem("file_archive", "file"))
            sheets = workbooks.check(file)
            if not sheets:
                raise Refusal(Problem("file_no_table", "file"))
            with zipfile.ZipFile(file) as archive:
                return any(_holds_formula(archive, name) for name in sheets)
    except workbooks.DAMAGED:
        raise Refusal(Problem("file_damaged", "file")) from None


def _holds_formula(archive: zipfile.ZipFile, name: str) -> bool:
    tail = b""
    with archive.open(name) as file:
        while block := file.read(BLOCK):
            if b"<f>" in (joined := tail + block) or b"<f " in joined or b"<f/>" in joined:
                return True
            tail = block[-4:]
    return False
