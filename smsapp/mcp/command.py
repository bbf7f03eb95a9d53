"""flask mcp: serve an agent over standard input and output. Nothing else loads the SDK: it costs memory."""

from __future__ import annotations

import importlib
import os

import click
from flask import current_app
from flask.cli import with_appcontext

KEY = "SMSAPP_API_KEY"
"""The environment variable of the key; arguments are seen in the list of processes."""
LANGUAGES = {"en": "en", "zh": "zh_Hans"}


@click.command("mcp")
@click.option("--language", default="en", show_default=True, type=click.Choice(LANGUAGES), help="Of sentences.")
@with_appcontext
def command(language: str) -> None:
    """Serve an agent by the Model Context Protocol over standard input and output, until they close.

    It reads and drafts with the key of the HTTP API in SMSAPP_API_KEY; no tool sends anything. See docs/agents.md.

    Example: SMSAPP_API_KEY=sms_live_... flask mcp --language zh
    """
    text = os.environ.get(KEY, "")
    if not text:
        raise click.ClickException(f"Put a key of the HTTP API into {KEY}: make one with `flask api-keys create`.")
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # what outlives this context
    importlib.import_module("smsapp.mcp.server").serve(app, text, LANGUAGES[language])
