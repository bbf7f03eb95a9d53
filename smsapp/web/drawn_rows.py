"""Rows of a list that were drawn before, by everything they show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from flask import current_app, request
from flask_babel import get_timezone
from markupsafe import Markup

from smsapp.labels import locales

MOST = 2_000
"""Rows that are remembered in each process, of some kilobytes each."""
_drawn: dict[bytes, Markup] = {}


def drawn(line: Any, draw: Callable[[Any], Markup], *facts: object) -> Markup:
    """Return `draw(line)`, remembered by `line.face`, by `facts` and by the reader's language and zone.

    `facts` is everything else that the row shows. A line without a face changes by itself and is drawn each time.
    """
    face = "" if current_app.debug else line.face
    if not face:
        return draw(line)
    reader = (request.root_path, locales.key(), str(get_timezone()))
    key = hashlib.blake2b(f"{face}\n{facts!r}{reader!r}".encode(), digest_size=20).digest()
    row = _drawn.get(key)
    if row is None:
        row = draw(line)
        if len(_drawn) >= MOST:
            _drawn.clear()
        _drawn[key] = row
    return row
