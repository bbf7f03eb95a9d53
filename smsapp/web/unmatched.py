"""Receipts that name no message of ours, over all channels."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from smsapp.domain.roles import Role
from smsapp.labels import reports as words
from smsapp.services.channels import channels
from smsapp.services.platform import clock
from smsapp.services.receipts import unmatched
from smsapp.web import inputs
from smsapp.web.guard import needs
from smsapp.web.render import page_or_piece

bp = Blueprint("unmatched", __name__, url_prefix="/receipts/unmatched")

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
    found = unmatched.listing(channel_id=channel_id, ref=ref, before=before)
    known = channels.everything()
    return page_or_piece(
        "unmatched/index.html",
        "unmatched/_list.html",
        lines=[(one, unmatched.tried_until(one, now)) for one in found.lines],
        channels=known,
        channel_names={row.id: row.name for row in known},
        channel=channel_id,
        ref=ref,
        words=words,
        kept_days=unmatched.kept_days(),
        most_kept=unmatched.MOST_KEPT,
        last=found.older,
        older=url_for(".index", channel=channel_id, before=found.older) if found.older else "",
        newer=url_for(".index", channel=channel_id) if before else "",
    )
