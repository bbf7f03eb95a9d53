"""A campaign, what it would do, and how its rehearsal stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smsapp.domain.campaign import Status
from smsapp.domain.provenance import Provenance
from smsapp.services.campaigns import drafts
from smsapp.services.campaigns.campaign_review import Review
from smsapp.services.campaigns.rehearsals import RehearsalView
from smsapp.shapes.problems import problems
from smsapp.shapes.sight import Sight

if TYPE_CHECKING:
    from smsapp.store.campaigns.campaigns import Campaign

NO_REHEARSAL = RehearsalView(False, False, True, 0, 0, None, None)


def campaign(row: Campaign, sight: Sight) -> dict[str, Any]:
    """Return a campaign with the fields of its draft."""
    current = drafts.draft_of(row)
    return {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "version": row.version,
        "audience": current.audience.as_json(),
        "channel_id": row.channel_id,
        "template_id": row.template_id,
        "second_channel_id": row.second_channel_id,
        "second_template_id": row.second_template_id,
        "mapping": sight.masked(dict(current.mapping)),
        "schedule": current.schedule.as_json(),
        "consented_only": row.consented_only,
        "seeds": row.seeds,
        "provenance": provenance(row.provenance),
        "next_due_at": row.next_due_at,
        "failure": row.failure,
        "created_at": row.created_at,
        "confirmed_at": row.confirmed_at,
    }


def provenance(stored: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return which parts of a draft a program has set last: part -> door, key and moment."""
    return {
        part: {"door": origin.program.door.value, "key": origin.program.key, "at": origin.at}
        for part, origin in Provenance.from_json(stored).origins.items()
    }


def review(seen: Review) -> dict[str, Any]:
    """Return what keeps a campaign from going out, and what a person should know before."""
    return {
        "version": seen.campaign.version,
        "ready": seen.ready and seen.campaign.status == Status.DRAFT,
        "problems": problems(seen.problems),
        "warnings": problems(seen.warnings),
    }


def estimate(seen: Review, sight: Sight) -> dict[str, Any]:
    """Return what a campaign would do if it were confirmed now: people, parts, cost, time, and its review."""
    counts, cost, forecast, letter = seen.counts, seen.cost, seen.forecast, seen.preview.letter
    return review(seen) | {
        "target": counts.target if counts else 0,
        "effective": counts.effective if counts else 0,
        "planned": counts.planned if counts else 0,
        "excluded": {reason.value: n for reason, n in seen.left_out},
        "parts": cost.parts if cost else None,
        "amount": str(cost.amount) if cost and cost.amount is not None else None,
        "currency": cost.currency if cost else "",
        "begins_at": forecast.begins if forecast else None,
        "ends_at": forecast.ends if forecast else None,
        "text": sight.text(letter.text) if letter else "",
    }


def rehearsal(view: RehearsalView | None) -> dict[str, Any]:
    """Return how the rehearsal of a campaign stands; None: there is none."""
    view = view or NO_REHEARSAL
    result = view.result
    return {
        "made": result is not None,
        "running": view.running,
        "failed": view.failed,
        "stale": view.stale,
        "done": view.done,
        "whole": view.whole,
        "planned": result.planned if result else None,
        "excluded": {str(reason): n for reason, n in result.left_out.items()} if result else {},
        "parts": {str(parts): n for parts, n in result.spread.items()} if result else {},
        "longest": result.longest if result else None,
        "ends_at": result.ends if result else None,
    }
