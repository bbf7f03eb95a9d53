"""flask replies: what people texted back."""

from __future__ import annotations

import click

from smsapp.cli.ids import LONG_ID
from smsapp.cli.output import CommandGroup, Shown
from smsapp.services.receipts import replies
from smsapp.shapes import people
from smsapp.shapes.sight import Sight

command = CommandGroup("replies", help="What people texted back.")
LIMIT = click.IntRange(1, 1000)


@command.command("list", shows=True)
@click.option("--search", default="", help="Only those with these words.")
@click.option("--opt-outs", is_flag=True, help="Only opt-outs.")
@click.option("--after", type=LONG_ID, help="`next` of the page before.")
@click.option("--limit", default=50, show_default=True, type=LIMIT, help="How many at most.")
@click.option("--full", is_flag=True, help="Print numbers and texts as they came instead of masked.")
def list_(search: str, opt_outs: bool, after: int | None, limit: int, full: bool) -> Shown:
    """Print replies, newest first: id, when, number, opt-out or reply, text.

    Example: flask replies list --opt-outs --json
    """
    rows = replies.find_page(opt_out=True if opt_outs else None, words=search, before=after, limit=limit + 1)
    following = rows[limit - 1].id if len(rows) > limit else None
    items = [people.reply(row, Sight(full)) for row in rows[:limit]]
    lines = (
        f"{item['id']}\t{item['received_at'].isoformat(timespec='seconds')}\t{item['phone']}\t"
        f"{'opt-out' if item['opt_out'] else 'reply'}\t{' '.join(item['text'].split())}"
        for item in items
    )
    notes = [f"There are more: --after {following}"] if following else []
    return Shown({"items": items, "next": following}, lines, notes)
