"""The layout of an uploaded table: which column holds the user id, and which become properties."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from smsapp.domain.contact import MAX_CATALOGUE, MAX_PROPERTIES, Type, property_name
from smsapp.domain.errors import Problem
from smsapp.domain.rejection import Unfit


@dataclass(frozen=True)
class Column:
    """A column that becomes a property."""

    index: int
    name: str
    type: Type
    label: str = ""


@dataclass(frozen=True)
class Layout:
    """The index of the column with the user id, and the columns that become properties; the others are ignored.

    A column may be both: then it holds phones, and the number in E.164 is the user id.
    """

    id: int
    columns: tuple[Column, ...]

    def as_json(self) -> dict[str, Any]:
        columns = [
            {"index": column.index, "name": column.name, "type": column.type.value, "label": column.label}
            for column in self.columns
        ]
        return {"id": self.id, "columns": columns}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Layout:
        columns = (
            Column(column["index"], column["name"], Type(column["type"]), column["label"]) for column in data["columns"]
        )
        return cls(data["id"], tuple(columns))

    def renamed(self, names: Mapping[str, str]) -> Layout:
        """Return the layout with renamed columns; `names`: property -> the property it was merged into."""
        return replace(
            self, columns=tuple(replace(column, name=names.get(column.name, column.name)) for column in self.columns)
        )

    def phones(self, used: Collection[str]) -> tuple[Column, ...]:
        """Return the columns whose property is among `used`, the phone properties of channels."""
        return tuple(column for column in self.columns if column.name in used)


def layout_problems(layout: Layout | None, types: Mapping[str, Type], width: int) -> list[Problem]:
    """Return the problems of importing a file of `width` columns with this layout; their places are "column-3"."""
    if layout is None or not 0 <= layout.id < width:
        return [Problem("import_without_id", "id")]
    problems: list[Problem] = []
    if len(layout.columns) > MAX_PROPERTIES:
        problems.append(Problem("import_too_wide", "columns", {"limit": MAX_PROPERTIES}))
    room = max(0, MAX_CATALOGUE - len(types))
    if len({column.name for column in layout.columns} - types.keys()) > room:
        problems.append(Problem("catalogue_full", "columns", {"limit": MAX_CATALOGUE, "room": room}))
    seen: set[str] = set()
    for column in layout.columns:
        place = f"column-{column.index}"
        try:
            name = property_name(column.name)
        except Unfit:
            problems.append(Problem("property_name", place, {"name": column.name[:40]}))
            continue
        if name in seen:
            problems.append(Problem("property_twice", place, {"name": name}))
        seen.add(name)
        if types.get(name, column.type) is not column.type:
            problems.append(Problem("property_type", place, {"name": name, "type": types[name].value}))
    return problems
