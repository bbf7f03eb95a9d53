"""Ids as commands take them: a number that no id column holds is refused with its range, not by the database."""

from __future__ import annotations

import click

ROW_ID = click.IntRange(0, 2**31 - 1)
LONG_ID = click.IntRange(0, 2**63 - 1)
"""For rows of which there may be more than two billion."""
