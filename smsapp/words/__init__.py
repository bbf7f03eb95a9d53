"""Codes as sentences in the reader's language: one module per area, discovered. For doors only.

A module may hold `PROBLEMS` (problem code -> lazy sentence with %(name)s parameters) and `LABELS` (enum member or plain
code -> lazy word). Everything is translated with Flask-Babel; the msgids are English.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from smsapp.domain.errors import Problem

PROBLEMS: dict[str, Any] = {}
LABELS: dict[Any, Any] = {}

for found in pkgutil.iter_modules(__path__):
    module = importlib.import_module(f"{__name__}.{found.name}")
    PROBLEMS.update(getattr(module, "PROBLEMS", {}))
    LABELS.update(getattr(module, "LABELS", {}))


def sentence(problem: Problem) -> str:
    """Return what is wrong and what to do, for a person."""
    text = PROBLEMS.get(problem.code)
    return problem.code if text is None else str(text) % problem.facts


def label(code: Any) -> str:
    """Return the word for an enum member or code; an unknown code is shown as it is."""
    found = LABELS.get(code)
    return str(code) if found is None else str(found)
