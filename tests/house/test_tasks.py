"""Services enqueue tasks by name; an unknown name would fail only when its job runs."""

from __future__ import annotations

import ast
import inspect
from types import FunctionType

from smsapp.jobs import periodic, tasks
from smsapp.store import queue
from tests.house.source import product

PLACE_OF_NAME = {"enqueue": 1, "enqueue_unless_waiting": 1, "enqueue_at": 2}


def enqueued() -> list[tuple[str, str]]:
    """Return (where, task name) of every call in the product that enqueues a task."""
    calls = []
    for source in product():
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call) or source.module == queue.__name__:
                continue
            place = PLACE_OF_NAME.get(ast.unparse(node.func).removeprefix("queue."))
            if place is not None and len(node.args) > place:
                calls.append((f"{source.name}:{node.lineno}", ast.unparse(node.args[place]).strip("'")))
    return calls


def answering() -> dict[str, FunctionType]:
    return {
        name: function
        for name, function in inspect.getmembers(tasks, inspect.isfunction)
        if function.__module__ == tasks.__name__
    }


def test_every_task_that_is_enqueued_exists() -> None:
    missing = [f"{where} enqueues {name}" for where, name in enqueued() if name not in answering()]
    assert not missing, missing


def test_every_periodic_task_is_a_task() -> None:
    assert {task.task for task in periodic.PERIODIC_TASKS} <= set(answering())


def test_every_task_is_enqueued_by_somebody() -> None:
    names = {name for _, name in enqueued()} | {task.task for task in periodic.PERIODIC_TASKS}
    assert set(answering()) <= names


def test_tasks_are_three_lines_each() -> None:
    for name, function in answering().items():
        (definition,) = ast.parse(inspect.getsource(function)).body
        assert isinstance(definition, ast.FunctionDef)
        assert len(definition.body) <= 1 + 3, name  # the first one is its docstring


def test_the_dotted_prefix_leads_to_the_tasks() -> None:
    assert tasks.__name__ + "." == queue.TASKS
