"""No row of any CSV file is lost or merged without being told, whatever the file's shape.

`bench/tables_oracle.py` compares the same shapes with what LibreOffice reads.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsapp.domain.cells import BrokenRow
from smsapp.services.tables import reading, recognition
from smsapp.services.tables.formats import Choice

CELLS = st.sampled_from(
    ["x", "张三", "a b", "x,y", "p;q", "v|w", 'say "hi"', "two\nlines", "Dràzen", "5 inch", "-1", ""]
)
BROKEN = '"open'
ROWS = st.lists(st.tuples(CELLS, CELLS, st.sampled_from(["", "", "blank", "broken"])), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    rows=ROWS,
    encoding=st.sampled_from(["utf-8", "gb18030", "utf-16-le", "utf-16-be"]),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    trailing=st.integers(0, 2),
    marks=st.integers(0, 2),
)
def test_every_row_is_read_as_it_was_written_or_told(
    tmp_path: Path,
    rows: list[tuple[str, str, str]],
    encoding: str,
    delimiter: str,
    quoting: Literal[0, 1],
    line_end: str,
    trailing: int,
    marks: int,
) -> None:
    text = io.StringIO()
    out = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=delimiter * trailing + line_end)
    out.writerow(["id", "名称", "name"])
    expected = []
    for number, (first, second, kind) in enumerate(rows):
        if kind == "blank":
            text.write(delimiter * 2 + line_end)
        if kind == "broken":
            text.write(delimiter.join((f"r{number}", "x", BROKEN)) + delimiter * trailing + line_end)
            continue
        out.writerow([f"r{number}", first, second])
        expected.append((f"r{number}", first, second))
    path = tmp_path / "file"
    path.write_bytes(("\ufeff" * marks + text.getvalue()).encode(encoding))
    form = recognition.rechosen(path, recognition.recognise(path), Choice(encoding, delimiter, 1))
    read = [row for _number, row in reading.numbered(path, form)]
    good_rows = [tuple(row[:3]) for row in read if not isinstance(row, BrokenRow)]
    broken = [row for row in read if isinstance(row, BrokenRow)]
    assert set(good_rows) <= set(expected)
    shown = "\n".join(cell for row in broken for cell in row)
    assert all(f"r{number}" in shown or f"r{number}" in {row[0] for row in good_rows} for number in range(len(rows)))
    if not any(kind == "broken" for _first, _second, kind in rows):
        assert (good_rows, broken) == (expected, [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16-le", "utf-16-be", "utf-16"])
@pytest.mark.parametrize("trailing", [0, 1])
def test_what_is_written_plainly_is_recognised(tmp_path: Path, delimiter: str, encoding: str, trailing: int) -> None:
    lines = [("用户ID", "手机号", "城市"), ("u1", "13800138000", "北京"), ("u2", "13900139000", "上海")]
    path = tmp_path / "file"
    text = "".join(delimiter.join(cells) + delimiter * trailing + "\n" for cells in lines)
    path.write_bytes(("\n" + text).encode(encoding))
    form = recognition.recognise(path)
    assert (form.delimiter, form.heading_row) == (delimiter, 2)
    assert [tuple(row[:3]) for _number, row in reading.numbered(path, form)] == lines[1:]
