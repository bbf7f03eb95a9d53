"""The folders of services: a dozen nouns, and arrows between them that only point down."""

from __future__ import annotations

from config import HERE
from tests.house.source import Source, imports, product

ORDER = (
    "demo",
    "monitoring",
    "privacy",
    "backups",
    "reports",
    "campaigns",
    "sending",
    "receipts",
    "templates",
    "contacts",
    "channels",
    "apps",
    "tables",
    "platform",
)
"""Top first: each may import those behind it."""
MOST = 14
PREFIX = "smsapp.services."


def folder(module: str) -> str:
    """Return the folder, or the top file, of a module of services."""
    return module.removeprefix(PREFIX).split(".")[0]


def arrows(sources: list[Source]) -> list[tuple[str, str, str]]:
    """Return (where, importing folder, imported folder) for each import that crosses folders."""
    return [
        (f"{source.name}:{line} imports {name}", folder(source.module), folder(name))
        for source in sources
        if source.module.startswith(PREFIX)
        for line, name in imports(source.tree, types_too=True)
        if name.startswith(PREFIX) and folder(name) != folder(source.module)
    ]


def test_services_are_a_dozen_nouns() -> None:
    present = {
        path.stem
        for path in (HERE / "smsapp" / "services").iterdir()
        if path.name not in {"__init__.py", "__pycache__"}
    }
    assert present == set(ORDER)
    assert len(present) <= MOST


def test_imports_between_folders_point_down() -> None:
    upward = [where for where, importer, imported in arrows(product()) if ORDER.index(importer) > ORDER.index(imported)]
    assert not upward, upward


def test_there_are_arrows_to_look_at() -> None:
    assert len(arrows(product())) > 100


def test_every_folder_says_what_it_is() -> None:
    silent = [
        path.relative_to(HERE).as_posix()
        for path in sorted((HERE / "smsapp").rglob("__init__.py"))
        if "migrations" not in path.parts and not path.read_text().startswith('"""')
    ]
    assert not silent, silent
