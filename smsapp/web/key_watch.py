"""What an AppKey brought, hour by hour; its alarms; undoing its last hours."""

from __future__ import annotations

import datetime as dt

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.key_undo import KEPT_DAYS, OPEN, UndoState
from smsapp.domain.key_watch import TALLY_DAYS, Measure
from smsapp.domain.rights import Right
from smsapp.labels import sentence
from smsapp.services.apps import app_keys, key_undo, key_watch
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.guard import needs
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("key_watch", __name__, url_prefix="/keys/<int:key_id>/watch")


@bp.get("")
@needs(Right.KEYS_WRITE)
def show(key_id: int) -> Response:
    """Show the latest hours of a key, its alarms, and its undo as far as it has come."""
    return _show(key_id)


def _show(key_id: int, refusal: Refusal | None = None) -> Response:
    row, now = app_keys.key(key_id), clock.now()
    undo = key_undo.latest(row.id)
    hours = key_watch.hours(row.id, now)
    earliest = key_undo.earliest(row, now)
    shown = {
        "row": row,
        "undo": undo,
        "going_on": undo is not None and undo.state in OPEN,
        "states": UndoState,
        "hours": hours,
        "undoable": {hour.at for hour in hours if hour.at + dt.timedelta(hours=1) > earliest},
        "alarms": key_watch.alarms(row.id),
        "measure": Measure,
        "problems": [sentence(problem) for problem in refusal.problems] if refusal else [],
        "tally_days": TALLY_DAYS,
        "kept_days": KEPT_DAYS,
    }
    if refusal:
        return page("contacts/key_watch.html", 422, **shown)
    return page_or_piece("contacts/key_watch.html", "contacts/_key_undo.html", **shown)


@bp.post("/undo")
@needs(Right.KEYS_WRITE)
def count(key_id: int) -> Response:
    """Begin to count what an undo from some hour on would do."""
    row, now = app_keys.key(key_id), clock.now()
    try:
        key_undo.count(row.id, _hour(request.args.get("since", ""), now), guard.actor(), now)
    except Refusal as refusal:
        return _show(row.id, refusal)
    return see_other(url_for(".show", key_id=row.id))


def _hour(raw: str, now: dt.datetime) -> dt.datetime:
    """Return the moment in a form; now if it cannot be read, from which on there is nothing to undo."""
    try:
        moment = dt.datetime.fromisoformat(raw)
    except ValueError:
        return now
    return moment if moment.tzinfo else now


@bp.post("/undo/<int:undo_id>")
@needs(Right.KEYS_WRITE)
def carry_out(key_id: int, undo_id: int) -> Response:
    """Undo what was counted."""
    row = app_keys.key(key_id)
    disables = request.form.get("disable") == "1"
    key_undo.carry_out(undo_id, row.id, guard.actor(), clock.now(), disable=disables)
    flash(_("It is being undone."), "success")
    return see_other(url_for(".show", key_id=row.id))


@bp.post("/alarms")
@needs(Right.KEYS_WRITE)
def note(key_id: int) -> Response:
    """Take note of the alarms that were shown."""
    key_watch.note(key_id, request.form.get("until", 0, type=inputs.id_), guard.actor(), clock.now())
    flash(_("Noted."), "success")
    return see_other(url_for(".show", key_id=key_id))


@bp.post("/pausing")
@needs(Right.KEYS_WRITE)
def set_pausing(key_id: int) -> Response:
    """Say whether an alarm disables the key."""
    row = key_watch.set_pausing(key_id, request.form.get("pauses") == "1", guard.actor(), clock.now())
    flash(_("An alarm disables this key.") if row.pauses_on_alarm else _("An alarm only tells people."), "success")
    return see_other(url_for(".show", key_id=key_id))
