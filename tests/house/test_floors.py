"""Imports point down: doors -> services -> store | channels -> domain."""

from __future__ import annotations

import ast

import pytest

from tests.house.source import Source, imports, only_for_types, product, sources

MAY_IMPORT = {
    # room: the other rooms of ours it may import
    "domain": {"domain"},
    "store": {"store", "domain", "config"},
    "channels": {"channels", "domain"},
    "services": {"services", "store", "channels", "domain", "config"},
    "labels": {"labels", "domain"},
    "shapes": {"shapes", "services", "domain", "labels"},
    "web": {"web", "services", "domain", "labels"},
    "api": {"api", "services", "domain", "labels", "shapes"},
    "mcp": {"mcp", "services", "domain", "labels", "shapes"},
    "jobs": {"jobs", "services", "domain", "labels"},
    "cli": {"cli", "services", "domain", "labels", "shapes", "config"},
}
DOORS = {"web", "api", "mcp", "jobs", "cli"}
ROOF = {"factory"}
OURS = {"smsapp", "config", "wsgi", "worker", "tests", "bench"}

PAGES = {"flask_wtf", "wtforms", "flask_login", "flask_babel", "werkzeug"}
QUEUES = {"redis", "rq", "rq_scheduler"}
DATABASE = {"sqlalchemy", "flask_sqlalchemy"}
CALLS = {"aiohttp", "requests", "socket"}
STRANGERS = {
    # room: packages it must not know
    "domain": {"flask", "click"} | PAGES | QUEUES | DATABASE | CALLS,
    "store": {"click"} | PAGES | QUEUES | CALLS,
    "channels": {"flask", "click", "requests"} | PAGES | QUEUES | DATABASE,
    "services": {"click", "requests"} | PAGES | QUEUES,
    "web": {"click"} | QUEUES | DATABASE,
    "shapes": {"flask", "click"} | PAGES | QUEUES | DATABASE,
    "mcp": (PAGES - {"flask_babel"}) | QUEUES | DATABASE | CALLS,
    "api": {"click", "flask_wtf", "wtforms", "flask_login"} | QUEUES | DATABASE,
    "jobs": {"click"} | PAGES | QUEUES | DATABASE | CALLS,
    "cli": (PAGES - {"flask_babel"}) | QUEUES | DATABASE,
}
ONE_FILE = {
    # module: the packages that are strangers to its room and its own subject
    "smsapp.store.queue": QUEUES,
    "smsapp.store.periodic_queue": QUEUES,
    "smsapp.store.rate_limit": {"redis"},
}
ERRORS = "sqlalchemy.exc."
"""Doors may name the errors of a database that does not answer, to say so."""
SESSION = "sqlalchemy.orm.Session"
OF_A_REQUEST = {"request", "session", "g", "abort", "redirect", "url_for", "flash", "make_response"}


def room(module: str) -> str:
    """Return the room a module of ours is in: web, domain, ..., config, or "" for the package itself."""
    parts = module.split(".")
    if parts[0] != "smsapp":
        return parts[0]
    return parts[1] if len(parts) > 1 else ""


def rooms() -> list[Source]:
    return [source for source in product() if room(source.module) in MAY_IMPORT]


@pytest.mark.parametrize("source", rooms(), ids=lambda source: source.name)
def test_a_module_imports_only_its_own_floor_and_those_below(source: Source) -> None:
    here = room(source.module)
    wrong = [
        f"{source.name}:{line} imports {name}"
        for line, name in imports(source.tree)
        if name.split(".")[0] in OURS and room(name) not in MAY_IMPORT[here]
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("source", rooms(), ids=lambda source: source.name)
def test_a_module_does_not_know_packages_of_other_floors(source: Source) -> None:
    here = room(source.module)
    strangers = STRANGERS.get(here, set()) - ONE_FILE.get(source.module, set())
    wrong = [
        f"{source.name}:{line} imports {name}"
        for line, name in imports(source.tree)
        if name.split(".")[0] in strangers and not name.startswith(ERRORS)
    ]
    assert not wrong, wrong


def test_nobody_below_web_knows_the_request() -> None:
    wrong = [
        f"{source.name}:{line} imports {name}"
        for source in rooms()
        if room(source.module) not in {"web", "api"}
        for line, name in imports(source.tree)
        if name.startswith("flask.") and name.split(".")[1] in OF_A_REQUEST
    ]
    assert not wrong, wrong


def test_only_the_roof_sees_every_floor() -> None:
    for source in product():
        if room(source.module) in ROOF or source.module in {"wsgi", "worker", "config"}:
            continue
        assert room(source.module) in MAY_IMPORT or source.module == "smsapp", f"{source.name} is in no room"


def test_the_package_itself_starts_nothing() -> None:
    (package,) = [source for source in product() if source.module == "smsapp"]
    assert not list(imports(package.tree))


def test_no_function_imports() -> None:
    wrong = []
    for source in product():
        for function in ast.walk(source.tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                wrong += [f"{source.name}:{line} imports {name}" for line, name in imports(function, types_too=True)]
    assert not wrong, wrong


def test_no_import_is_relative() -> None:
    wrong = [
        f"{source.name}:{line} {name}"
        for source in sources()
        for line, name in imports(source.tree, types_too=True)
        if name.startswith(".")
    ]
    assert not wrong, wrong


def test_only_doors_read_the_clock() -> None:
    wrong = []
    for source in rooms():
        if room(source.module) not in {"domain", "store", "services", "labels"}:
            continue
        if source.module in {"smsapp.services.platform.clock", "smsapp.store.periodic_queue"}:
            continue  # the clock itself, and the scheduler, which is one
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called.endswith(("datetime.now", "datetime.utcnow", "date.today", "datetime.today")) or called in {
                    "time.time",
                    "clock.now",
                }:
                    wrong.append(f"{source.name}:{node.lineno} calls {called}")
    assert not wrong, wrong


def test_only_services_open_write_transactions() -> None:
    wrong = []
    for source in rooms():
        if room(source.module) == "services" or source.module in {"smsapp.store.db", "smsapp.store.migrations.env"}:
            continue
        calls = (node for node in ast.walk(source.tree) if isinstance(node, ast.Call))
        wrong += [
            f"{source.name}:{call.lineno} calls {ast.unparse(call.func)}"
            for call in calls
            if ast.unparse(call.func).split(".")[-1] in {"writing", "commit"}
        ]
    assert not wrong, wrong


def test_statements_are_in_the_store() -> None:
    """Services name SQLAlchemy's errors, to say that a database does not answer, and the type of a session."""
    wrong = [
        f"{source.name}:{line} imports {name}"
        for source in rooms()
        if room(source.module) == "services"
        for line, name in imports(source.tree, types_too=True)
        if name.split(".")[0] == "sqlalchemy" and name != SESSION and not name.startswith(ERRORS)
    ]
    assert not wrong, wrong


def test_htmx_is_known_to_the_renderer_alone() -> None:
    wrong = []
    for source in product():
        if source.module == "smsapp.web.render":
            continue
        if any(name.split(".")[0] == "htmx_flask" for _, name in imports(source.tree)):
            wrong.append(f"{source.name} imports htmx_flask")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.upper().startswith("HX-"):
                wrong.append(f"{source.name}:{node.lineno} names the header {node.value}")
            if isinstance(node, ast.Attribute) and node.attr == "htmx":
                wrong.append(f"{source.name}:{node.lineno} asks {ast.unparse(node)}")
    assert not wrong, wrong


def test_imports_only_for_types_are_recognised() -> None:
    tree = ast.parse("if TYPE_CHECKING:\n    import a\nimport b")
    assert only_for_types(tree.body[0])
    assert [name for _, name in imports(tree)] == ["b"]
    assert [name for _, name in imports(tree, types_too=True)] == ["a", "b"]
