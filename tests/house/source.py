"""The project's own files, parsed once."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config import HERE

ROOTS = ("smsapp", "tests", "bench")
TOP = ("config.py", "wsgi.py", "worker.py")


@dataclass(frozen=True)
class Source:
    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Path from the project's root, for messages."""
        return self.path.relative_to(HERE).as_posix()

    @property
    def module(self) -> str:
        """Dotted name."""
        parts = self.path.relative_to(HERE).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def sources() -> tuple[Source, ...]:
    """Return every Python file of the project; generated migrations are not among them."""
    paths = [HERE / name for name in TOP]
    for root in ROOTS:
        paths += sorted((HERE / root).rglob("*.py"))
    parsed = []
    for path in paths:
        if path.exists() and "versions" not in path.parts:
            text = path.read_text()
            parsed.append(Source(path, text, ast.parse(text)))
    return tuple(parsed)


def product() -> list[Source]:
    """Return the product's modules, without tests and benchmarks."""
    return [source for source in sources() if source.module.split(".")[0] not in {"tests", "bench"}]


def only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def imports(tree: ast.AST, *, types_too: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of each import; `from a import b` counts as a.b, because b may be a module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}"
        elif types_too or not only_for_types(node):
            yield from imports(node, types_too=types_too)
