"""The menu: each module of smsapp/web may hold `MENU = MenuLine(...)`; the bar is drawn from those lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import current_app, request
from flask_login import current_user

from smsapp.domain.rights import Right, may
from smsapp.domain.roles import Role


@dataclass(frozen=True)
class MenuLine:
    """One line of the bar, or of its settings menu; `text` is a lazy string, `endpoint` takes no arguments."""

    text: Any
    endpoint: str
    order: int
    icon: str
    right: Right = Right.WORK_VIEW
    settings: bool = False


@dataclass(frozen=True)
class ShownLine:
    """A line as this reader sees it."""

    line: MenuLine
    here: bool


def lines() -> list[MenuLine]:
    """Return every line of the registered modules, in the order of the bar."""
    menu_lines: list[MenuLine] = []
    for blueprint in current_app.blueprints.values():
        menu = getattr(sys.modules.get(blueprint.import_name), "MENU", ())
        menu_lines.extend([menu] if isinstance(menu, MenuLine) else menu)
    return sorted(menu_lines, key=lambda line: line.order)


@dataclass(frozen=True)
class Menu:
    """The lines that a person of this role may follow, as a page of this endpoint shows them."""

    role: Role | None
    endpoint: str
    area: str

    @property
    def face(self) -> str:
        """Everything it shows, for web/drawn_rows.py."""
        return f"{self.role} {self.endpoint} {self.area}"

    @cached_property
    def main(self) -> list[ShownLine]:
        return [
            ShownLine(line, self.endpoint == line.endpoint or line.endpoint.split(".")[0] == self.area)
            for line in self._lines(settings=False)
        ]

    @cached_property
    def settings(self) -> list[ShownLine]:
        return [ShownLine(line, self.endpoint == line.endpoint) for line in self._lines(settings=True)]

    def _lines(self, *, settings: bool) -> list[MenuLine]:
        return [line for line in lines() if line.settings is settings and may(self.role, line.right)]


def of_reader() -> Menu:
    """Return the menu of the person who reads this page."""
    return Menu(current_user.role, request.endpoint or "", request.blueprint or "")
