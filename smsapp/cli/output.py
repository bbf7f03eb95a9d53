"""Output of commands: text from outside cannot control the terminal."""

from __future__ import annotations

import re

import click

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


def command_locale() -> str | None:
    """Return "en" while a command runs: commands are written in English, so our words in them are, too; else None."""
    return "en" if click.get_current_context(silent=True) is not None else None
