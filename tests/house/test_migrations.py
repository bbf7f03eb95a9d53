"""Migrations after the first one only add: the version before them goes on working while they are rolled out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from config import HERE
from smsapp.store.schema import known_revisions

VERSIONS = HERE / "smsapp" / "store" / "migrations" / "versions"
LATER = sorted(path for path in VERSIONS.glob("*.py") if not path.name.startswith("0001_"))
ADDING = {
    "create_table",
    "add_column",
    "create_index",
    "bulk_insert",
    "batch_alter_table",
    "execute",
    "f",
    "get_bind",
    "get_context",
    "create_table_comment",
}
"""What `op` and a batch may be asked to do."""
TAKING = re.compile(r"\b(DROP|RENAME|TRUNCATE|DELETE\s+FROM|SET\s+NOT\s+NULL|ALTER\s+COLUMN)\b", re.IGNORECASE)
TRIGGER = re.compile(r"\bDROP\s+TRIGGER\s+IF\s+EXISTS\b", re.IGNORECASE)
BIG = {
    "message",
    "exclusion",
    "batch",
    "contact",
    "inbox",
    "upload",
    "reply",
    "audit_entry",
    "decision",
    "provider_ref",
}
"""An index of one of these is built without locking those who write to it."""


def upgrades(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("downgrade")]


def is_contract(path: Path) -> bool:
    return bool(re.search(r"^contract = True$", path.read_text(), re.MULTILINE))


def complaints(path: Path) -> list[str]:
    """Return what a migration does that the version before it could not work beside."""
    wrong = []
    for function in upgrades(path):
        made = {
            call.args[0].value
            for call in ast.walk(function)
            if isinstance(call, ast.Call)
            and ast.unparse(call.func) == "op.create_table"
            and isinstance(call.args[0], ast.Constant)
        }
        batches = {
            ast.unparse(item.optional_vars): item.context_expr.args[0]
            for node in ast.walk(function)
            if isinstance(node, ast.With)
            for item in node.items
            if item.optional_vars is not None and isinstance(item.context_expr, ast.Call) and item.context_expr.args
        }
        for call in ast.walk(function):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            receiver, action = ast.unparse(call.func.value), call.func.attr
            if receiver != "op" and receiver not in batches:
                continue
            where = f"{path.name}:{call.lineno} {action}"
            if action not in ADDING:
                wrong.append(where)
            if action == "execute" and TAKING.search(TRIGGER.sub("", ast.unparse(call))):
                wrong.append(where)
            if action == "add_column" and not _leaves_old_inserts_alone(call):
                wrong.append(f"{where}: neither nullable nor with a server_default")
            if action == "create_index":
                place = batches[receiver] if receiver in batches else call.args[1]
                table = place.value if isinstance(place, ast.Constant) else ""
                quietly = any(keyword.arg == "postgresql_concurrently" for keyword in call.keywords)
                if table in BIG and table not in made and not quietly:
                    wrong.append(f"{where}: {table} is big; use postgresql_concurrently in an autocommit_block")
    return wrong


def _leaves_old_inserts_alone(call: ast.Call) -> bool:
    column = call.args[-1]
    assert isinstance(column, ast.Call)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in column.keywords}
    return "server_default" in keywords or keywords.get("nullable", "True") == "True"


@pytest.mark.parametrize("path", LATER, ids=lambda path: path.name)
def test_a_migration_only_adds_unless_it_says_that_it_takes_away(path: Path) -> None:
    assert is_contract(path) or not complaints(path), complaints(path)


def test_what_takes_away_is_recognised(tmp_path: Path) -> None:
    steps = {
        'op.drop_table("contact")': True,
        'op.add_column("run", sa.Column("x", sa.Integer(), nullable=False))': True,
        'op.add_column("run", sa.Column("x", sa.Integer(), nullable=False, server_default="0"))': False,
        'op.add_column("run", sa.Column("x", sa.Integer(), nullable=True))': False,
        'op.execute("ALTER TABLE run RENAME COLUMN slot TO due")': True,
        'op.execute("CREATE TRIGGER kept BEFORE DELETE ON audit_entry BEGIN SELECT 1; END")': False,
        'op.create_index("ix_contact_x", "contact", ["x"])': True,
        'op.create_index("ix_contact_x", "contact", ["x"], postgresql_concurrently=True)': False,
        'op.create_index("ix_campaign_x", "campaign", ["x"])': False,
        'op.alter_column("run", "slot", nullable=False)': True,
    }
    for step, is_wrong in steps.items():
        file = tmp_path / "0009_step.py"
        file.write_text(f"def upgrade_main():\n    {step}\n\n\ndef downgrade_main():\n    op.drop_table('x')\n")
        assert bool(complaints(file)) is is_wrong, step


def test_revisions_are_numbers_in_one_line() -> None:
    """Others decide by them which code is older."""
    assert list(known_revisions()) == [path.name[:4] for path in sorted(VERSIONS.glob("0*.py"))]
