"""Files of SMS templates: uploaded, previewed row by row, and imported."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.domain.template_file import COLUMNS, Fate
from smsapp.labels import sms_templates as words
from smsapp.services.platform import clock
from smsapp.services.tables.limited import MOST_BYTES
from smsapp.services.templates import template_imports
from smsapp.web import guard, inputs
from smsapp.web.forms import options, put_problems
from smsapp.web.forms.sms_templates import ImportForm
from smsapp.web.guard import needs, uploads
from smsapp.web.render import page, see_other
from smsapp.web.sms_templates import bp, channel_names


@bp.route("/import", methods=["GET", "POST"])
@needs(Right.TEMPLATES_WRITE)
@uploads
def bring() -> Response:
    """Take a file of templates and redirect to a preview of its changes."""
    form = ImportForm(channel=request.args.get("channel", type=inputs.id_))
    form.channel.choices = options(channel_names().items())
    problems: list[str] = []
    if form.validate_on_submit():
        name, content = form.file.data.filename or "", form.file.data.read(MOST_BYTES + 1)
        try:
            template_imports.take_file(form.channel.data, name, content, guard.actor(), clock.now(), dry_run=True)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            token = template_imports.stash(name, content, clock.now())
            return see_other(url_for(".try_import", channel_id=form.channel.data, token=token))
    status = 422 if form.is_submitted() else 200
    columns = [(aliases[0], aliases[1], words.COLUMNS[field]) for field, aliases in COLUMNS.items()]
    return page("sms_templates/import.html", status, form=form, problems=problems, columns=columns)


@bp.get("/import/<int:channel_id>/<token>")
@needs(Right.TEMPLATES_WRITE)
def try_import(channel_id: int, token: str) -> Response:
    """Show row by row what the file would do; nothing is changed yet."""
    content = template_imports.stashed(token)
    result = template_imports.take_file(channel_id, token, content, guard.actor(), clock.now(), dry_run=True)
    return page(
        "sms_templates/try_import.html",
        taken=result,
        fate_colours=words.FATE_COLOURS,
        channel_id=channel_id,
        channel_name=channel_names()[channel_id],
        counts=result.counts,
        useful=result.counts[Fate.ADDED] + result.counts[Fate.CHANGED],
    )


@bp.post("/import/<int:channel_id>/<token>")
@needs(Right.TEMPLATES_WRITE)
def apply_import(channel_id: int, token: str) -> Response:
    content = template_imports.stashed(token)
    result = template_imports.take_file(channel_id, token, content, guard.actor(), clock.now())
    template_imports.drop(token)
    message = _(
        "The file was imported: %(added)s added, %(changed)s changed, %(unchanged)s unchanged, %(refused)s left out.",
        **{fate.value: count for fate, count in result.counts.items()},
    )
    flash(message, "success" if result.clean else "warning")
    return see_other(url_for(".index", channel=channel_id))
