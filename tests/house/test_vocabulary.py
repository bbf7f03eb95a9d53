"""The code speaks the words of docs/glossary.md: retired ones do not come back, and values are never bare strings."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import HERE
from smsapp import labels
from tests.house.source import Source, product, sources

RETIRED = {
    "Carried",
    "Doubtful",
    "Outgoing",
    "Outrun",
    "Sitting",
    "StrayReceipt",
    "TemplateFacts",
    "Timekeeper",
    "booth",
    "chore",
    "chores",
    "clerk",
    "clerks",
    "discreet",
    "doubtful",
    "doubts",
    "in_doubt",
    "lane",
    "lanes",
    "look_up",
    "lookups",
    "ring_at",
    "ring_once",
    "stays",
    "stir",
    "stray",
    "strays",
    "take_back",
    "trail",
}
"""Words that had another one in the field; the glossary names it."""
PROSE = re.compile(r"\b(?:lanes?|strays?|chores?|clerks?|in doubt|audit trail)\b", re.IGNORECASE)
VAGUE_LOCALS = {"found", "one", "said", "told", "kept"}
"""How a value came says nothing of what it is. A comprehension, which is read at one glance, may use them."""
STATES = {
    "audit",
    "cancel_reason",
    "failure",
    "hold_reason",
    "pinned",
    "purpose",
    "routed",
    "state",
    "status",
    "verdict",
}
"""Attributes whose values are members of an enum of the domain."""
OWN_WORDS = {"smsapp/channels/gateway/adapter.py"}
"""What a person types into a gateway's rules is a notation of its own."""
DOCUMENTS = sorted(
    path
    for path in [*(HERE / "docs").glob("*.md"), *(HERE / "docs" / "adr").glob("*.md"), HERE / "README.md"]
    if path.name != "performance.md"
)


def names(source: Source) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def prose(source: Source) -> Iterator[tuple[int, str]]:
    """Yield comments and docstrings."""
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.startswith('"""')):
            yield token.start[0], token.string


def bindings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of each assignment, loop variable and parameter outside comprehensions and lambdas."""
    short = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, short):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        yield from bindings(node)


def bare_comparisons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield comparisons of a state with a string, as in `run.state == "held"`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            states = any(isinstance(side, ast.Attribute) and side.attr in STATES for side in sides)
            words = any(isinstance(side, ast.Constant) and isinstance(side.value, str) and side.value for side in sides)
            if states and words:
                yield node.lineno, ast.unparse(node)


def enum_members() -> Iterator[tuple[str, str, str]]:
    """Yield (file, enum, member) of the domain."""
    for source in product():
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
                for statement in node.body:
                    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
                    if isinstance(target, ast.Name) and not target.id.startswith("_"):
                        yield source.name, node.name, target.id


def test_retired_words_do_not_come_back() -> None:
    me = Path(__file__)
    wrong = [
        f"{source.name}:{line} {name}"
        for source in sources()
        if source.path != me
        for line, name in names(source)
        if name in RETIRED
    ]
    assert not wrong, wrong


def test_comments_and_docstrings_use_the_same_words() -> None:
    me = Path(__file__)
    wrong = [
        f"{source.name}:{line} {match[0]}"
        for source in sources()
        if source.path != me
        for line, text in prose(source)
        for match in PROSE.finditer(text)
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_use_the_same_words(document: Path) -> None:
    wrong = [match[0] for match in PROSE.finditer(document.read_text())]
    assert not wrong, wrong


def test_local_names_say_what_a_value_is() -> None:
    wrong = [
        f"{source.name}:{line} {name}"
        for source in product()
        for line, name in bindings(source.tree)
        if name in VAGUE_LOCALS
    ]
    assert not wrong, wrong


def test_no_state_is_compared_with_a_bare_string() -> None:
    wrong = [
        f"{source.name}:{line} {comparison}"
        for source in product()
        if source.name not in OWN_WORDS
        for line, comparison in bare_comparisons(source.tree)
    ]
    assert not wrong, wrong


def test_every_member_of_an_enum_is_used() -> None:
    text = "\n".join(source.text for source in product())
    used = set(re.findall(r"\b[A-Za-z_]\w*\.([A-Z][A-Z_0-9]*)\b", text))
    unused = [f"{file} {enum}.{member}" for file, enum, member in enum_members() if member not in used]
    assert not unused, unused


def strings(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def composed(tree: ast.AST) -> Iterator[re.Pattern[str]]:
    """Yield a pattern for each f-string of a module that has one gap: the group is what fills it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and sum(isinstance(part, ast.FormattedValue) for part in node.values) == 1:
            parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else "(.+)" for part in node.values]
            yield re.compile("".join(parts))


def test_every_sentence_of_a_problem_is_said_by_somebody() -> None:
    words = {
        text for source in product() if not source.module.startswith("smsapp.labels") for text in strings(source.tree)
    }
    patterns = [pattern for source in product() for pattern in composed(source.tree)]
    unused = [
        code
        for code in labels.PROBLEMS
        if code not in words
        and not any((match := pattern.fullmatch(code)) is not None and match[1] in words for pattern in patterns)
    ]
    assert not unused, unused


def test_every_table_and_function_of_labels_is_used() -> None:
    words = [source for source in product() if source.module.startswith("smsapp.labels")]
    pages = "".join(path.read_text() for path in sorted((HERE / "smsapp" / "templates").rglob("*.html")))
    others = pages + "".join(source.text for source in product() if source not in words)
    everything = others + "".join(source.text for source in words)
    unused = []
    for source in words:
        for node in source.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            names += [node.name] if isinstance(node, ast.FunctionDef) else []
            unused += [
                f"{source.name} {name}"
                for name in names
                if name not in {"LABELS", "PROBLEMS"} and len(re.findall(rf"\b{name}\b", everything)) < 2
            ]
    assert not unused, unused


def test_what_these_tests_look_for_is_seen() -> None:
    planted = ast.parse('found = 1\nrun.state == "held"\n[one for one in x]\ndef f(told): pass')
    assert [name for _, name in bindings(planted)] == ["found", "told"]
    assert [text for _, text in bare_comparisons(planted)] == ["run.state == 'held'"]
    assert PROSE.search("a stray receipt")
