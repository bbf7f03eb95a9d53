"""The story of one message: its text, its state, and what people decided about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smsapp.domain.errors import NotFound
from smsapp.domain.outcome import Meaning
from smsapp.domain.recipients import Recipient
from smsapp.services.campaigns import campaigns
from smsapp.services.contacts import audience
from smsapp.services.reports import failure_reasons
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels import channels
from smsapp.store.db import current_session
from smsapp.store.receipts import unconfirmed
from smsapp.store.receipts.unconfirmed import Decision
from smsapp.store.runs import recipients
from smsapp.store.runs.runs import Run


@dataclass(frozen=True)
class MessageStory:
    """One person's message: its text, its state and its history."""

    campaign: Campaign
    run: Run
    recipient: Recipient
    text: str = field(repr=False)
    channel: str
    decisions: Sequence[Decision]
    """What people decided about it while it was unconfirmed, newest first."""

    @property
    def meaning(self) -> Meaning | None:
        return failure_reasons.meaning_of(self.recipient.state, self.recipient.reason)


def story(campaign_id: int, run_id: int, seq: int) -> MessageStory:
    """Return one message with its finished text; raises NotFound."""
    campaign = campaigns.get(campaign_id)
    run = current_session().get(Run, run_id)
    recipient = recipients.message(current_session(), run_id, seq)
    if run is None or run.campaign_id != campaign_id or recipient is None:
        raise NotFound("message")
    values = audience.filled(run.snapshot.variables, run.snapshot.mapping, recipient.params)
    text = run.snapshot.template.renderer()(values)
    decisions = unconfirmed.decisions(current_session(), run_id, seq)
    return MessageStory(campaign, run, recipient, text, channels.name_of(current_session(), run.channel_id), decisions)
