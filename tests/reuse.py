"""What each application of a test run would make anew although it is always the same: made once in each process.

A test has an application of its own, because it may change it. Most of the time that takes goes into the code of its
addresses (Werkzeug) and of its templates (Jinja).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

Builder = Callable[..., Any]


class CompiledTemplates(BytecodeCache):
    """Keeps compiled templates in memory; Jinja compares them with their source."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (code := self._compiled.get(bucket.key)) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledTemplates()
_builders: dict[tuple[Any, ...], Builder] = {}
_compile: Callable[[Rule, bool], Builder] = Rule._compile_builder


def _compile_once(rule: Rule, append_unknown: bool = True) -> Builder:
    """Return the function that builds a rule's address: it depends on the rule's words alone, and takes the rule."""
    defaults = tuple(sorted((rule.defaults or {}).items()))
    key = (rule.rule, tuple(rule._trace), defaults, append_unknown)
    if key not in _builders:
        _builders[key] = _compile(rule, append_unknown)
    return _builders[key]


def addresses() -> None:
    """Have the code of each address compiled once in this process."""
    Rule._compile_builder = _compile_once  # type: ignore[method-assign, assignment]
