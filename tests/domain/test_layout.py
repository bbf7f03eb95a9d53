"""What keeps a file from being imported with the columns a person has chosen."""

from __future__ import annotations

import pytest

from smsapp.domain.contact import MAX_CATALOGUE, MAX_PROPERTIES, Type
from smsapp.domain.errors import Problem
from smsapp.domain.layout import Column, Layout, layout_problems

KNOWN = {"city": Type.STRING, "age": Type.NUMBER}


def layout(*names: str, kind: Type = Type.STRING) -> Layout:
    return Layout(0, tuple(Column(index, name, kind) for index, name in enumerate(names, start=1)))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, [Problem("import_without_id", "id")]),
        (Layout(-1, ()), [Problem("import_without_id", "id")]),
        (Layout(5, ()), [Problem("import_without_id", "id")]),
        (Layout(4, ()), []),
        (Layout(0, ()), []),
        (layout("city", "level"), []),
        (layout("level", kind=Type.NUMBER), []),
        (layout("city", "City"), [Problem("property_twice", "column-2", {"name": "city"})]),
        (layout("age"), [Problem("property_type", "column-1", {"name": "age", "type": "number"})]),
        (layout("", "city"), [Problem("property_name", "column-1", {"name": ""})]),
        (layout("! " * 60), [Problem("property_name", "column-1", {"name": "! " * 20})]),
        (
            layout("age", "Age", "!"),
            [
                Problem("property_type", "column-1", {"name": "age", "type": "number"}),
                Problem("property_twice", "column-2", {"name": "age"}),
                Problem("property_type", "column-2", {"name": "age", "type": "number"}),
                Problem("property_name", "column-3", {"name": "!"}),
            ],
        ),
    ],
)
def test_each_column_that_cannot_be_kept_is_named(chosen: Layout | None, expected: list[Problem]) -> None:
    assert layout_problems(chosen, KNOWN, 5) == expected


def test_a_file_may_be_as_wide_as_a_contact_and_no_wider() -> None:
    names = [f"p{n}" for n in range(MAX_PROPERTIES + 1)]
    known = dict.fromkeys(names, Type.STRING)
    assert layout_problems(layout(*names[:-1]), known, 1) == []
    problem = Problem("import_too_wide", "columns", {"limit": MAX_PROPERTIES})
    assert layout_problems(layout(*names), known, 1) == [problem]


@pytest.mark.parametrize(("there", "new", "room"), [(2, 2, 2), (2, 3, 2), (0, 1, 0), (-1, 1, 0)])
def test_new_properties_need_room_in_the_catalogue(there: int, new: int, room: int) -> None:
    known = {f"k{n}": Type.STRING for n in range(MAX_CATALOGUE - there)}
    found = layout_problems(layout("k0", *(f"n{n}" for n in range(new))), known, 9)
    full = Problem("catalogue_full", "columns", {"limit": MAX_CATALOGUE, "room": room})
    assert found == ([full] if new > room else [])


def test_a_layout_is_read_as_it_was_written() -> None:
    chosen = Layout(2, (Column(0, "city", Type.STRING, "城市"), Column(2, "age", Type.NUMBER)))
    assert Layout.from_json(chosen.as_json()) == chosen
    assert chosen.as_json() == {
        "id": 2,
        "columns": [
            {"index": 0, "name": "city", "type": "string", "label": "城市"},
            {"index": 2, "name": "age", "type": "number", "label": ""},
        ],
    }


def test_a_layout_follows_properties_that_were_merged_and_names_its_phones() -> None:
    chosen = layout("city", "$phone", "tel")
    assert chosen.renamed({"city": "town", "gone": "x"}) == layout("town", "$phone", "tel")
    assert chosen.phones({"tel", "other"}) == (Column(3, "tel", Type.STRING),)
    assert chosen.phones(()) == ()
