"""What a run keeps of everything that may change while it goes on, or be deleted afterwards."""

from __future__ import annotations

from typing import Any

from smsapp.channels.contract import Channel
from smsapp.domain import quiet
from smsapp.domain.quiet import QuietHours
from smsapp.domain.sms_template import Purpose, variables
from smsapp.services.channels import channels
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.sms_templates import SmsTemplate

LARGE_BATCH, SMALL_BATCH = 1000, 400
"""Messages per batch where a request carries many, and where it carries one (the smaller, the less is unconfirmed)."""


def facts(
    campaign: Campaign, template: SmsTemplate, channel: ChannelRow, segment: str, adapter: Channel
) -> dict[str, Any]:
    """Return what a run keeps when its audience is frozen."""
    return {"segment": segment, "mapping": campaign.mapping, "zone": campaign.zone} | _way(template, channel, adapter)


def elsewhere(before: dict[str, Any], template: SmsTemplate, channel: ChannelRow, adapter: Channel) -> dict[str, Any]:
    """Return what a run keeps that takes over from another one, through another channel: the same values in order."""
    pairs = zip(before["variables"], variables(template.text), strict=True)
    mapping = {there: before["mapping"].get(here, {}) for here, there in pairs}
    kept = {"segment": before["segment"], "zone": before["zone"], "mapping": mapping}
    return kept | _way(template, channel, adapter)


def _way(template: SmsTemplate, channel: ChannelRow, adapter: Channel) -> dict[str, Any]:
    return {
        "code": template.code,
        "name": template.name,
        "text": template.text,
        "signature": template.signature,
        "variables": list(variables(template.text)),
        "marketing": template.purpose == Purpose.MARKETING,
        "channel": channel.name,
        "price": str(channel.price) if channel.price is not None else None,
        "currency": channel.currency,
        "quiet": _quiet_between(template, channel, adapter),
    }


def quiet_hours(template: SmsTemplate, channel: ChannelRow, zone: str) -> QuietHours | None:
    """Return the hours in which a run would wait; None if its texts may leave at any time."""
    between = _quiet_between(template, channel, channels.kinds()[channel.kind])
    return quiet.read(*between, zone) if between else None


def _quiet_between(template: SmsTemplate, channel: ChannelRow, kind: Channel | type[Channel]) -> tuple[str, str] | None:
    if template.purpose != Purpose.MARKETING or kind.quiet_hours_exempt:
        return None
    return channel.quiet_from, channel.quiet_until


def batch_size(adapter: Channel, rate: int | None) -> int:
    """Return how many messages one claim takes: about a second's work on a slow channel, never less than a request."""
    size = LARGE_BATCH if adapter.per_request > 1 else SMALL_BATCH
    return max(adapter.per_request, min(size, rate)) if rate else size
