"""Output of commands: text from outside cannot control the terminal; a refusal is an error in words."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click
from flask.cli import AppGroup

from smsapp.domain.errors import Refusal
from smsapp.labels import sentence

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters other than tab and line feed, line separators, and marks that turn the direction of text."""


def visible(text: str) -> str:
    r"""Return the text with characters that control a terminal escaped, as \u001b; JSON stays JSON."""
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def echo(text: str = "", *, err: bool = False, lead: str = "") -> None:
    """Print a line, to stderr if `err`; `lead` is put before it as it is and may hold our own colours."""
    click.echo(lead + visible(text), err=err)


def failure(text: str) -> click.ClickException:
    """Return the error that ends a command with this sentence and exit code 1."""
    return click.ClickException(visible(text))


def refusing(
    command: Callable[Arguments, Result], *, between: str = " ", plain: bool = False, code: int = 1
) -> Callable[Arguments, Result]:
    """Return the command so that a Refusal ends it with its sentences and exit code 1, not with a traceback.

    `between` stands between the sentences. `plain`: nothing stands before them, and the exit code is `code`.
    """

    @functools.wraps(command)
    def refused(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except Refusal as refusal:
            text = between.join(sentence(problem) for problem in refusal.problems)
        if plain:
            echo(text, err=True)
            raise SystemExit(code)
        raise failure(text)

    return refused


class CommandGroup(AppGroup):
    """A noun of the command line: what a service refuses is an error of its commands, said in one way (`refusing`)."""

    def __init__(self, *args: Any, between: str = " ", plain: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.between, self.plain = between, plain

    def command(  # type: ignore[override]  # as AppGroup's own
        self, *args: Any, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Add a command as AppGroup does; in a plain group a refusal ends it with `refusal_code` (1)."""
        code = kwargs.pop("refusal_code", 1)
        add = super().command(*args, **kwargs)
        return lambda function: add(refusing(function, between=self.between, plain=self.plain, code=code))


def command_locale() -> str | None:
    """Return "en" while a command runs: commands are written in English, so our words in them are, too; else None."""
    return "en" if click.get_current_context(silent=True) is not None else None
