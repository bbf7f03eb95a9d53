"""The buttons that a report has for what a person may do to its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import url_for

from smsapp.domain.headline import Offer
from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.reports.reports import Report
from smsapp.web import guard


@dataclass(frozen=True)
class Button:
    """One offer as the page draws it."""

    url: str
    text: Any
    icon: str
    kind: str
    id: str
    """Of a link to a page that asks first; "" for a button that acts at once."""


DRAWN: dict[Offer, tuple[str, Any, str, str, str]] = {
    # offer: (endpoint, text, icon, kind, id of the link)
    Offer.ACCEPT_TEXT: ("runs.accept", _l("Accept the new text…"), "check", "primary", "accept"),
    Offer.ACCEPT_AUDIENCE: (
        "runs.accept_audience", _l("Look at the difference and accept…"), "check", "primary", "accept-audience"
    ),
    Offer.ACCEPT_REGISTRATION: (
        "runs.accept_registration", _l("Look at the registrations and decide…"), "check", "primary",
        "accept-registration"
    ),
    Offer.APPROVE: ("approvals.run", _l("Look at it and approve…"), "check", "primary", "approve"),
    Offer.RESUME: ("runs.resume", _l("Resume"), "player-play", "primary", ""),
    Offer.PAUSE: ("runs.pause", _l("Pause"), "player-pause", "secondary", ""),
    Offer.MOVE: ("runs.route", _l("Move the rest to the second channel"), "arrow-right", "secondary", ""),
    Offer.UNPIN: ("runs.let_move", _l("Let it change channels by itself"), "", "secondary", ""),
    Offer.PIN: ("runs.stay", _l("Keep it on this channel"), "", "secondary", ""),
    Offer.END: ("runs.ask_to_end", _l("End"), "player-stop", "ghost-danger", "end"),
}  # fmt: skip
NEEDED = dict.fromkeys(
    (Offer.ACCEPT_TEXT, Offer.ACCEPT_AUDIENCE, Offer.ACCEPT_REGISTRATION, Offer.APPROVE), Right.RUNS_ACCEPT
)
"""What needs more than the right to control runs."""
BACK = _l("Move the rest back to the first channel")


def of(report: Report) -> list[Button]:
    """Return a button for each offer that the reader may take, in the order of the offers."""
    run = report.latest
    if run is None:
        return []
    buttons = []
    for offer in report.offers:
        if not guard.may(NEEDED.get(offer, Right.RUNS_CONTROL)):
            continue
        endpoint, text, icon, kind, link_id = DRAWN[offer]
        if offer is Offer.MOVE and run.channel_id == report.campaign.second_channel_id:
            text = BACK
        url = url_for(endpoint, campaign_id=report.campaign.id, run_id=run.id)
        buttons.append(Button(url, text, icon, kind, link_id))
    return buttons


def waits_for_approver(report: Report) -> bool:
    """Return whether the run waits to be accepted by somebody with more rights than the reader."""
    return not guard.may(Right.RUNS_ACCEPT) and any(offer in NEEDED for offer in report.offers)
