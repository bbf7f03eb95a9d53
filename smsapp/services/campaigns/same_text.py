"""The warning of a review that people were sent the same text recently, whether or not frequency caps are on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from smsapp.store.campaigns import same_text as store
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.audience import Audience
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

LATELY = dt.timedelta(days=7)
MOST_RUNS = 20
MOST_ASKED = 20_000
"""Most people whose messages are searched; of a larger audience a sample of about so many."""


@dataclass(frozen=True)
class RepeatedText:
    """People of an audience who were sent the same text recently."""

    n: int
    sampled: bool
    """Whether `n` is an estimate."""
    campaigns: Sequence[Campaign]
    """The campaigns that sent it, the newest first, including deleted ones."""


def sent_lately(
    audience: Audience, planned: int, template: SmsTemplate, now: dt.datetime, but: int | None = None
) -> RepeatedText | None:
    """Return the people of an audience of `planned` messages who got this text within LATELY; None if nobody did.

    Runs of the campaign `but` do not count: a recurring one repeats its text.
    """
    run_ids = store.runs_with_text(current_session(), template.text, template.signature, now - LATELY, but, MOST_RUNS)
    if not run_ids or not planned:
        return None
    every = -(-planned // MOST_ASKED)
    n, campaigns = store.count_written_to(current_session(), audience, run_ids, every)
    return RepeatedText(min(n * every, planned), every > 1, campaigns) if n else None
