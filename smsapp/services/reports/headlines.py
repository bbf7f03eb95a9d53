"""The headline of a report, and the actions offered for the latest run; the rules are in domain/headline.py."""

from __future__ import annotations

from smsapp.domain import headline as rules
from smsapp.domain.campaign import Status
from smsapp.domain.funnel import Funnel
from smsapp.domain.headline import CampaignFacts, Headline, Offer, OfferFacts, RunFacts
from smsapp.domain.run import PinReason, RunStanding, RunVerdict, standing
from smsapp.services.sending import drift
from smsapp.services.templates.approvals import Difference
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.runs.runs import Run


def standing_of(run: Run) -> RunStanding | RunVerdict:
    """Return the standing of a run."""
    return standing(run.state, run.hold_reason, run.verdict)


def headline(campaign: Campaign, run: Run | None, of_run: Funnel, total: Funnel, *, only_run: bool) -> Headline:
    """Return the headline of a report with the numbers `total`, whose latest run has the numbers `of_run`."""
    facts = CampaignFacts(Status(campaign.status), campaign.failure, campaign.next_due_at)
    return rules.headline(facts, None if run is None else _facts(run, of_run), total, only_run=only_run)


def _facts(run: Run, funnel: Funnel) -> RunFacts:
    difference = drift.held(run)
    return RunFacts(
        standing=standing_of(run),
        hold_reason=run.hold_reason,
        hold_until=run.hold_until,
        cancel_reason=run.cancel_reason,
        failure=run.failure,
        pinned=run.pinned,
        funnel=funnel,
        drift={
            "before": difference.drift.before,
            "now": difference.drift.now,
            "more": difference.drift.more,
            "elsewhere": difference.drift.elsewhere,
        }
        if difference
        else {},
    )


def offers(campaign: Campaign, run: Run | None, difference: Difference | None) -> list[Offer]:
    """Return what a person may do to the latest run now."""
    if run is None:
        return []
    differs = difference is not None and not difference.is_settled
    return rules.offers(
        OfferFacts(
            standing=standing_of(run),
            hold_reason=run.hold_reason,
            has_second_channel=campaign.second_channel_id is not None,
            is_frozen=run.started_at is not None,
            was_moved=bool(run.routed),
            is_pinned_by_person=run.pinned == PinReason.PERSON,
            text_differs=differs,
            text_can_be_accepted=differs and difference is not None and not difference.problems,
        )
    )
