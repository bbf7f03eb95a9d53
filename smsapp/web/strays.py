"""Receipts that name no message of ours, over all channels."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from smsapp.domain.people import Role
from smsapp.services import channels, clock, strays
from smsapp.web import inputs
from smsapp.web.guard import needs
from smsapp.web.render import page_or_piece
from smsapp.words import reports as words

bp = Blueprint("strays", __name__, url_prefix="/strays")

# An id of a provider's may be as long as a phone number, or somebody looks for one: it is sent by POST, as on /replies.


@bp.get("/")
def index() -> Response:
    """List them, newest first."""
    return _listed(request.args.get("channel", type=inputs.id_), "", request.args.get("before", type=inputs.long_id))


@bp.post("/")
@needs(Role.VIEWER)
def search() -> Response:
    """List those of a channel, or with this very reference of ours or id of the provider's."""
    asked = request.form
    ref = asked.get("q", "").strip()
    return _listed(asked.get("channel", type=inputs.id_), ref, asked.get("before", type=inputs.long_id))


def _listed(channel_id: int | None, ref: str, before: int | None) -> Response:
    now = clock.now()
    found = strays.listing(channel_id=channel_id, ref=ref, before=before)
    known = channels.everything()
    return page_or_piece(
        "strays/index.html",
        "strays/_list.html",
        lines=[(one, strays.tried_until(one, now)) for one in found.lines],
        channels=known,
        channel_names={row.id: row.name for row in known},
        channel=channel_id,
        ref=ref,
        words=words,
        kept_days=strays.kept_days(),
        most_kept=strays.MOST_KEPT,
        last=found.older,
        older=url_for(".index", channel=channel_id, before=found.older) if found.older else "",
        newer=url_for(".index", channel=channel_id) if before else "",
    )
