"""Unmatched receipts of all channels."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from smsapp.domain.rights import Right
from smsapp.labels import reports as words
from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.services.receipts import unmatched
from smsapp.web import inputs
from smsapp.web.guard import needs
from smsapp.web.render import page_or_piece

bp = Blueprint("unmatched", __name__, url_prefix="/receipts/unmatched")

# A searched id may look like a phone number, or be one: it is sent by POST, as on /replies.


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    """List unmatched receipts, newest first."""
    return _list(request.args.get("channel", type=inputs.id_), "", request.args.get("before", type=inputs.long_id))


@bp.post("/")
@needs(Right.WORK_VIEW)
def search() -> Response:
    """List those of a channel, or with exactly this reference of ours or provider's id."""
    fields = request.form
    ref = fields.get("q", "").strip()
    return _list(fields.get("channel", type=inputs.id_), ref, fields.get("before", type=inputs.long_id))


def _list(channel_id: int | None, ref: str, before: int | None) -> Response:
    now = clock.now()
    listing = unmatched.listing(channel_id=channel_id, ref=ref, before=before)
    channel_rows = accounts.everything()
    return page_or_piece(
        "unmatched/index.html",
        "unmatched/_list.html",
        lines=[(receipt, unmatched.tried_until(receipt, now)) for receipt in listing.rows],
        channels=channel_rows,
        channel_names={row.id: row.name for row in channel_rows},
        channel=channel_id,
        ref=ref,
        words=words,
        kept_days=unmatched.kept_days(),
        most_kept=unmatched.MOST_KEPT,
        last=listing.next,
        older=url_for(".index", channel=channel_id, before=listing.next) if listing.next else "",
        newer=url_for(".index", channel=channel_id) if before else "",
    )
