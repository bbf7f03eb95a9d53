"""Compares our rows of CSV files with LibreOffice's: no row may be lost or merged without being reported.

    python bench/tables_oracle.py                  200 files of all shapes in one run of LibreOffice
    python bench/tables_oracle.py --files 1000 --seed 7

Each file has a random shape (separator, quotes, encoding, blank rows, separators at the end of rows, wrong quotation
marks), is read by us and converted by LibreOffice. A row with a wrong quotation mark must be reported; every other row
must have the same cells. Exit code 1 if a file differs, 2 without LibreOffice.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from smsapp.domain.cells import BrokenRow, is_blank
from smsapp.services.tables import reading, recognition
from smsapp.services.tables.formats import Choice

CELLS = (
    "u1",
    "13800138000",
    "张三",
    "a b",
    "x,y",
    "p;q",
    "v|w",
    'say ""hi""',
    "two\nlines",
    "Dràzen",
    "5 inch",
    "-1",
    "",
)
ENCODINGS = {"utf-8": "76", "gb18030": "85", "utf-16-le": "65535"}
"""Ours, and LibreOffice's number for it."""
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Shape:
    """How one file is written."""

    encoding: str
    delimiter: str
    quoted: float
    """Share of cells in quotation marks."""
    blank: float
    trailing: int
    broken: bool
    mark: bool
    line_end: str


def shape_of(chance: random.Random) -> Shape:
    return Shape(
        chance.choice(list(ENCODINGS)),
        chance.choice(DELIMITERS),
        chance.choice((0.0, 0.3, 1.0)),
        chance.choice((0.0, 0.2)),
        chance.choice((0, 0, 2)),
        chance.random() < 0.3,
        chance.random() < 0.5,
        chance.choice(("\n", "\r\n")),
    )


def written(shape: Shape, chance: random.Random) -> str:
    """Return the text of a file of this shape."""
    lines = [shape.delimiter.join(("id", "手机号", "name")) + shape.delimiter * shape.trailing]
    for number in range(chance.randrange(1, 9)):
        if chance.random() < shape.blank:
            lines.append(chance.choice(("", shape.delimiter * 2)))
        cells = [f"r{number}", *(_cell(shape, chance) for _ in range(2))]
        if shape.broken and chance.random() < 0.3:
            cells[-1] = '"open'
        lines.append(shape.delimiter.join(cells) + shape.delimiter * shape.trailing)
    return shape.line_end.join(lines) + shape.line_end


def _cell(shape: Shape, chance: random.Random) -> str:
    cell = chance.choice(CELLS).replace("\n", shape.line_end)
    if shape.encoding == "gb18030":
        cell = cell.replace("à", "a")
    special = any(mark in cell for mark in (shape.delimiter, '"', "\n"))
    return f'"{cell}"' if special or chance.random() < shape.quoted else cell


def libreoffice(folder: Path, shapes: dict[str, Shape]) -> dict[str, list[list[str]]]:
    """Return what LibreOffice reads; one call for all files of one encoding and separator."""
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        print("LibreOffice is not installed: nothing was compared.", file=sys.stderr)
        sys.exit(2)
    groups: dict[tuple[str, str], list[str]] = {}
    for name, shape in shapes.items():
        groups.setdefault((shape.encoding, shape.delimiter), []).append(name)
    rows: dict[str, list[list[str]]] = {}
    for number, ((encoding, delimiter), names) in enumerate(groups.items()):
        texts = "/".join(f"{column}/2" for column in range(1, 9))
        command = [program, "--headless", f"-env:UserInstallation=file://{folder}/profile", "--convert-to"]
        command += ["csv:Text - txt - csv (StarCalc):44,34,76,1,,0,true,false"]
        command += [f"--infilter=CSV:{ord(delimiter)},34,{ENCODINGS[encoding]},1,{texts}", "--outdir"]
        target = folder / f"out{number}"
        subprocess.run(
            [*command, str(target), *(str(folder / name) for name in names)], check=True, capture_output=True
        )
        for name in names:
            with (target / name).open(encoding="utf-8-sig", newline="") as file:
                rows[name] = list(csv.reader(file))
    return rows


def ours(path: Path, shape: Shape) -> tuple[list[list[str]], int]:
    """Return our rows and how many are reported as unreadable."""
    form = recognition.rechosen(path, recognition.recognise(path), Choice(shape.encoding, shape.delimiter, 1))
    rows = [row for _number, row in reading.numbered(path, form)]
    return [list(row) for row in rows if not isinstance(row, BrokenRow)], sum(
        isinstance(row, BrokenRow) for row in rows
    )


def plain(row: list[str]) -> tuple[str, ...]:
    cells = [cell.replace("\r\n", "\n").strip() for cell in row]
    return tuple(reading.trimmed(cells))


def difference(text: str, office_rows: list[list[str]], our_rows: list[list[str]], n_unreadable: int) -> str:
    """Return what is wrong, or "": each row of LibreOffice must be ours or reported, and none of ours invented."""
    written_ids = sum(line.startswith("r") for line in text.splitlines())
    if len(our_rows) + n_unreadable != written_ids:
        return f"{written_ids} rows were written, {len(our_rows)} are kept and {n_unreadable} told"
    expected = [plain(row) for row in office_rows[1:] if not is_blank(row)]
    our_plain_rows = [plain(row) for row in our_rows]
    if n_unreadable == 0 and our_plain_rows != expected:
        return f"LibreOffice reads {expected}, we read {our_plain_rows}"
    intact_rows = [row for row in expected if '"open' not in "".join(row) and "open" not in "".join(row)]
    lost_rows = [row for row in intact_rows if row not in our_plain_rows]
    return f"lost: {lost_rows}" if len(lost_rows) > n_unreadable else ""


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--files", type=int, default=200)
    words.add_argument("--seed", type=int, default=1)
    options = words.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shapes = {f"{number}.csv": shape_of(chance) for number in range(options.files)}
        texts = {file: written(shape, chance) for file, shape in shapes.items()}
        for file, shape in shapes.items():
            mark = "\ufeff" if shape.mark and shape.encoding != "gb18030" else ""
            (folder / file).write_bytes((mark + texts[file]).encode(shape.encoding))
        office_rows = libreoffice(folder, shapes)
        wrong = 0
        for file, shape in shapes.items():
            our_rows, n_unreadable = ours(folder / file, shape)
            if problem := difference(texts[file], office_rows[file], our_rows, n_unreadable):
                wrong += 1
                print(f"{shape}\n{texts[file]!r}\n  {problem}")
        print(f"{options.files} files, {wrong} of them read otherwise than LibreOffice does")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
