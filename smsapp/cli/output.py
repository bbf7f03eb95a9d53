"""Output of commands: text from outside cannot control the terminal; a refusal is an error in words, or JSON."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
from flask.cli import AppGroup

from smsapp.domain.errors import Refusal
from smsapp.labels import sentence
from smsapp.shapes.json_text import json_text
from smsapp.shapes.problems import refused as refused_problems

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters other than tab and line feed, line separators, and marks that turn the direction of text."""


JSON = "smsapp.json"
"""In the context's meta: whether this command was asked for JSON."""


def visible(text: str) -> str:
    r"""Return the text with characters that control a terminal escaped, as \u001b; JSON stays JSON."""
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def echo(text: str = "", *, err: bool = False, lead: str = "") -> None:
    """Print a line, to stderr if `err`; `lead` is put before it as it is and may hold our own colours."""
    click.echo(lead + visible(text), err=err)


def failure(text: str) -> click.ClickException:
    """Return the error that ends a command with this sentence and exit code 1."""
    return click.ClickException(visible(text))


Line = str | tuple[str, str]
"""A line, or what is put before it as it is (our own colours) and the line."""


@dataclass(frozen=True)
class Shown:
    """What a command shows: `document` with --json, else the lines; `notes` go to stderr."""

    document: Any
    lines: Iterable[Line] = ()
    notes: Iterable[str] = ()
    code: int = 0
    """The exit code."""


def listed(rows: Iterable[Result], document: Callable[[Result], Any], line: Callable[[Result], str]) -> Shown:
    """Return a list, each row as a document and as a line."""
    there = [*rows]
    return Shown({"items": map(document, there)}, map(line, there))


def _note_json(context: click.Context, _option: click.Parameter, is_wanted: bool) -> None:
    context.meta[JSON] = is_wanted


wants_json = click.option(
    "--json", is_flag=True, expose_value=False, is_eager=True, callback=_note_json, help="Print one JSON document."
)


def is_json() -> bool:
    """Return whether this command was asked for JSON."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(JSON))


def fail_as_json(code: str, detail: str, errors: Sequence[Mapping[str, Any]] = (), *, status: int) -> NoReturn:
    """End the command with an error as JSON on stderr, and this exit code."""
    echo(json_text({"code": code, "detail": detail, "errors": errors}), err=True)
    raise SystemExit(status)


class ShowingCommand(click.Command):
    """A command with --json, whose wrong arguments are JSON, too, if that was asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments."""
        given = [*args]
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "--json" not in given:
                raise
            fail_as_json("usage", error.format_message(), status=error.exit_code)


def showing(command: Callable[Arguments, Shown]) -> Callable[Arguments, None]:
    """Return the command so that what it shows is printed."""

    @functools.wraps(command)
    def printed(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        shown = command(*args, **kwargs)
        if is_json():
            echo(json_text(shown.document))
        else:
            for line in shown.lines:
                lead, text = ("", line) if isinstance(line, str) else line
                echo(text, lead=lead)
            for note in shown.notes:
                echo(note, err=True)
        if shown.code:
            raise SystemExit(shown.code)

    return wants_json(printed)


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
            if is_json():
                problems = refused_problems(refusal)
                fail_as_json(problems[0]["code"] if problems else "refused", text, problems, status=code)
        except click.ClickException as error:
            if not is_json():
                raise
            fail_as_json("failed", error.format_message(), status=error.exit_code)
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
        """Add a command as AppGroup does; in a plain group a refusal ends it with `refusal_code` (1).

        `shows`: its function returns what it shows (Shown), and it takes --json.
        """
        code, shows = kwargs.pop("refusal_code", 1), kwargs.pop("shows", False)
        add = super().command(*args, **({"cls": ShowingCommand} if shows else {}), **kwargs)

        def decorate(function: Callable[..., Any]) -> click.Command:
            printing = showing(function) if shows else function
            return add(refusing(printing, between=self.between, plain=self.plain, code=code))

        return decorate


def command_locale() -> str | None:
    """Return "en" while a command runs: commands are written in English, so our words in them are, too; else None."""
    return "en" if click.get_current_context(silent=True) is not None else None
