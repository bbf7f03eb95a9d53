"""What carriers have registered: the lights of a channel, what a person types in, and what lapses soon."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.registration import RegistrationKind
from smsapp.domain.rights import Right
from smsapp.labels import registrations as words
from smsapp.labels import sentence
from smsapp.labels import sms_templates as template_words
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.services.templates import registration_rule, registration_statements, registration_sync, registrations
from smsapp.web import guard, inputs
from smsapp.web.forms import options, put_problems
from smsapp.web.forms.registrations import RegistrationForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("registrations", __name__, url_prefix="/registrations")
MENU = MenuLine(_l("Registrations"), "registrations.index", 45, "shield-check", Right.SETUP_VIEW, settings=True)


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    """Show the lights of one channel, and what lapses soon on any."""
    now = clock.now()
    rows = [row for row in accounts.everything() if registrations.concerns(row)]
    channel_id = request.args.get("channel", type=inputs.id_)
    row = next((row for row in rows if row.id == channel_id), rows[0] if rows else None)
    return page(
        "registrations/index.html",
        rows=rows,
        row=row,
        subjects=registrations.of_channel(row.id, now) if row else [],
        lapsing=registrations.lapsing(now),
        asks=row is not None and registration_sync.can(row),
        refuses=registration_rule.refuses(),
        may_write=guard.may(Right.REGISTRATION_WRITE),
        may_rule=guard.may(Right.SENDING_WRITE),
        words=words,
        sync_words=template_words,
    )


@bp.route("/new", methods=["GET", "POST"])
@needs(Right.REGISTRATION_WRITE)
def new() -> Response:
    """Say what carriers have registered, where no provider says it."""
    given = {name: request.args[name] for name in ("kind", "value", "state") if name in request.args}
    form = RegistrationForm(data={"channel": request.args.get("channel", type=inputs.id_), **given})
    form.channel.choices = options([(str(row.id), row.name) for row in accounts.everything()])
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            registration_statements.say(form.channel.data, form.statement(), guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("It was recorded."), "success")
            return see_other(url_for(".index", channel=form.channel.data))
    return page("registrations/new.html", 422 if form.is_submitted() else 200, form=form, problems=problems)


@bp.post("/forget")
@needs(Right.REGISTRATION_WRITE)
def forget() -> Response:
    """Remove what is stored of one value."""
    channel_id = request.form.get("channel", 0, type=inputs.id_)
    kind = next((kind for kind in RegistrationKind if kind == request.form.get("kind")), None)
    if kind is None:
        raise NotFound("registration")
    registration_statements.forget(channel_id, kind, request.form.get("value", ""), guard.actor(), clock.now())
    flash(_("It was removed."), "success")
    return see_other(url_for(".index", channel=channel_id))


@bp.post("/sync")
@needs(Right.REGISTRATION_WRITE)
def sync() -> Response:
    """Ask the channel's provider now."""
    channel_id = request.form.get("channel", 0, type=inputs.id_)
    try:
        result = registration_sync.sync(channel_id, guard.actor(), clock.now())
    except Refusal as refusal:
        flash(sentence(refusal.problems[0]), "danger")
        return see_other(url_for(".index", channel=channel_id))
    if result.ok:
        flash(
            ngettext(
                "The provider was asked about one signature.",
                "The provider was asked about %(num)d signatures.",
                result.asked,
            ),
            "success",
        )
    else:
        why = template_words.sync_trouble(result.trial.result, result.trial.outcome or "", result.trial.code)
        flash(_("%(channel)s: %(why)s What was known stays, with its age.", channel=result.channel, why=why), "danger")
    if result.held:
        flash(
            ngettext(
                "One run that was being sent is held: a carrier would not let its texts through any more.",
                "%(num)d runs that were being sent are held: a carrier would not let their texts through any more.",
                result.held,
            ),
            "warning",
        )
    return see_other(url_for(".index", channel=channel_id))


@bp.post("/rule")
@needs(Right.SENDING_WRITE)
def rule() -> Response:
    """Say whether a red light keeps campaigns from being confirmed."""
    registration_rule.set_refuses(request.form.get("refuse") == "1", guard.actor(), clock.now())
    flash(_("The setting was saved."), "success")
    return see_other(url_for(".index"))
