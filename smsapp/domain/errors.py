"""Errors as codes with parameters. The pages and the CLI turn them into sentences in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One problem: a code, the place it belongs to (a form section or field), and its parameters."""

    code: str
    place: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    warning: bool = False
    """True for advice that prevents nothing."""


class Refusal(Exception):
    """The request is refused; `problems` says why. Nothing was changed."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(", ".join(problem.code for problem in problems))


class OutOfTime(Exception):
    """A web request has taken as long as it may; its transaction is rolled back."""


class NotFound(Refusal):
    """The object does not exist (any more)."""

    def __init__(self, noun: str) -> None:
        super().__init__(Problem("not_found", facts={"noun": noun}))


class Conflict(Refusal):
    """Somebody else was first: the row is no longer in a state in which this action is allowed."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(Problem("conflict", facts=facts))
