"""The menu: each module of smsapp/web may hold `MENU = MenuLine(...)`; the bar is drawn from those lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from flask import current_app, request
from flask_login import current_user

from smsapp.domain.roles import Role, reaches


@dataclass(frozen=True)
class MenuLine:
    """One line of the bar, or of its settings menu; `text` is a lazy string, `endpoint` takes no arguments."""

    text: Any
    endpoint: str
    order: int
    icon: str
    role: Role = Role.VIEWER
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


def shown(*, settings: bool) -> list[ShownLine]:
    """Return the lines that the person who reads this page may follow."""
    if not current_user.is_authenticated:
        return []
    area = request.blueprint
    return [
        ShownLine(
            line, here=line.endpoint == request.endpoint or (not settings and line.endpoint.split(".")[0] == area)
        )
        for line in lines()
        if line.settings is settings and reaches(current_user.role, line.role)
    ]
