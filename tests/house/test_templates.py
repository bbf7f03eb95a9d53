"""Templates draw: they hold no rule of the product, no macro that nobody uses, and no line that cannot be read."""

from __future__ import annotations

import enum
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from jinja2 import Environment, nodes

from config import HERE
from smsapp import domain

FOLDER = HERE / "smsapp" / "templates"
STATIC = HERE / "smsapp" / "static"
LONGEST = 140
LONGEST_STATIC = 120
JINJA = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"], autoescape=True)
COMPARED = {"eq", "ne", "in", "notin"}
LISTS_GROW_BY = {"append", "extend", "insert", "pop", "update", "setdefault"}

Templates = Mapping[str, str]
"""Their names and texts."""


def templates(folder: Path = FOLDER) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.html"))}


def found(files: Templates, kind: type[nodes.Node]) -> Iterator[tuple[str, nodes.Node]]:
    """Yield the name of a template, and each node of this kind in it."""
    for name, text in files.items():
        for node in JINJA.parse(text).find_all(kind):
            yield name, node


def codes() -> set[str]:
    """Return the value of every member of the domain's enums of strings."""
    values: set[str] = set()
    for module in pkgutil.iter_modules(domain.__path__, f"{domain.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, enum.StrEnum):
                values |= {str(member) for member in value if member}
    return values


def long_lines(files: Templates, longest: int = LONGEST) -> list[str]:
    return [
        f"{name}:{number} has {len(line.encode())} bytes"
        for name, text in files.items()
        for number, line in enumerate(text.split("\n"), 1)
        if len(line.encode()) > longest
    ]


def unused_macros(files: Templates) -> list[str]:
    """Return macros and imported names that nothing calls or names, not counting a macro that calls itself."""
    used = {node.name for _name, node in found(files, nodes.Name) if node.ctx == "load"}  # type: ignore[attr-defined]
    renamed = {
        original: alias
        for _name, node in found(files, nodes.FromImport)
        for original, alias in (names if isinstance(names, tuple) else (names, names) for names in node.names)  # type: ignore[attr-defined]
        if alias != original
    }
    unused = [
        f"{name}: {node.name}"  # type: ignore[attr-defined]
        for name, node in found(files, nodes.Macro)
        if node.name not in used and renamed.get(node.name) not in used  # type: ignore[attr-defined]
    ]
    for name, text in files.items():
        tree = JINJA.parse(text)
        here = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"}
        pieces = {
            str(node.template.value) for node in tree.find_all(nodes.Include) if isinstance(node.template, nodes.Const)
        }
        for node in tree.find_all(nodes.FromImport):
            for names in node.names:
                alias = names[1] if isinstance(names, tuple) else names
                if alias not in here and not any(f"{alias}(" in files.get(piece, "") for piece in pieces):
                    unused.append(f"{name} imports {alias} for nothing")
    return unused


def compared_codes(files: Templates, known: set[str]) -> list[str]:
    """Return comparisons with a code of the domain, which belong into a property or the view."""
    return [
        f"{name}:{node.lineno} compares with {code!r}"
        for name, node in found(files, nodes.Compare)
        for code in _constants(node)
        if code in known
    ]


def _constants(node: nodes.Node) -> set[str]:
    """Return the strings that a comparison compares with; those deeper in its sides are arguments of calls."""
    sides = [node.expr, *(operand.expr for operand in node.ops if operand.op in COMPARED)]  # type: ignore[attr-defined]
    sides += [item for side in sides if isinstance(side, nodes.Tuple | nodes.List) for item in side.items]
    return {side.value for side in sides if isinstance(side, nodes.Const) and isinstance(side.value, str)}


def snapshots(files: Templates) -> list[str]:
    """Return reads of what a run has frozen, which is JSON: a property of the report says what of it is shown."""
    return [
        f"{name}:{node.lineno} reads run.template"
        for name, node in found(files, nodes.Getattr)
        if node.attr == "template" and _ends_in(node.node, "run")  # type: ignore[attr-defined]
    ]


def _ends_in(node: nodes.Node, word: str) -> bool:
    return (isinstance(node, nodes.Name) and node.name == word) or (
        isinstance(node, nodes.Getattr) and node.attr == word
    )


def computed(files: Templates) -> list[str]:
    """Return lists and dictionaries that a template builds step by step."""
    grown = [
        f"{name}:{node.lineno} changes a value by .{node.node.attr}()"  # type: ignore[attr-defined]
        for name, node in found(files, nodes.Call)
        if isinstance(node.node, nodes.Getattr) and node.node.attr in LISTS_GROW_BY  # type: ignore[attr-defined]
    ]
    spaces = [
        f"{name}:{node.lineno} keeps a namespace"
        for name, node in found(files, nodes.Name)
        if node.name == "namespace"  # type: ignore[attr-defined]
    ]
    return grown + spaces


def drawn_twice(styles: Templates) -> set[str]:
    """Return classes that two style files draw as components of their own; what is printed is said in one place."""
    owners: dict[str, set[str]] = {}
    for name, text in styles.items():
        screen = re.sub(r"/\*.*?\*/|@media print \{.*?\n\}", "", text, flags=re.DOTALL)
        for selectors in re.findall(r"([^{};]+)\{", screen):
            for alone in re.findall(r"(?:^|,)\s*\.([a-z][\w-]*)\s*(?=,|$)", selectors):
                owners.setdefault(alone, set()).add(name)
    return {alone for alone, files in owners.items() if len(files) > 1}


def test_styles_and_scripts_can_be_read_and_share_no_component() -> None:
    styles, scripts = ({path.name: path.read_text() for path in STATIC.glob(f"*.{kind}")} for kind in ("css", "js"))
    assert len(styles) > 3
    assert not long_lines(styles | scripts, LONGEST_STATIC)
    planted = {"a": ".box { x: 1 }", "b": "p .box { x: 1 }\n@media (x) {\n  .tile,\n  .box { y: 1 }\n}"}
    assert drawn_twice(planted) == {"box"}
    assert drawn_twice({"a": ".box { }", "b": "@media print {\n  .box { }\n}\n.box b { }"}) == set()
    assert not drawn_twice(styles)


def test_no_line_is_too_long_to_read() -> None:
    assert long_lines({"x": "<p>\n" + "x" * (LONGEST + 1)}) == [f"x:2 has {LONGEST + 1} bytes"]
    assert not long_lines(templates())


def test_every_macro_is_used() -> None:
    planted = {
        "ui": "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{% endmacro %}",
        "x": "{% from 'ui' import b %}",
    }
    assert unused_macros(planted) == ["ui: a", "x imports b for nothing"]
    assert unused_macros({"ui": "{% macro a() %}{% endmacro %}", "x": "{% from 'ui' import a as c %}{{ c() }}"}) == []
    assert not unused_macros(templates())


def test_templates_compare_with_no_code_of_the_domain() -> None:
    known = codes()
    assert {"held", "draft", "uploaded"} <= known
    planted = "{% if run.state == 'held' or x in ('draft',) or 'stop' in line.offered %}{{ f('held') == x }}{% endif %}"
    assert len(compared_codes({"x": planted}, known)) == 3
    assert not compared_codes(templates(), known)


def test_no_template_reads_what_a_run_has_frozen() -> None:
    assert len(snapshots({"x": "{{ run.template.text }}{{ line.run.template }}{{ review.template.name }}"})) == 2
    assert not snapshots(templates())


def test_templates_compute_no_lists() -> None:
    planted = "{% set done = lines.append(1) %}{% set ns = namespace(a=[]) %}{{ url_for('x') }}"
    assert len(computed({"x": planted})) == 2
    assert not computed(templates())
