"""Syncing SMS templates with their providers: the button, and what it reports."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels import label, sentence
from smsapp.labels import sms_templates as words
from smsapp.services.platform import clock
from smsapp.services.templates import template_sync
from smsapp.services.templates.template_sync import SyncResult
from smsapp.web import guard, inputs
from smsapp.web.guard import needs
from smsapp.web.render import see_other
from smsapp.web.sms_templates import bp

MOST_LISTED = 6
"""Most changes of a sync that are listed one by one."""


@bp.post("/sync")
@needs(Right.TEMPLATES_WRITE)
def sync() -> Response:
    """Sync the templates of one channel, or of all that can be synced; flash what changed."""
    channel_id = request.form.get("channel", type=inputs.id_)
    try:
        if channel_id is None:
            results = template_sync.sync_all(clock.now(), guard.actor())
        else:
            results = [template_sync.sync(channel_id, guard.actor(), clock.now())]
    except Refusal as refusal:
        results = []
        flash(sentence(refusal.problems[0]), "danger")
    for result in results:
        _flash_result(result)
    if request.form.get("back") == "channel" and channel_id is not None:
        return see_other(url_for("channels.show", channel_id=channel_id))
    return see_other(url_for(".index", channel=channel_id))


def _flash_result(result: SyncResult) -> None:
    if not result.ok:
        why = words.sync_trouble(result.trial.result, result.trial.outcome or "", result.trial.code)
        flash(_("%(channel)s: %(why)s The templates stay as they were.", channel=result.channel, why=why), "danger")
        return
    summary = words.changes_told(result.counts)
    flash(_("%(channel)s was compared: %(told)s", channel=result.channel, told=summary), "success")
    for change in result.changes[:MOST_LISTED]:
        state, fate = label(change.audit, "Audit"), label(change.fate, "SyncFate")
        fields = words.changed_fields(change.fields)
        flash(" · ".join(filter(None, [change.code, change.name, fate, fields, state, change.reason])), "info")
    if result.held:
        flash(
            ngettext(
                "One run that was being sent is held: its text is not the approved one any more.",
                "%(num)d runs that were being sent are held: their texts are not the approved ones any more.",
                result.held,
            ),
            "warning",
        )
