"""SMS templates: the list, entry with a live preview, audit by hand, and import of files."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from smsapp.domain.bounds import LONGEST_DECLARED, Bound
from smsapp.domain.errors import Refusal
from smsapp.domain.roles import Role
from smsapp.domain.sms_template import (
    SAID,
    UNSUBSCRIBE,
    Audit,
    Entry,
    Purpose,
    entry,
    entry_problems,
    full_text,
    measure,
    pieces,
    variables,
)
from smsapp.domain.template_file import COLUMNS, Fate
from smsapp.labels import label, sentence
from smsapp.labels import sms_templates as words
from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.services.tables.limited import MOST_BYTES
from smsapp.services.templates import sms_templates, template_imports, template_sync
from smsapp.services.templates.template_sync import SyncResult
from smsapp.web import guard, inputs, refill
from smsapp.web.forms import put_problems
from smsapp.web.forms.sms_templates import DecisionForm, ImportForm, NewTemplateForm, TemplateForm
from smsapp.web.guard import needs, uploads
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("sms_templates", __name__, url_prefix="/templates")

MENU = MenuLine(_l("SMS templates"), "sms_templates.index", 40, "template")
PAGE = 50
TOLD = 6
"""Most changes of a sync that are listed one by one."""


@bp.get("/")
def index() -> Response:
    """List templates by channel, audit state and words."""
    channel_id = request.args.get("channel", type=inputs.id_)
    audit = next((audit for audit in Audit if audit == request.args.get("audit")), None)
    search = request.args.get("q", "").strip()
    before = request.args.get("before", type=inputs.id_)
    now = clock.now()
    only_stale = request.args.get("unchecked") == "1"
    unchecked = sms_templates.unchecked_before(now) if only_stale else None
    rows = sms_templates.find_page(channel_id, audit, search, before, PAGE + 1, unchecked)
    filters: dict[str, Any] = {"channel": channel_id, "q": search or None, "unchecked": "1" if only_stale else None}
    counts = sms_templates.counts(channel_id, search)
    tabs = [(_("All"), url_for(".index", **filters), audit is None, sum(counts.values()))]
    tabs += [
        (label(state), url_for(".index", audit=state, **filters), audit is state, counts[state]) for state in Audit
    ]
    return page_or_piece(
        "sms_templates/index.html",
        "sms_templates/_list.html",
        templates=rows[:PAGE],
        channel_names=_channel_names(),
        channel_id=channel_id,
        audit_state=audit,
        words=search,
        tabs=tabs,
        older=url_for(".index", audit=audit, before=rows[PAGE - 1].id, **filters) if len(rows) > PAGE else "",
        newer=url_for(".index", audit=audit, **filters) if before else "",
        stale=sms_templates.stale(now, channel_id),
        check_days=sms_templates.check_days(),
        only_stale=only_stale,
        days={row.id: sms_templates.unchecked_days(row, now) for row in rows},
        able=[row for row in template_sync.able() if channel_id in (None, row.id)],
        sync_words=words,
    )


@bp.post("/sync")
@needs(Role.OPERATOR)
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
        _tell(result)
    if request.form.get("back") == "channel" and channel_id is not None:
        return see_other(url_for("channels.show", channel_id=channel_id))
    return see_other(url_for(".index", channel=channel_id))


def _tell(result: SyncResult) -> None:
    if not result.ok:
        why = words.sync_trouble(result.trial.result, result.trial.outcome or "", result.trial.code)
        flash(_("%(channel)s: %(why)s The templates stay as they were.", channel=result.channel, why=why), "danger")
        return
    summary = words.changes_told(result.counts)
    flash(_("%(channel)s was compared: %(told)s", channel=result.channel, told=summary), "success")
    for change in result.changes[:TOLD]:
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


@bp.route("/new", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def new() -> Response:
    """Type in a template; the button "Check" only shows what it would look like and cost."""
    form = NewTemplateForm(channel=request.args.get("channel", type=inputs.id_))
    form.channel.choices = list(_channel_names().items())
    template_entry = form.entry()
    problems: list[str] = []
    if form.validate_on_submit() and "check" not in request.form:
        try:
            template = sms_templates.create(
                form.channel.data, template_entry, Audit(form.audit.data), guard.actor(), clock.now()
            )
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The template was saved."), "success")
            return see_other(url_for(".show", template_id=template.id))
    status = 422 if form.is_submitted() and "check" not in request.form else 200
    return page(
        "sms_templates/new.html", status, form=form, problems=problems, **_preview(template_entry, form.channel.data)
    )


@bp.route("/<int:template_id>/edit", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def edit(template_id: int) -> Response:
    """Change a template; a changed text must be approved again."""
    template = sms_templates.get(template_id)
    form = TemplateForm(obj=template)
    if request.method == "GET" and not refill.is_refill():
        form.seen.data = sms_templates.seen(template)
    template_entry = form.entry()
    problems: list[str] = []
    if form.validate_on_submit() and "check" not in request.form:
        try:
            reworded = sms_templates.edit(template_id, template_entry, form.seen.data or "", guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            if reworded:
                flash(_("The template was saved. Its words are new, so it waits for approval."), "warning")
            else:
                flash(_("The template was saved."), "success")
            return see_other(url_for(".show", template_id=template_id))
    status = 422 if form.is_submitted() and "check" not in request.form else 200
    return page(
        "sms_templates/edit.html",
        status,
        form=form,
        problems=problems,
        sms_template=template,
        **_preview(template_entry, template.channel_id),
    )


@bp.post("/preview")
@needs(Role.OPERATOR)
def preview() -> Response:
    """Return the live preview: handset, length, parts, variables, problems."""
    channel_id = request.form.get("channel", type=inputs.id_)
    return page("sms_templates/_preview.html", **_preview(TemplateForm().entry(), channel_id))


@bp.get("/<int:template_id>")
def show(template_id: int) -> Response:
    return _show(template_id)


@bp.post("/<int:template_id>/approve")
def approve(template_id: int) -> Response:
    """Record a person's statement that the provider approved exactly this text."""
    try:
        sms_templates.approve(template_id, request.form.get("seen", ""), guard.actor(), clock.now())
    except Refusal as refusal:
        return _show(template_id, [sentence(problem) for problem in refusal.problems])
    if request.form.get("back") == "list":
        flash(_("It counts as compared with the provider today."), "success")
        return see_other(url_for(".index", channel=sms_templates.get(template_id).channel_id))
    flash(_("The template is approved. Campaigns can choose it."), "success")
    return see_other(url_for(".show", template_id=template_id))


@bp.post("/<int:template_id>/variables")
@needs(Role.OPERATOR)
def declare(template_id: int) -> Response:
    """Store what may fill the template's variables."""
    bounds = {
        name: Bound(
            request.form.get(f"longest-{name}", 0, type=inputs.id_),
            **{kind: f"{kind}-{name}" in request.form for kind in ("links", "contacts", "lines")},
        )
        for name in variables(sms_templates.get(template_id).text)
    }
    try:
        sms_templates.declare(template_id, bounds, request.form.get("seen", ""), guard.actor(), clock.now())
    except Refusal as refusal:
        return _show(template_id, [sentence(problem) for problem in refusal.problems], bounds=bounds)
    flash(_("The template was saved."), "success")
    return see_other(url_for(".show", template_id=template_id))


@bp.post("/<int:template_id>/purpose")
@needs(Role.OPERATOR)
def say_purpose(template_id: int) -> Response:
    """Record the purpose of a text whose provider does not report it."""
    purpose = next((purpose for purpose in Purpose if purpose == request.form.get("purpose")), Purpose.UNSAID)
    try:
        sms_templates.say_purpose(template_id, purpose, request.form.get("seen", ""), guard.actor(), clock.now())
    except Refusal as refusal:
        return _show(template_id, [sentence(problem) for problem in refusal.problems])
    flash(_("The template was saved."), "success")
    return see_other(url_for(".show", template_id=template_id))


@bp.post("/<int:template_id>/refuse")
def refuse(template_id: int) -> Response:
    """Mark the template as refused, with the provider's reason; campaigns cannot choose it."""
    form = DecisionForm()
    try:
        sms_templates.refuse(template_id, form.reason.data or "", form.seen.data or "", guard.actor(), clock.now())
    except Refusal as refusal:
        return _show(template_id, put_problems(form, refusal), form)
    flash(_("The template is refused. Campaigns cannot choose it."), "success")
    return see_other(url_for(".show", template_id=template_id))


@bp.route("/<int:template_id>/delete", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def delete(template_id: int) -> Response:
    """Ask, then delete."""
    template = sms_templates.get(template_id)
    channel_id = template.channel_id
    problems: list[str] = []
    if request.method == "POST":
        try:
            sms_templates.delete(template_id, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = [sentence(problem) for problem in refusal.problems]
        else:
            flash(_("The template was deleted."), "success")
            return see_other(url_for(".index", channel=channel_id))
    return page("sms_templates/delete.html", 422 if problems else 200, sms_template=template, problems=problems)


@bp.route("/import", methods=["GET", "POST"])
@needs(Role.OPERATOR)
@uploads
def bring() -> Response:
    """Take a file of templates and redirect to a preview of its changes."""
    form = ImportForm(channel=request.args.get("channel", type=inputs.id_))
    form.channel.choices = list(_channel_names().items())
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
@needs(Role.OPERATOR)
def try_import(channel_id: int, token: str) -> Response:
    """Show row by row what the file would do; nothing is changed yet."""
    content = template_imports.stashed(token)
    result = template_imports.take_file(channel_id, token, content, guard.actor(), clock.now(), dry_run=True)
    return page(
        "sms_templates/try_import.html",
        taken=result,
        fate_colours=words.FATE_COLOURS,
        token=token,
        channel_id=channel_id,
        channel_name=_channel_names()[channel_id],
        counts=result.counts,
        useful=result.counts[Fate.ADDED] + result.counts[Fate.CHANGED],
        Fate=Fate,
    )


@bp.post("/import/<int:channel_id>/<token>")
@needs(Role.OPERATOR)
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


def _show(
    template_id: int,
    problems: list[str] | None = None,
    form: DecisionForm | None = None,
    bounds: dict[str, Bound] | None = None,
) -> Response:
    template = sms_templates.get(template_id)
    template_entry = entry(
        code=template.code,
        name=template.name,
        text=template.text,
        signature=template.signature,
        purpose=Purpose(template.purpose),
    )
    return page(
        "sms_templates/show.html",
        200 if problems is None else 422,
        sms_template=template,
        channel_name=_channel_names()[template.channel_id],
        form=form or DecisionForm(formdata=None),
        seen=sms_templates.seen(template),
        problems=problems or [],
        users=sms_templates.users(template_id),
        kinds=SAID,
        bounds=bounds or sms_templates.bounds(template),
        most=LONGEST_DECLARED,
        days=sms_templates.unchecked_days(template, clock.now()),
        signature_problem=sms_templates.signature_problem(template.channel_id, template.signature),
        syncs=template_sync.can(accounts.row(template.channel_id)),
        **_preview(template_entry),
    )


def _preview(template_entry: Entry, channel_id: int | None = None) -> dict[str, Any]:
    """Return the preview of an entry; with a channel, also problems of its signature there."""
    problems = [*entry_problems(template_entry)] if template_entry.text else []
    if (
        template_entry.text
        and channel_id is not None
        and (signature_problem := sms_templates.signature_problem(channel_id, template_entry.signature))
    ):
        problems.append(signature_problem)
    return {
        "pieces": pieces(full_text(template_entry.signature, template_entry.text)),
        "measure": measure(template_entry.signature, template_entry.text),
        "variables": variables(template_entry.text),
        "found": [problem for problem in problems if problem.place in {"text", "signature"}],
        "unsubscribe": UNSUBSCRIBE,
    }


def _channel_names() -> dict[int, str]:
    return {row.id: row.name for row in accounts.everything()}
