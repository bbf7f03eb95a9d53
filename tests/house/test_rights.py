"""Every endpoint names a right or is public, and every service that a person may set off asks for one first."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from flask import Flask

from config import HERE
from smsapp import labels
from smsapp.domain.rights import LEAST_ROLE, Right, may
from smsapp.domain.roles import RANKS
from tests.house.source import Source, imports, product

ACCESS = "smsapp.services.platform.access"
FIRST = ("require(", "require_own(")
ROW = re.compile(r"\| `\w+` \|(?: [^|]+ \|){5}")
"""A line of the table in the document: right, words, and a cell for each role."""
WITHOUT_ACTOR = {
    # services that write, are called by pages, and take no actor: why nobody's right is asked
    "smsapp.services.platform.login_links.use_link": "whoever has the link may use it",
    "smsapp.services.platform.signing_in.sign_in": "nobody is signed in yet",
    "smsapp.services.platform.provider_sign_in.sign_in": "nobody is signed in yet",
    "smsapp.services.platform.second_factor.set_up": "the page passes the reader's own id; it counts only after a code",
    "smsapp.services.platform.sessions.begin": "it begins the session of somebody who has just proved who they are",
    "smsapp.services.platform.signing_in.enter_code": "nobody is signed in yet",
    "smsapp.services.platform.api_keys.recognise": "it notes that a key was used; who has the key may use it",
    "smsapp.services.platform.api_requests.begin": "it notes a request; what the request does asks for its right",
    "smsapp.services.platform.api_requests.finish": "it stores the answer of a request that was carried out",
    "smsapp.services.platform.api_requests.give_back": "it forgets a request that changed nothing",
    "smsapp.services.platform.users.speak": "the page passes the reader's own id; it changes their language only",
    "smsapp.services.sending.recovery.check": "it holds what may have been sent; asked when a process starts",
    "smsapp.services.sending.channel_tests.ask_balance": "it asks the provider and notes the call",
}


def services() -> Iterator[tuple[Source, ast.FunctionDef]]:
    for source in product():
        if source.module.startswith("smsapp.services.") and source.module != ACCESS:
            yield from ((source, node) for node in source.tree.body if isinstance(node, ast.FunctionDef))


def parameters(function: ast.FunctionDef) -> list[ast.arg]:
    return function.args.posonlyargs + function.args.args + function.args.kwonlyargs


def takes_actor(function: ast.FunctionDef) -> bool:
    return any(arg.annotation is not None and ast.unparse(arg.annotation) == "Actor" for arg in parameters(function))


def is_part_of_a_transaction(function: ast.FunctionDef) -> bool:
    """Return whether it takes a session, which no door has: the service that opened it has asked already."""
    return any(arg.arg == "session" for arg in parameters(function))


def first_statement(function: ast.FunctionDef) -> str:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return ast.unparse(body[0]) if body else ""


def called_by_pages() -> set[str]:
    """Return the full names of what pages and the API take from services: functions, and attributes of modules."""
    called = set()
    for source in product():
        if source.module.startswith(("smsapp.web.", "smsapp.api.")):
            full_name = {name.split(".")[-1]: name for _, name in imports(source.tree)}
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Name) and node.id in full_name:
                    called.add(full_name[node.id])
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in full_name:
                    called.add(f"{full_name[node.value.id]}.{node.attr}")
    return called


def test_every_right_has_a_least_role() -> None:
    assert set(LEAST_ROLE) == set(Right)


def test_the_administrators_document_shows_the_table() -> None:
    text = (HERE / "docs" / "administrators.md").read_text()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if ROW.match(line)]
    shown = {cells[0].strip("`"): cells[2:] for cells in lines}
    assert shown == {right: ["yes" if may(role, right) else "–" for role in RANKS] for right in Right}


@pytest.mark.parametrize("right", Right)
def test_every_right_has_words(right: Right) -> None:
    assert ("Right", right.value) in labels.LABELS


def test_every_endpoint_names_a_right_or_is_public(app: Flask) -> None:
    silent = [
        endpoint
        for endpoint, view in app.view_functions.items()
        if endpoint != "static" and not hasattr(view, "needs") and not hasattr(view, "public")
    ]
    assert not silent, silent


def test_every_service_with_an_actor_asks_for_a_right_first() -> None:
    silent = [
        f"{source.name}:{function.lineno} {function.name}"
        for source, function in services()
        if takes_actor(function) and not function.name.startswith("_") and not is_part_of_a_transaction(function)
        if not first_statement(function).startswith(FIRST)
    ]
    assert not silent, silent


def test_services_that_pages_call_to_write_know_the_actor() -> None:
    called = called_by_pages()
    writing = {
        f"{source.module}.{function.name}"
        for source, function in services()
        if f"{source.module}.{function.name}" in called
        and not takes_actor(function)
        and not function.name.startswith("_")
        if "with writing(" in ast.unparse(function)
    }
    assert writing == set(WITHOUT_ACTOR)
