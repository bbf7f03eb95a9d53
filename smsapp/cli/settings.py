"""flask settings: every setting of the product, as a Markdown table."""

from __future__ import annotations

import dataclasses

import click

from config import HERE, Config
from smsapp.cli.output import ShowingCommand, Shown, showing


def table() -> str:
    """Return one row per setting: name, default, what it is for."""
    rows = ["| setting | default | what it is for |", "|---|---|---|"]
    for item in dataclasses.fields(Config):
        default = str(item.metadata["default"]).replace(str(HERE), ".")
        rows.append(f"| `{item.name}` | {f'`{default}`' if default else ''} | {item.metadata['why']} |")
    return "\n".join(rows)


@click.command("settings", cls=ShowingCommand)
@showing
def command() -> Shown:
    """Print every setting with its default, as README shows them.

    \b
    Example: flask settings
    """
    items = [
        {"name": item.name, "default": str(item.metadata["default"]), "why": item.metadata["why"]}
        for item in dataclasses.fields(Config)
    ]
    return Shown({"items": items}, [table()])
