"""Ids as arguments of commands: a number outside the id columns' range is a usage error, not a database error."""

from __future__ import annotations

import click

ROW_ID = click.IntRange(0, 2**31 - 1)
LONG_ID = click.IntRange(0, 2**63 - 1)
"""For rows of which there may be more than two billion."""
