"""People and what was sent to or came from them: contacts, messages, exclusions, replies, opt-outs."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING, Any

from smsapp.domain import scope as scopes
from smsapp.domain.recipients import Recipient
from smsapp.shapes.sight import Sight

if TYPE_CHECKING:
    from smsapp.store.contacts.contacts import Contact
    from smsapp.store.contacts.replies import OptOut, Reply


def contact(row: Contact, refusing: Set[str], phones: Set[str], sight: Sight) -> dict[str, Any]:
    """Return a contact; `refusing`: the numbers that have opted out, `phones`: the properties that hold numbers."""
    return {
        "id": row.id,
        "user_id": sight.text(row.xwho),
        "properties": {
            name: sight.written_number(value) if name in phones else sight.masked(value)
            for name, value in row.properties.items()
        },
        "numbers": {name: sight.number(number) for name, number in row.phones.items()},
        "opted_out": any(number in refusing for number in row.phones.values()),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def message(recipient: Recipient, sight: Sight) -> dict[str, Any]:
    """Return a message with what the provider and the carrier said."""
    return {
        "run_id": recipient.run_id,
        "position": recipient.position,
        "user_id": sight.text(recipient.xwho),
        "phone": sight.number(recipient.phone),
        "state": recipient.state.name.lower() if recipient.state is not None else "",
        "reason": recipient.reason,
        "code": sight.text(recipient.code),
        "parts": recipient.parts,
        "answered_at": recipient.answered,
        "receipt_at": recipient.heard,
    }


def exclusion(recipient: Recipient, sight: Sight) -> dict[str, Any]:
    """Return a targeted person who got no message, with the reason."""
    return {
        "run_id": recipient.run_id,
        "user_id": sight.text(recipient.xwho),
        "phone": sight.number(recipient.phone),
        "reason": recipient.left,
    }


def reply(row: Reply, sight: Sight) -> dict[str, Any]:
    """Return what somebody texted back."""
    return {
        "id": row.id,
        "phone": sight.number(row.phone),
        "text": sight.text(row.text),
        "opt_out": row.opt_out,
        "campaign_id": row.campaign_id,
        "channel_id": row.channel_id,
        "received_at": row.received_at,
    }


def opt_out(row: OptOut, sight: Sight) -> dict[str, Any]:
    """Return a number that refuses texts, and which."""
    return {
        "id": row.id,
        "phone": sight.number(row.phone),
        "scope": row.scope,
        "signatures": list(scopes.from_text(row.signatures)),
        "source": row.source,
        "note": sight.text(row.note),
        "at": row.at,
    }
