"""flask contacts list, show, delete: contacts one by one, numbers masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from smsapp.cli.contacts import ACTOR, command
from smsapp.cli.ids import LONG_ID
from smsapp.cli.output import Shown
from smsapp.services.contacts import contact_upserts, contacts, segments
from smsapp.services.platform import clock
from smsapp.shapes import people
from smsapp.shapes.json_text import json_text
from smsapp.shapes.sight import MASKED

if TYPE_CHECKING:
    from smsapp.store.contacts.contacts import Contact


@command.command("list", shows=True)
@click.option("--search", default="", help="Only those with this user id or name; numbers are not searched for.")
@click.option("--after", type=LONG_ID, help="`next` of the page before.")
def list_(search: str, after: int | None) -> Shown:
    """Print a page of contacts, newest first: id, user id, masked numbers.

    Example: flask contacts list --search QH0000 --json
    """
    page = contacts.listed(search, after)
    lines = (f"{row.id}\t{MASKED.text(row.xwho)}\t{_numbers(row)}" for row in page.rows)
    notes = [f"There are more: --after {page.next}"] if page.next else []
    refusing, phones = contacts.opted_out(page.rows), segments.phone_properties()
    items = [people.contact(row, refusing, phones, MASKED) for row in page.rows]
    return Shown({"items": items, "next": page.next}, lines, notes)


@command.command("show", shows=True)
@click.argument("user_id")
def show(user_id: str) -> Shown:
    """Print a contact: its values and masked numbers.

    Example: flask contacts show QH000001 --json
    """
    row = contact_upserts.by_user_id(user_id)
    document = people.contact(row, contacts.opted_out([row]), segments.phone_properties(), MASKED)
    values = (f"{name:24} {json_text(value)}" for name, value in document["properties"].items())
    return Shown(document, [f"{row.id}\t{document['user_id']}\t{_numbers(row)}", *values])


@command.command("delete", shows=True)
@click.argument("user_id")
def delete(user_id: str) -> Shown:
    """Remove a contact and its values; what was sent stays in the ledger. `erase` forgets a person.

    Example: flask contacts delete QH000001
    """
    contact_upserts.remove(contact_upserts.by_user_id(user_id).id, ACTOR, clock.now())
    return Shown({"deleted": True}, ["deleted"])


def _numbers(row: Contact) -> str:
    return ", ".join(MASKED.number(number) for number in row.phones.values() if number) or "-"
