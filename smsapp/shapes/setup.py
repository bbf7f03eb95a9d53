"""What a campaign is made of: channels, templates and segments."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

from smsapp.domain.outcome import CallResult
from smsapp.domain.sms_template import variables
from smsapp.services.channels import channel_health
from smsapp.services.contacts.segments import Reach
from smsapp.shapes.sight import Sight

if TYPE_CHECKING:
    from smsapp.store.channels.channels import ChannelRow
    from smsapp.store.contacts.segments import Segment
    from smsapp.store.sms_templates import SmsTemplate

OF_CHANNEL = ("id", "name", "kind", "active", "rate", "phone_property")


def channel(row: ChannelRow) -> dict[str, Any]:
    """Return a channel, without its account."""
    return {name: getattr(row, name) for name in OF_CHANNEL}


def health(row: ChannelRow, now: dt.datetime) -> dict[str, Any]:
    """Return how a channel does: its results, receipts that are missing, and its rate."""
    seen = channel_health.health(row.id, now)
    failures: Counter[str] = Counter()
    for (result, reason), n in seen.day.items():
        if result != CallResult.OK:
            failures[reason or result] += n
    return {
        "channel_id": row.id,
        "in_trouble": seen.trouble is not None,
        "last_success": seen.last_success,
        "accepted_day": sum(n for (result, _), n in seen.day.items() if result == CallResult.OK),
        "failed_day": dict(failures),
        "waiting_for_receipts": seen.waiting,
        "rate_in_use": channel_health.pace(row, now).in_use,
    }


def segment(row: Segment, sight: Sight) -> dict[str, Any]:
    """Return a segment with its rule; of a list and a saved group that is {}."""
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "rule": {} if "source" in row.rule else sight.masked(row.rule),
        "size": row.size,
        "computed_at": row.computed_at,
        "created_at": row.created_at,
    }


def reach(seen: Reach) -> dict[str, Any]:
    """Return how many members of a segment some channels reach, and why not the others."""
    return {
        "channels": list(seen.channels),
        "phone_property": seen.phone_property,
        "target": seen.counts.target,
        "effective": seen.counts.effective,
        "planned": seen.counts.planned,
        "excluded": {str(reason): n for reason, n in seen.counts.left_out.items() if n},
    }


def template(row: SmsTemplate) -> dict[str, Any]:
    """Return a template with its variables, and whether campaigns can choose it."""
    return {
        "id": row.id,
        "channel_id": row.channel_id,
        "code": row.code,
        "name": row.name,
        "text": row.text,
        "signature": row.signature,
        "purpose": row.purpose,
        "status": row.audit,
        "reason": row.audit_reason,
        "variables": list(variables(row.text)),
        "usable": row.is_approved and not row.lacks_purpose,
    }
