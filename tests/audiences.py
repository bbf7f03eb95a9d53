"""Counts of an audience, as pages and freezes see it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from smsapp.domain.audience_rule import AudienceRule
from smsapp.services.contacts import audience
from smsapp.services.contacts.audience import AudienceCounts, Choices


def counts(
    rule: AudienceRule,
    channel_id: int | None,
    template_id: int | None = None,
    mapping: dict[str, Any] | None = None,
    *,
    now: dt.datetime,
    consented_only: bool = False,
) -> AudienceCounts:
    """Return the people of a rule, planned or excluded by reason, as if the campaign were sent now."""
    choices = Choices(channel_id, template_id, mapping or {}, consented_only)
    return audience.tally(audience.describe(rule, choices, now))
