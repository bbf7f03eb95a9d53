"""SMS templates: the list, entry with a live preview, and audit by hand."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.billed_parts import measure
from smsapp.domain.bounds import LONGEST_DECLARED, Bound
from smsapp.domain.contact_details import link_variables
from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.domain.sms_template import KNOWN_PURPOSES, Audit, Entry, Purpose, entry, full_text, pieces, variables
from smsapp.domain.tags import Item
from smsapp.domain.template_problems import UNSUBSCRIBE, entry_problems
from smsapp.labels import label, sentence
from smsapp.labels import sms_templates as words
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.channels import accounts
from smsapp.services.platform import clock, keyset_page
from smsapp.services.platform import tags as item_tags
from smsapp.services.templates import registrations, sms_templates, template_sync
from smsapp.web import guard, inputs, refill
from smsapp.web.forms import options, put_problems
from smsapp.web.forms.sms_templates import DecisionForm, NewTemplateForm, TemplateForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other
from smsapp.web.tags import check_tags, fill_tags, store_tags

bp = Blueprint("sms_templates", __name__, url_prefix="/templates")

MENU = MenuLine(_l("SMS templates"), "sms_templates.index", 40, "template")
PAGE = 50


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    """List templates by channel, audit state and words."""
    channel_id = request.args.get("channel", type=inputs.id_)
    audit = next((audit for audit in Audit if audit == request.args.get("audit")), None)
    search = request.args.get("q", "").strip()
    before = request.args.get("before", type=inputs.id_)
    now = clock.now()
    only_stale = request.args.get("unchecked") == "1"
    unchecked = sms_templates.unchecked_before(now) if only_stale else None
    tag, archived = request.args.get("tag", "").strip(), request.args.get("archived") == "1"
    rows = sms_templates.find_page(channel_id, audit, search, before, PAGE + 1, unchecked, tag, archived=archived)
    templates = keyset_page.cut(rows, PAGE, lambda row: row.id)
    filters: dict[str, Any] = {"channel": channel_id, "q": search or None, "unchecked": "1" if only_stale else None}
    filters |= {"tag": tag or None, "archived": "1" if archived else None}
    counts = sms_templates.counts(channel_id, search, tag, archived=archived)
    tabs = [(_("All"), url_for(".index", **filters), audit is None, sum(counts.values()))]
    tabs += [
        (label(state), url_for(".index", audit=state, **filters), audit is state, counts[state]) for state in Audit
    ]
    return page_or_piece(
        "sms_templates/index.html",
        "sms_templates/_list.html",
        templates=templates.rows,
        channel_names=channel_names(),
        channel_id=channel_id,
        audit_state=audit,
        words=search,
        tabs=tabs,
        older=url_for(".index", audit=audit, before=templates.next, **filters) if templates.next else "",
        newer=url_for(".index", audit=audit, **filters) if before else "",
        stale=sms_templates.stale(now, channel_id),
        may_write=guard.may(Right.TEMPLATES_WRITE),
        may_approve=guard.may(Right.TEMPLATES_APPROVE),
        check_days=sms_templates.check_days(),
        only_stale=only_stale,
        tag=tag,
        archived=archived,
        tags=item_tags.of_each(Item.TEMPLATE, [row.id for row in templates.rows]),
        days={row.id: sms_templates.unchecked_days(row, now) for row in rows},
        able=[row for row in template_sync.able() if channel_id in (None, row.id)],
        sync_words=words,
    )


@bp.route("/new", methods=["GET", "POST"])
@needs(Right.TEMPLATES_WRITE)
def new() -> Response:
    """Type in a template; the button "Check" only shows what it would look like and cost."""
    form = NewTemplateForm(channel=request.args.get("channel", type=inputs.id_))
    form.channel.choices = options(channel_names().items())
    if not guard.may(Right.TEMPLATES_APPROVE):
        form.audit.choices = form.audit.choices[:1]
    template_entry = form.entry()
    problems: list[str] = []
    if form.validate_on_submit() and "check" not in request.form:
        try:
            check_tags(form)
            template = sms_templates.create(
                form.channel.data, template_entry, Audit(form.audit.data), guard.actor(), clock.now()
            )
            store_tags(form, Item.TEMPLATE, template.id)
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
@needs(Right.TEMPLATES_WRITE)
def edit(template_id: int) -> Response:
    """Change a template; a changed text must be approved again."""
    template = sms_templates.get(template_id)
    form = TemplateForm(obj=template)
    fill_tags(form, Item.TEMPLATE, template_id)
    if request.method == "GET" and not refill.is_refill():
        form.seen.data = sms_templates.seen(template)
    template_entry = form.entry()
    problems: list[str] = []
    if form.validate_on_submit() and "check" not in request.form:
        try:
            check_tags(form)
            reworded = sms_templates.edit(template_id, template_entry, form.seen.data or "", guard.actor(), clock.now())
            store_tags(form, Item.TEMPLATE, template_id)
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
@needs(Right.TEMPLATES_WRITE)
def preview() -> Response:
    """Return the live preview: handset, length, parts, variables, problems."""
    channel_id = request.form.get("channel", type=inputs.id_)
    return page("sms_templates/_preview.html", **_preview(TemplateForm().entry(), channel_id))


@bp.get("/<int:template_id>")
@needs(Right.WORK_VIEW)
def show(template_id: int) -> Response:
    return _show(template_id)


@bp.post("/<int:template_id>/approve")
@needs(Right.TEMPLATES_APPROVE)
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
@needs(Right.TEMPLATES_WRITE)
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
@needs(Right.TEMPLATES_WRITE)
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
@needs(Right.TEMPLATES_APPROVE)
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
@needs(Right.TEMPLATES_WRITE)
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
        channel_name=channel_names()[template.channel_id],
        form=form or DecisionForm(formdata=None),
        seen=sms_templates.seen(template),
        problems=problems or [],
        users=sms_templates.users(template_id),
        kinds=KNOWN_PURPOSES,
        bounds=bounds or sms_templates.bounds(template),
        most=LONGEST_DECLARED,
        days=sms_templates.unchecked_days(template, clock.now()),
        signature_problem=sms_templates.signature_problem(template.channel_id, template.signature),
        subjects=registrations.of_shown_template(template, clock.now()),
        text_problems=registrations.text_problems(template),
        link_variables=link_variables(template.text, template.allowed),
        syncs=template_sync.can(accounts.row(template.channel_id)),
        may_write=guard.may(Right.TEMPLATES_WRITE),
        may_approve=guard.may(Right.TEMPLATES_APPROVE),
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
    if template_entry.text:
        problems += registrations.entry_contact_problems(template_entry.text, channel_id)
    return {
        "pieces": pieces(full_text(template_entry.signature, template_entry.text)),
        "measure": measure(template_entry.signature, template_entry.text),
        "variables": variables(template_entry.text),
        "found": [problem for problem in problems if problem.place in {"text", "signature"}],
        "unsubscribe": UNSUBSCRIBE,
    }


def channel_names() -> dict[int, str]:
    """Return the names of all channels by id."""
    return accounts.names()
