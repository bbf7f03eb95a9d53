"""Webhooks: where events are sent, what came of each, and sending them anew."""

from __future__ import annotations

import datetime as dt

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.apps import webhooks
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.forms import put_problems
from smsapp.web.forms.webhooks import SendSinceForm, WebhookForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("webhooks", __name__, url_prefix="/settings/webhooks")
MENU = MenuLine(_l("Webhooks"), "webhooks.index", 72, "plug-connected", Right.KEYS_WRITE, settings=True)


@bp.route("/", methods=["GET", "POST"])
@needs(Right.KEYS_WRITE)
def index() -> Response:
    """List the webhooks, with a form to make another one."""
    form = WebhookForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            webhook, secret = webhooks.create(
                form.name.data, form.address.data, form.kinds.data or (), guard.actor(), clock.now()
            )
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The webhook was made. Keep its secret now: it is not shown again."), "success")
            return _show(webhook.id, secret)
    status = 422 if form.is_submitted() else 200
    return page("webhooks/index.html", status, form=form, problems=problems, webhooks=webhooks.listed())


@bp.route("/<int:webhook_id>", methods=["GET", "POST"])
@needs(Right.KEYS_WRITE)
def show(webhook_id: int) -> Response:
    """Show a webhook and what was sent to it; a POST changes it."""
    return _show(webhook_id)


def _show(webhook_id: int, secret: str = "", since: SendSinceForm | None = None) -> Response:
    row = webhooks.row(webhook_id)
    given = {"name": row.name, "address": row.url, "kinds": row.kinds}
    is_change = request.endpoint == "webhooks.show"
    form = WebhookForm(data=given) if is_change else WebhookForm(None, data=given)
    problems: list[str] = []
    if is_change and form.validate_on_submit():
        try:
            webhooks.change(
                row.id, form.name.data, form.address.data, form.kinds.data or (), guard.actor(), clock.now()
            )
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The webhook was saved."), "success")
            return see_other(url_for(".show", webhook_id=row.id))
    lines = webhooks.log(row.id, request.args.get("before", type=inputs.long_id))
    shown = {"form": form, "problems": problems, "row": row, "lines": lines.rows, "older": lines.next}
    if request.method == "GET":
        return page_or_piece("webhooks/show.html", "webhooks/_log.html", **shown, since=SendSinceForm(None), secret="")
    status = 200 if secret else 422
    return page("webhooks/show.html", status, **shown, since=since or SendSinceForm(None), secret=secret)


@bp.route("/<int:webhook_id>/secret", methods=["GET", "POST"])
@needs(Right.KEYS_WRITE)
def renew_secret(webhook_id: int) -> Response:
    """Ask whether the secret shall be replaced; do it, and show the new one this once."""
    if request.method == "GET":
        return page("webhooks/renew_secret.html", row=webhooks.row(webhook_id))
    return _show(webhook_id, webhooks.renew_secret(webhook_id, guard.actor(), clock.now()))


@bp.post("/<int:webhook_id>/switch")
@needs(Right.KEYS_WRITE)
def switch(webhook_id: int) -> Response:
    """Switch a webhook on or off."""
    row = webhooks.switch(webhook_id, request.form.get("active") == "1", guard.actor(), clock.now())
    if row.active:
        flash(_("“%(name)s” hears of events again.", name=row.name), "success")
    else:
        flash(_("“%(name)s” is off. It will not hear of what happens meanwhile.", name=row.name), "info")
    return see_other(url_for(".show", webhook_id=row.id))


@bp.route("/<int:webhook_id>/remove", methods=["GET", "POST"])
@needs(Right.KEYS_WRITE)
def remove(webhook_id: int) -> Response:
    """Ask whether a webhook and its log shall go, and remove them."""
    if request.method == "GET":
        return page("webhooks/remove.html", row=webhooks.row(webhook_id))
    webhooks.remove(webhook_id, guard.actor(), clock.now())
    flash(_("The webhook was removed."), "success")
    return see_other(url_for(".index"))


@bp.post("/<int:webhook_id>/test")
@needs(Right.KEYS_WRITE)
def try_out(webhook_id: int) -> Response:
    """Send a test event."""
    webhooks.try_out(webhook_id, guard.actor(), clock.now())
    flash(_("A test is on its way; the log shows what becomes of it."), "success")
    return see_other(url_for(".show", webhook_id=webhook_id, _anchor="log"))


@bp.post("/<int:webhook_id>/events/<long:event_id>/send")
@needs(Right.KEYS_WRITE)
def send_anew(webhook_id: int, event_id: int) -> Response:
    """Send one event anew."""
    webhooks.send_anew(webhook_id, event_id, guard.actor(), clock.now())
    flash(_("The event is sent again."), "success")
    return see_other(url_for(".show", webhook_id=webhook_id, _anchor="log"))


@bp.post("/<int:webhook_id>/send-since")
@needs(Right.KEYS_WRITE)
def send_since(webhook_id: int) -> Response:
    """Send everything anew that has happened since a moment."""
    form = SendSinceForm()
    if not form.validate_on_submit():
        return _show(webhook_id, since=form)
    moment = form.since.data.replace(tzinfo=dt.UTC)
    n = webhooks.send_since(webhook_id, moment, guard.actor(), clock.now())
    flash(ngettext("%(num)s event is sent again.", "%(num)s events are sent again.", n), "success")
    return see_other(url_for(".show", webhook_id=webhook_id, _anchor="log"))
