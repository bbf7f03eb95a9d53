"""Replies, and the opt-out list."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.refusal import Suspicion
from smsapp.domain.rights import Right
from smsapp.domain.scope import EVERYTHING, Scope
from smsapp.labels import sentence
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.channels import accounts
from smsapp.services.contacts import coverages, number_searches, opt_outs
from smsapp.services.platform import clock, keyset_page
from smsapp.services.receipts import replies, suspected_refusals, unattributed_replies
from smsapp.services.tables.limited import MOST_BYTES
from smsapp.web import guard, inputs
from smsapp.web.filters import number, sees_full_numbers
from smsapp.web.forms import put_problems
from smsapp.web.forms.replies import AddForm, AssignForm, ChangeForm, ConsentForm, DismissForm, NumbersForm
from smsapp.web.guard import needs, uploads
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("replies", __name__, url_prefix="/replies")

MENU = MenuLine(_l("Replies"), "replies.index", 50, "message-reply")
PAGE = 50

# A search may hold a phone number, so it is sent by POST and never stands in an address; so are its further pages.


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    """List replies, newest first."""
    return _replies(request.args.get("show") == "opt-outs", "", request.args.get("before", type=inputs.id_))


@bp.post("/")
@needs(Right.WORK_VIEW)
def search() -> Response:
    """List the replies of a number or with certain words."""
    _note_search()
    only_opt_outs = request.form.get("show") == "opt-outs"
    return _replies(only_opt_outs, request.form.get("q", "").strip(), request.form.get("before", type=inputs.id_))


@bp.get("/opt-outs")
@needs(Right.WORK_VIEW)
def listed() -> Response:
    """List the opted-out numbers, newest first."""
    return _opt_outs("", request.args.get("before", type=inputs.id_))


@bp.post("/opt-outs")
@needs(Right.WORK_VIEW)
def search_listed() -> Response:
    """Search the opt-out list by a whole number or its last digits."""
    _note_search()
    return _opt_outs(request.form.get("q", "").strip(), request.form.get("before", type=inputs.id_))


@bp.route("/opt-outs/add", methods=["GET", "POST"])
@needs(Right.REPLIES_DECIDE)
def add() -> Response:
    """Put a number on the list by hand."""
    form = AddForm(known=coverages.signatures())
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            phone, note = form.phone.data or "", form.note.data or ""
            new = opt_outs.add(phone, note, guard.actor(), clock.now(), form.coverage())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            if not new:
                flash(_("The number was on the list already."), "info")
            elif form.coverage() == EVERYTHING:
                flash(_("The number is on the list. Nobody writes to it any more."), "success")
            else:
                flash(_("The number is on the list. It gets none of the texts that it refuses."), "success")
            return see_other(url_for(".listed"))
    return page("replies/add.html", 422 if form.is_submitted() else 200, form=form, problems=problems)


@bp.route("/opt-outs/import", methods=["GET", "POST"])
@needs(Right.REPLIES_DECIDE)
@uploads
def bring() -> Response:
    """Put the numbers of a file on the list and say which rows were no numbers."""
    form = NumbersForm()
    problems: list[str] = []
    result = None
    if form.validate_on_submit():
        content = form.file.data.read(MOST_BYTES + 1)
        try:
            result = opt_outs.take_file(content, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            message = ngettext(
                "One number was added.", "%(n)s numbers were added.", result.added, n=number(result.added)
            )
            if not result.refused:
                flash(message, "success")
                return see_other(url_for(".listed"))
            flash(message, "warning")
    status = 422 if form.is_submitted() else 200
    return page("replies/import.html", status, form=form, problems=problems, done=result)


@bp.route("/opt-outs/<int:opt_out_id>/change", methods=["GET", "POST"])
@needs(Right.REPLIES_DECIDE)
def change(opt_out_id: int) -> Response:
    """Set what a number on the list refuses."""
    opt_out = opt_outs.get(opt_out_id)
    refused = opt_outs.of_row(opt_out)
    known = [*coverages.signatures(), *refused.signatures]
    form = ChangeForm(known=known, data={"scope": str(refused.scope), "signatures": list(refused.signatures)})
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            opt_outs.change(opt_out_id, form.coverage(), form.reason.data or "", guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("What the number refuses was changed."), "success")
            return see_other(url_for(".listed"))
    status = 422 if form.is_submitted() else 200
    return page("replies/scope.html", status, form=form, problems=problems, opt_out=opt_out)


@bp.route("/opt-outs/<int:opt_out_id>/remove", methods=["GET", "POST"])
@needs(Right.REPLIES_DECIDE)
def remove(opt_out_id: int) -> Response:
    """Take a number off the list because the person agreed again."""
    opt_out = opt_outs.get(opt_out_id)
    form = ConsentForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            opt_outs.remove(opt_out_id, form.reason.data or "", guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The number was taken off the list. Campaigns may write to it again."), "success")
            return see_other(url_for(".listed"))
    status = 422 if form.is_submitted() else 200
    return page("replies/remove.html", status, form=form, problems=problems, opt_out=opt_out)


@bp.get("/waiting")
@needs(Right.WORK_VIEW)
def waiting() -> Response:
    """List replies that wait for a person to say whose they are, newest first."""
    before = request.args.get("before", type=inputs.id_)
    replies_page = keyset_page.cut(unattributed_replies.find_page(before, PAGE + 1), PAGE, lambda row: row.id)
    return page_or_piece(
        "replies/waiting.html",
        "replies/_waiting.html",
        replies=replies_page.rows,
        may_decide=guard.may(Right.REPLIES_DECIDE),
        channel_names=_channel_names(),
        older=url_for(".waiting", before=replies_page.next) if replies_page.next else "",
        newer=url_for(".waiting") if before else "",
    )


@bp.route("/waiting/<int:reply_id>", methods=["GET", "POST"])
@needs(Right.REPLIES_DECIDE)
def assign(reply_id: int) -> Response:
    """Say whose number a reply came from; an opt-out then puts it on the list."""
    reply = unattributed_replies.get(reply_id)
    form = AssignForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            opted_out = unattributed_replies.assign(reply_id, form.phone.data or "", guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            if opted_out:
                flash(_("The number is on the list. Nobody writes to it any more."), "success")
            else:
                flash(_("The reply has its number."), "success")
            return see_other(url_for(".waiting"))
    status = 422 if form.is_submitted() else 200
    names = _channel_names()
    return page("replies/assign.html", status, form=form, problems=problems, reply=reply, channel_names=names)


@bp.route("/waiting/<int:reply_id>/dismiss", methods=["GET", "POST"])
@needs(Right.REPLIES_DECIDE)
def dismiss(reply_id: int) -> Response:
    """Dismiss a reply without a number, with a reason for the audit log."""
    reply = unattributed_replies.get(reply_id)
    form = DismissForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            unattributed_replies.dismiss(reply_id, form.reason.data or "", guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The reply was dismissed."), "success")
            return see_other(url_for(".waiting"))
    status = 422 if form.is_submitted() else 200
    return page("replies/dismiss.html", status, form=form, problems=problems, reply=reply)


@bp.get("/suspected")
@needs(Right.WORK_VIEW)
def suspected() -> Response:
    """List replies that look like refusals, newest first: those that wait for a decision, or the decided ones."""
    decided = request.args.get("show") == "decided"
    before = request.args.get("before", type=inputs.id_)
    rows = suspected_refusals.find_page(decided=decided, before=before, limit=PAGE + 1)
    replies_page = keyset_page.cut(rows, PAGE, lambda row: row.id)
    show = "decided" if decided else None
    return page_or_piece(
        "replies/suspected.html",
        "replies/_suspected.html",
        replies=replies_page.rows,
        decided=decided,
        may_decide=guard.may(Right.REPLIES_DECIDE),
        campaign_names=replies.campaign_names(reply.campaign_id for reply in rows),
        older=url_for(".suspected", show=show, before=replies_page.next) if replies_page.next else "",
        newer=url_for(".suspected", show=show) if before else "",
    )


@bp.post("/suspected")
@needs(Right.REPLIES_DECIDE)
def decide() -> Response:
    """Decide about the replies that were ticked."""
    ids = set(request.form.getlist("id", type=inputs.id_))
    verdict = request.form.get("do", "")
    scope = Scope(verdict) if verdict in set(Scope) else None
    if not ids:
        flash(_("Choose at least one reply."), "warning")
    elif scope or verdict == Suspicion.HARMLESS:
        n = suspected_refusals.decide(ids, scope, guard.actor(), clock.now())
        text = ngettext("One reply was decided.", "%(n)s replies were decided.", n, n=number(n))
        flash(text if n else _("Somebody else has decided about these replies already."), "success" if n else "info")
    return see_other(url_for(".suspected"))


@bp.post("/suspected/<int:reply_id>/undo")
@needs(Right.REPLIES_DECIDE)
def undo(reply_id: int) -> Response:
    """Take a decision back."""
    try:
        suspected_refusals.undo(reply_id, guard.actor(), clock.now())
    except NotFound:
        raise
    except Refusal as refusal:
        flash(" ".join(sentence(problem) for problem in refusal.problems), "danger")
    else:
        flash(_("The decision was taken back. The reply waits again."), "success")
    return see_other(url_for(".suspected", show="decided"))


def _note_search() -> None:
    if not sees_full_numbers() and "before" not in request.form:
        number_searches.note_search(request.form.get("q", ""), guard.actor(), clock.now())


def _replies(only_opt_outs: bool, words: str, before: int | None) -> Response:
    rows = replies.find_page(
        opt_out=True if only_opt_outs else None,
        words=words,
        before=before,
        limit=PAGE + 1,
        sees_full_numbers=sees_full_numbers(),
    )
    replies_page = keyset_page.cut(rows, PAGE, lambda row: row.id)
    show = "opt-outs" if only_opt_outs else None
    return page_or_piece(
        "replies/index.html",
        "replies/_list.html",
        replies=replies_page.rows,
        waiting=unattributed_replies.count(),
        suspected=suspected_refusals.count(),
        campaign_names=replies.campaign_names(reply.campaign_id for reply in rows),
        channel_names=_channel_names(),
        show=show,
        words=words,
        sees_full_numbers=sees_full_numbers(),
        last=replies_page.next,
        older=url_for(".index", show=show, before=replies_page.next) if replies_page.next else "",
        newer=url_for(".index", show=show) if before else "",
    )


def _opt_outs(digits: str, before: int | None) -> Response:
    rows = opt_outs.find_page(digits=digits, before=before, limit=PAGE + 1, sees_full_numbers=sees_full_numbers())
    opt_out_page = keyset_page.cut(rows, PAGE, lambda row: row.id)
    return page_or_piece(
        "replies/opt_outs.html",
        "replies/_opt_outs.html",
        opt_outs=opt_out_page.rows,
        campaign_names=replies.campaign_names(row.campaign_id for row in rows),
        channel_names=_channel_names(),
        words=digits,
        sees_full_numbers=sees_full_numbers(),
        last=opt_out_page.next,
        older=url_for(".listed", before=opt_out_page.next) if opt_out_page.next else "",
        newer=url_for(".listed") if before else "",
    )


def _channel_names() -> dict[int, str]:
    return accounts.names()
