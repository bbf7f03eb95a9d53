"""Codes as sentences in the reader's language: one module per area, discovered. Only web, cli and jobs use it.

A module may hold `PROBLEMS` (problem code -> lazy sentence with %(name)s parameters) and `LABELS` (enum member or plain
code -> lazy word). Everything is translated with Flask-Babel; the msgids are English.
"""

from __future__ import annotations

import importlib
import pkgutil
from enum import Enum
from typing import Any

from flask_babel import format_decimal

from smsapp.domain.errors import Problem

PROBLEMS: dict[str, Any] = {}
LABELS: dict[tuple[str, str], Any] = {}
"""By (enum, value): a template and a message are both "refused", in different words. The enum of a plain code is ""."""
WORDS: dict[str, Any] = {}
"""By value alone: the word of the first enum that has it."""

for module_info in pkgutil.iter_modules(__path__):
    module = importlib.import_module(f"{__name__}.{module_info.name}")
    PROBLEMS.update(getattr(module, "PROBLEMS", {}))
    for code, word in getattr(module, "LABELS", {}).items():
        LABELS[type(code).__name__ if isinstance(code, Enum) else "", str(code)] = word
        WORDS.setdefault(str(code), word)


def sentence(problem: Problem) -> str:
    """Return what is wrong and what to do, for a person."""
    text = PROBLEMS.get(problem.code)
    return problem.code if text is None else str(text) % {name: _fact(value) for name, value in problem.facts.items()}


def _fact(value: Any) -> Any:
    """Return a number with the reader's separators, an enum's member as its word, anything else as it is."""
    if isinstance(value, Enum):
        return label(value)
    return format_decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def label(code: Any, of: str = "") -> str:
    """Return the word for an enum member or code; an unknown code is shown as it is.

    A column's plain text takes the name of its enum (`row.audit | label("Audit")`); without it any enum's word will do.
    """
    of = of or (type(code).__name__ if isinstance(code, Enum) else "")
    word = LABELS.get((of, str(code)))
    if word is None:
        word = WORDS.get(str(code))
    return str(code) if word is None else str(word)
