"""Integrations (服务集成): kinds of providers, configured channels, their settings and their tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain import number_limits
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.outcome import CallResult, tells_outcome, was_tried, went_well
from smsapp.domain.rights import Right
from smsapp.domain.scope import Scope
from smsapp.labels import channels as words
from smsapp.labels import sentence
from smsapp.labels import sms_templates as template_words
from smsapp.labels.channels import told
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.channels import accounts, callback_addresses, channel_health, channel_secrets, registry
from smsapp.services.channels.account_calls import TestResult
from smsapp.services.platform import clock
from smsapp.services.receipts import unmatched
from smsapp.services.sending import channel_tests, held_connections, opt_out_confirmations
from smsapp.services.templates import registrations, sms_templates, template_sync
from smsapp.web import guard, inputs
from smsapp.web.forms import put_problems
from smsapp.web.forms.channels import TestForm, channel_form, test_form
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

if TYPE_CHECKING:
    from smsapp.channels.contract import Channel
    from smsapp.store.channels.channels import ChannelRow
    from smsapp.store.sms_templates import SmsTemplate

bp = Blueprint("channels", __name__, url_prefix="/channels")
bp.add_app_template_test(went_well, "went_well")
bp.add_app_template_test(was_tried, "tried")
bp.add_app_template_test(tells_outcome, "outcome_told")
MENU = MenuLine(_l("Integrations"), "channels.index", 50, "plug-connected", Right.SETUP_VIEW)

NEW: dict[str, Any] = {
    "quiet": True,
    "quiet_from": "21:00",
    "quiet_until": "08:00",
    "currency": "CNY",
    "refusal_scope": Scope.EVERYTHING,
}


def _kind(name: str) -> type[Channel]:
    if name not in registry.kinds():
        raise NotFound("channel")
    return registry.kinds()[name]


@bp.get("/")
@needs(Right.SETUP_VIEW)
def index() -> Response:
    return page(
        "channels/index.html",
        kinds=registry.kinds(),
        channels=accounts.everything(),
        may_change=guard.may(Right.CHANNELS_WRITE),
    )


@bp.route("/new/<kind>", methods=["GET", "POST"])
@needs(Right.CHANNELS_WRITE)
def new(kind: str) -> Response:
    """Configure a channel; `?preset=` fills the form."""
    adapter = _kind(kind)
    preset = next((item for item in adapter.presets if item.name == request.args.get("preset")), None)
    values = {setting.name: setting.default for setting in adapter.settings} | dict(preset.values if preset else {})
    countries = registry.usual_countries(adapter)
    form = channel_form(adapter, countries=countries, **NEW, rate=adapter.documented_rate, **values)
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            channel_id = accounts.create(kind, form.wanted(adapter), guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The channel was saved. Test its account, then send a test message."), "success")
            return see_other(url_for("channels.show", channel_id=channel_id))
    status = 422 if form.is_submitted() else 200
    return page("channels/form.html", status, kind=adapter, form=form, problems=problems, preset=preset, row=None)


@bp.route("/<int:channel_id>/edit", methods=["GET", "POST"])
@needs(Right.CHANNELS_WRITE)
def edit(channel_id: int) -> Response:
    row = accounts.row(channel_id)
    kind = _kind(row.kind)
    values = {
        setting.name: row.settings.get(setting.name, setting.default) for setting in kind.settings if not setting.secret
    }
    common = {name: getattr(row, name) for name in accounts.COMMON} | {
        "countries": " ".join(row.countries),
        "number_limits": number_limits.written(number_limits.from_json(row.number_limits)),
    }
    common["quiet"] = row.quiet_from != row.quiet_until
    if not common["quiet"]:
        common |= {"quiet_from": NEW["quiet_from"], "quiet_until": NEW["quiet_until"]}
    form = channel_form(kind, channel_secrets.kept_secrets(row), **common, **values)
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            accounts.edit(channel_id, form.wanted(kind), guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The channel was saved."), "success")
            return see_other(url_for("channels.show", channel_id=channel_id))
    status = 422 if form.is_submitted() else 200
    return page("channels/form.html", status, kind=kind, form=form, problems=problems, preset=None, row=row)


@bp.get("/<int:channel_id>")
@needs(Right.SETUP_VIEW)
def show(channel_id: int) -> Response:
    row = accounts.row(channel_id)
    template = channel_tests.template_of(row, request.args.get("template", type=inputs.id_))
    return _show(row, test_form(template, formdata=None), template)


def _show(
    row: ChannelRow,
    form: TestForm,
    template: SmsTemplate | None,
    problems: list[str] | None = None,
    status: int = 200,
) -> Response:
    now = clock.now()
    connection = held_connections.standing(row, now) if registry.needs_holder(row) else None
    return page_or_piece(
        "channels/show.html",
        "channels/_pace.html",
        status,
        row=row,
        number_limits=number_limits.from_json(row.number_limits),
        kind=registry.kinds().get(row.kind),
        health=channel_health.health(row.id, clock.now()),
        codes=channel_health.unknown_codes(row.id),
        pace=channel_health.pace(row, clock.now()),
        unmatched=unmatched.lately(row.id, clock.now()),
        unmatched_counted=unmatched.MOST_COUNTED,
        late_hours=channel_health.LATE_HOURS,
        tells_balance=registry.tells_balance(row),
        needs_holder=registry.needs_holder(row),
        connection=connection,
        connection_check=held_connections.check(connection) if connection else None,
        words=words,
        syncs=template_sync.can(row),
        signatures=sms_templates.signatures(row.id),
        registration_subjects=registrations.signature_subjects(row, now),
        sync_words=template_words,
        confirming=opt_out_confirmations.choices(row.id),
        confirms=opt_out_confirmations.chosen(row.id),
        callback_url=accounts.callback_url(row) if guard.may(Right.CHANNELS_WRITE) else "",
        old_callback_until=row.old_callback_until if (row.old_callback_until or now) > now else None,
        needs_template=registry.needs_template(row),
        test_templates=sms_templates.choices(row.id),
        test_template=template,
        form=form,
        problems=problems or [],
        deletable=guard.may(Right.CHANNELS_WRITE) and accounts.may_be_deleted(row.id),
        may_change=guard.may(Right.CHANNELS_WRITE),
    )


@bp.get("/<int:channel_id>/calls")
@needs(Right.SETUP_VIEW)
def calls(channel_id: int) -> Response:
    """Show the latest calls, without their content."""
    return page(
        "channels/calls.html", row=accounts.row(channel_id), calls=channel_health.calls(channel_id), words=words
    )


@bp.post("/<int:channel_id>/balance")
@needs(Right.CHANNELS_TEST)
def balance(channel_id: int) -> Response:
    """Query the account's balance."""
    try:
        trial = channel_tests.ask_balance(channel_id, clock.now())
    except Refusal as refusal:
        _flash(refusal)
    else:
        if not trial.ok:
            flash(_result_sentence(trial), "danger")
    return see_other(url_for("channels.show", channel_id=channel_id))


@bp.post("/<int:channel_id>/confirmation")
@needs(Right.CHANNELS_WRITE)
def confirmation(channel_id: int) -> Response:
    """Choose the text that confirms opt-outs, or none."""
    try:
        opt_out_confirmations.choose(
            channel_id, request.form.get("template", type=inputs.id_), guard.actor(), clock.now()
        )
    except Refusal as refusal:
        _flash(refusal)
    else:
        flash(_("The channel was saved."), "success")
    return see_other(url_for("channels.show", channel_id=channel_id))


@bp.post("/<int:channel_id>/callback-address")
@needs(Right.CHANNELS_WRITE)
def rotate_callback(channel_id: int) -> Response:
    """Make another callback address; the old one stays valid for a while."""
    callback_addresses.rotate(channel_id, guard.actor(), clock.now())
    flash(_("The channel has a new callback address. Enter it in the provider's console."), "success")
    return see_other(url_for("channels.show", channel_id=channel_id))


@bp.post("/<int:channel_id>/check")
@needs(Right.CHANNELS_WRITE)
def check(channel_id: int) -> Response:
    """Test the account's credentials at the provider."""
    try:
        trial = channel_tests.test_credentials(channel_id, guard.actor(), clock.now())
    except Refusal as refusal:
        _flash(refusal)
    else:
        if trial.result is CallResult.UNTESTED:
            flash(_(trial.text), "warning")
        elif trial.ok:
            flash(_("The account answers.") + _provider_text(trial), "success")
        else:
            flash(_result_sentence(trial), "danger")
    return see_other(url_for("channels.show", channel_id=channel_id))


def _result_sentence(trial: TestResult) -> str:
    return told(trial.result, trial.outcome, trial.code, trial.provider_ref)


def _provider_text(trial: TestResult) -> str:
    return f" {_(trial.text)}" if trial.text else ""


@bp.post("/<int:channel_id>/test")
@needs(Right.CHANNELS_TEST)
def test(channel_id: int) -> Response:
    """Send one real message to one number."""
    row = accounts.row(channel_id)
    template = channel_tests.template_of(row, request.form.get("template", type=inputs.id_))
    if template is None and registry.needs_template(row):
        flash(sentence(Problem("test_template_missing")), "danger")
        return see_other(url_for("channels.show", channel_id=channel_id))
    form = test_form(template)
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            trial_text = form.wanted(template)
            trial = channel_tests.test_send(channel_id, form.number.data or "", trial_text, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_result_sentence(trial), "success" if trial.ok else "danger")
            return see_other(url_for("channels.show", channel_id=channel_id))
    return _show(row, form, template, problems, 422)


@bp.post("/<int:channel_id>/active")
@needs(Right.CHANNELS_WRITE)
def set_active(channel_id: int) -> Response:
    active = request.form.get("active") == "1"
    accounts.set_active(channel_id, active, guard.actor(), clock.now())
    flash(_("Campaigns may use this channel.") if active else _("The channel is switched off."), "success")
    return see_other(url_for("channels.show", channel_id=channel_id))


@bp.route("/<int:channel_id>/delete", methods=["GET", "POST"])
@needs(Right.CHANNELS_WRITE)
def delete(channel_id: int) -> Response:
    row = accounts.row(channel_id)
    if request.method == "GET":
        return page("channels/delete.html", row=row)
    try:
        accounts.delete(channel_id, guard.actor(), clock.now())
    except NotFound:
        raise
    except Refusal as refusal:
        _flash(refusal)
        return see_other(url_for("channels.show", channel_id=channel_id))
    flash(_("The channel was deleted."), "success")
    return see_other(url_for("channels.index"))


def _flash(refusal: Refusal) -> None:
    flash(" ".join(sentence(problem) for problem in refusal.problems), "danger")
