"""The pages of campaigns: the list, the draft's form, the review, and what a person does to one of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import get_timezone, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from smsapp.domain.campaign import Action, Sort, Status, Tab, may
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.roles import Role
from smsapp.domain.sms_template import variables
from smsapp.labels import campaigns as words
from smsapp.labels import label, sentence
from smsapp.labels.dates import written
from smsapp.services import health
from smsapp.services.campaigns import campaign_list, campaigns
from smsapp.services.campaigns import campaign_review as reviews
from smsapp.services.campaigns import variables as choosing
from smsapp.services.campaigns.campaign_list import Line, Wanted
from smsapp.services.campaigns.campaign_review import DraftPreview
from smsapp.services.campaigns.campaigns import Draft, EditConflict
from smsapp.services.channels import accounts
from smsapp.services.contacts import contacts, segments
from smsapp.services.platform import clock, setup
from smsapp.services.receipts import unconfirmed
from smsapp.services.templates import sms_templates as templates
from smsapp.web import guard, inputs, refill
from smsapp.web.forms.campaigns import COMMON_ZONES, CampaignForm, offer, put_draft_problems, read_mapping
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

if TYPE_CHECKING:
    from smsapp.store.campaigns.campaigns import Campaign

bp = Blueprint("campaigns", __name__, url_prefix="/campaigns")
bp.add_app_template_filter(words.in_words, "in_words")
bp.add_app_template_filter(words.loss, "loss")
MENU = MenuLine(_l("Campaigns"), "campaigns.index", 10, "send")

PARTS = ("audience", "text", "preview", "timing")
"""The parts of the form that htmx redraws while a person fills it in."""
CHOSEN = ("segment", "channel", "template", "second_channel", "second_template")
FILTERS = ("tab", "status", "q", "from", "to", "channel", "sort")


@bp.get("/")
def index() -> Response:
    now = clock.now()
    filters = _wanted()
    listing = campaign_list.listing(filters, now, after=_number("after"), before=_number("before"))
    query = {name: value for name in FILTERS if (value := request.args.get(name, "").strip())}

    def address(**changes: Any) -> str:
        """Return the address of the list with these filters changed; another filter begins at the first page."""
        return url_for("campaigns.index", **{name: value for name, value in (query | changes).items() if value})

    return page_or_piece(
        "campaigns/index.html",
        "campaigns/_list.html",
        found=listing,
        wanted=filters,
        kept=query,
        address=address,
        here=request.full_path.removesuffix("?"),
        narrowed=bool(query.keys() - {"tab", "sort"}) or filters.tab is not Tab.ALL,
        channels=accounts.everything(),
        now=now,
        tabs=[
            (
                label(tab),
                address(tab="" if tab is Tab.ALL else tab),
                tab is filters.tab,
                listing.status_count(None, tab),
            )
            for tab in Tab
        ],
        chips=[
            (status, address(status=status or ""), status is filters.status, listing.status_count(status, filters.tab))
            for status in (None, *Status)
        ],
        all_waiting=url_for("campaigns.index", status=Status.WAITING, sort=Sort.DUE),
        sorts=Sort,
        may_write=guard.may(Role.OPERATOR),
        may_administer=guard.may(Role.ADMINISTRATOR),
        setup=setup.setup() if not listing.lines else None,
        default_zone=campaigns.blank().schedule.zone,
        unconfirmed=unconfirmed.total(),
    )


def _wanted() -> Wanted:
    """Return the filters of the query; an unreadable value is ignored."""
    args = request.args
    return Wanted(
        tab=Tab(args["tab"]) if args.get("tab") in set(Tab) else Tab.ALL,
        status=Status(args["status"]) if args.get("status") in set(Status) else None,
        keyword=args.get("q", "").strip(),
        since=_midnight(args.get("from", "")),
        until=_midnight(args.get("to", ""), days=1),
        channel_id=_number("channel") or None,
        sort=Sort(args["sort"]) if args.get("sort") in set(Sort) else Sort.NEWEST,
    )


def _number(name: str) -> int:
    return request.args.get(name, 0, type=inputs.id_)


def _midnight(raw: str, days: int = 0) -> dt.datetime | None:
    """Return midnight of a date (plus days) in the reader's zone, as UTC; None if it cannot be read."""
    try:
        date = dt.date.fromisoformat(raw) + dt.timedelta(days=days)
        return dt.datetime.combine(date, dt.time(), ZoneInfo(str(get_timezone()))).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


# -- the draft's form -------------------------------------------------------------------------------------------------


@bp.route("/new", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def new() -> Response:
    return _form(None, campaigns.blank(), 0)


@bp.route("/<int:campaign_id>/edit", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def edit(campaign_id: int) -> Response:
    campaign = campaigns.get(campaign_id)
    if not may(Action.EDIT, Status(campaign.status)):
        flash(_too_late(Conflict(status=campaign.status)), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    return _form(campaign_id, campaigns.draft_of(campaign), campaign.version)


def _form(campaign_id: int | None, stored: Draft, version: int) -> Response:
    """Show the form, redraw a part of it, or store what was typed; `do` says which."""
    form = CampaignForm()
    if request.method == "GET" and not refill.is_refill():
        form.show(stored, version)
        _offer(form, stored, stored)
        problems = campaigns.problems(stored, clock.now()) if "check" in request.args else ()
        return _drawn(form, campaign_id, stored, problems)
    draft = _typed(form, stored)
    _offer(form, draft, stored)
    if request.method == "GET" or request.form.get("do") not in {"save", "review"}:
        return _drawn(form, campaign_id, draft)
    return _stored(form, campaign_id, draft) if form.validate() else _drawn(form, campaign_id, draft, status=422)


def _stored(form: CampaignForm, campaign_id: int | None, draft: Draft) -> Response:
    try:
        if campaign_id is None:
            campaign_id = campaigns.create_draft(draft, guard.actor(), clock.now())
        else:
            campaigns.save_draft(campaign_id, form.version.data or 0, draft, guard.actor(), clock.now())
    except EditConflict as overtaken:
        form.version.data, form.version.raw_data = overtaken.version, None
        return _drawn(form, campaign_id, draft, status=409, saved=overtaken.saved)
    except Conflict as outrun:
        flash(_too_late(outrun), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    except Refusal as refusal:
        return _drawn(form, campaign_id, draft, refusal.problems, status=422)
    if request.form["do"] == "save":
        flash(_("The draft was saved."), "success")
        return see_other(url_for("campaigns.edit", campaign_id=campaign_id))
    if campaigns.problems(draft, clock.now()):
        return see_other(url_for("campaigns.edit", campaign_id=campaign_id, check=1))
    return see_other(url_for("campaigns.review", campaign_id=campaign_id))


def _typed(form: CampaignForm, stored: Draft) -> Draft:
    """Return the draft as typed; the mapping is read for the variables of the chosen template."""
    template = templates.get(form.template.data) if form.template.data else None
    if template is not None and template.channel_id != form.channel.data:
        template = form.template.data = None
    if form.second_channel.data and not _is_of(form.second_template.data, form.second_channel.data):
        form.second_template.data = campaigns.counterpart(form.template.data, form.second_channel.data)
    names = variables(template.text) if template else ()
    mapping = stored.mapping if form.template.data == stored.template_id else {}
    segment_id = form.segment.data

    def likely(name: str) -> str | None:
        return choosing.likely(name, segment_id, clock.now())

    return form.draft(read_mapping(request.form, names, mapping, _properties(), likely))


def _is_of(template_id: int | None, channel_id: int) -> bool:
    return template_id is not None and templates.get(template_id).channel_id == channel_id


def _offer(form: CampaignForm, draft: Draft, stored: Draft) -> None:
    approved = templates.choices(draft.channel_id) if draft.channel_id else []
    counterparts = templates.choices(draft.second_channel_id) if draft.second_channel_id else []
    offer(form, segments.choices(), accounts.choices(), approved, counterparts, stored)


def _properties() -> list[str]:
    return [row.name for row in contacts.catalogue()]


def _drawn(
    form: CampaignForm,
    campaign_id: int | None,
    draft: Draft,
    problems: Sequence[Problem] = (),
    *,
    status: int = 200,
    saved: Draft | None = None,
) -> Response:
    """Return the form filled with this draft, or the part of it that htmx asks for."""
    now = clock.now()
    person = request.form.get("person", "")
    look = DraftPreview(draft, now, int(person) if person.isascii() and person.isdigit() and len(person) < 19 else 0)
    coverage = look.coverage if look.variables else None
    part = request.form.get("part", "")
    missing = put_draft_problems(form, problems)
    return page_or_piece(
        "campaigns/form.html",
        f"campaigns/_{part}.html" if part in PARTS else "campaigns/form.html",
        status,
        form=form,
        campaign_id=campaign_id,
        draft=draft,
        checked=bool(problems) and status == 200,
        missing=missing,
        unmapped=[(f"variable-{name}", sentence) for name, sentence in missing.items()],
        saved=saved,
        differing=draft.differences(saved) if saved else (),
        words=words,
        zones=COMMON_ZONES,
        coverage=coverage,
        properties=choosing.choices(coverage),
        purposeless=templates.purposeless(draft.channel_id) if draft.channel_id else [],
        named={f"{name}_id": dict(form[name].choices) for name in CHOSEN},
        looked=look,
        may_administer=guard.may(Role.ADMINISTRATOR),
    )


# -- review and confirmation ------------------------------------------------------------------------------------------


@bp.get("/<int:campaign_id>")
def show(campaign_id: int) -> Response:
    """Show what was confirmed; of a draft its form, of a waiting campaign whom it would reach now."""
    status = Status(campaigns.get(campaign_id).status)
    if may(Action.EDIT, status) and guard.may(Role.OPERATOR):
        return see_other(url_for("campaigns.edit", campaign_id=campaign_id))
    if status in (Status.DRAFT, Status.WAITING):
        return _reviewed(campaign_id, confirming=False)
    return page(
        "campaigns/confirmed.html",
        review=reviews.review(campaign_id, 0, clock.now()),
        line=campaign_list.lines([campaign_id])[0],
        properties={choice.name: choice.shown for choice in choosing.choices(None)},
        may_write=guard.may(Role.OPERATOR),
    )


@bp.get("/<int:campaign_id>/review")
@needs(Role.OPERATOR)
def review(campaign_id: int) -> Response:
    campaign = campaigns.get(campaign_id)
    if not may(Action.EDIT, Status(campaign.status)):
        flash(_too_late(Conflict(status=campaign.status)), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    return _reviewed(campaign_id, confirming=True)


def _reviewed(campaign_id: int, *, confirming: bool) -> Response:
    now = clock.now()
    review = reviews.review(campaign_id, _number("person"), now)
    return page_or_piece(
        "campaigns/review.html",
        "campaigns/_letter.html",
        review=review,
        line=campaign_list.lines([campaign_id])[0],
        preview=review.preview,
        seen=campaigns.seen(review.template, review.second_template) if review.template else "",
        properties={choice.name: choice.shown for choice in choosing.choices(None)},
        confirming=confirming,
        may_write=guard.may(Role.OPERATOR),
        words=words,
        now=now,
        here=url_for(request.endpoint or "", campaign_id=campaign_id),
    )


@bp.post("/<int:campaign_id>/review")
@needs(Role.OPERATOR)
def confirm(campaign_id: int) -> Response:
    version, seen = request.form.get("version", 0, type=inputs.id_), request.form.get("seen", "")
    try:
        status = campaigns.confirm(campaign_id, version, seen, guard.actor(), clock.now())
    except Conflict as outrun:
        flash(_too_late(outrun), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    except Refusal as refusal:
        for problem in refusal.problems:
            flash(sentence(problem), "danger")
        flash(_("Nothing was sent. Please look at it again and confirm."), "warning")
        return see_other(url_for("campaigns.review", campaign_id=campaign_id))
    takes_work = health.listeners().takes_writes
    message = confirmed_sentence(campaigns.get(campaign_id), status, clock.now(), queue_takes_work=takes_work)
    flash(message, "success" if takes_work else "warning")
    if status is Status.SENDING:
        return see_other(url_for("reports.effect", campaign_id=campaign_id))
    return see_other(url_for("campaigns.index"))


def confirmed_sentence(campaign: Campaign, status: Status, now: dt.datetime, *, queue_takes_work: bool) -> str:
    """Return what happens to a campaign that was just confirmed, and when."""
    if not queue_takes_work:
        text = _("“%(name)s” is confirmed; sending begins as soon as the queue works again.", name=campaign.name)
        if status is Status.SENDING:
            return str(text)
        warning = _("The queue does not work just now; if that lasts, sending begins once it works again.")
        return confirmed_sentence(campaign, status, now, queue_takes_work=True) + " " + str(warning)
    begins = reviews.begins(campaign, now)
    facts = {"name": campaign.name, "moment": written(begins.astimezone(ZoneInfo(campaign.zone)), seconds=None)}
    if begins > (campaign.next_due_at or now):
        return str(_("“%(name)s” is confirmed; it begins on %(moment)s, when the quiet hours are over.", **facts))
    if status is Status.SENDING:
        return str(_("“%(name)s”: sending has begun.", name=campaign.name))
    return str(_("“%(name)s” is confirmed; it will be sent on %(moment)s.", **facts))


# -- what the rows of the list offer ----------------------------------------------------------------------------------


@bp.route("/<int:campaign_id>/stop", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def stop(campaign_id: int) -> Response:
    campaign = campaigns.get(campaign_id)
    if request.method == "POST":
        try:
            campaigns.stop(campaign_id, guard.actor(), clock.now())
        except Conflict as outrun:
            flash(_too_late(outrun), "warning")
        else:
            flash(_("“%(name)s” was stopped.", name=campaign.name), "success")
        return see_other(_back())
    if not may(Action.STOP, Status(campaign.status)):
        flash(_too_late(Conflict(status=campaign.status)), "warning")
        return see_other(_back())
    return page("campaigns/stop.html", line=campaign_list.lines([campaign_id])[0], back=_back())


@bp.route("/<int:campaign_id>/save-as", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def save_as(campaign_id: int) -> Response:
    campaign = campaigns.get(campaign_id)
    name, problems = _("%(name)s copy", name=campaign.name), []
    if request.method == "POST":
        name = request.form.get("name", "").strip()
        try:
            copy = campaigns.save_as(campaign_id, name, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = [sentence(problem) for problem in refusal.problems]
        else:
            flash(_("Saved as the new draft “%(name)s”.", name=name), "success")
            if copy.moved:
                flash(_("Its send time had passed, so it was moved on. Please check it."), "warning")
            return see_other(url_for("campaigns.edit", campaign_id=copy.id))
    status = 422 if problems else 200
    return page("campaigns/save_as.html", status, campaign=campaign, name=name, problems=problems, back=_back())


@bp.route("/delete", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def delete() -> Response:
    """Ask, and then delete the campaigns with the ids in `id`."""
    ids = [int(raw) for raw in request.values.getlist("id") if raw.isascii() and raw.isdigit() and len(raw) < 10]
    lines = campaign_list.lines(list(dict.fromkeys(ids)))
    if not lines:
        flash(_("Tick the campaigns to be deleted first."), "warning")
        return see_other(_back())
    if request.method == "POST":
        undeleted_ids = campaigns.delete([line.campaign.id for line in lines], guard.actor(), clock.now())
        deleted = len(lines) - len(undeleted_ids)
        if deleted:
            flash(ngettext("%(num)s campaign was deleted.", "%(num)s campaigns were deleted.", deleted), "success")
        if undeleted_ids:
            flash(_kept_sentence(line for line in lines if line.campaign.id in undeleted_ids), "warning")
        return see_other(_back())
    deletable = [line for line in lines if Action.DELETE in line.offered]
    return page(
        "campaigns/delete.html",
        free=deletable,
        kept=_kept_sentence(line for line in lines if line not in deletable) if len(deletable) < len(lines) else "",
        back=_back(),
    )


def _kept_sentence(lines: Iterable[Line]) -> str:
    names = _(", ").join(f"“{line.campaign.name or _('Without a name')}”" for line in lines)
    return str(_("Campaigns that wait or are being sent cannot be deleted; stop them first: %(names)s", names=names))


def _back() -> str:
    """Return the address in `back` if it is the list's, else the list."""
    path = guard.own_path(request.values.get("back", ""))
    return path if path.startswith(url_for("campaigns.index")) else url_for("campaigns.index")


def _too_late(outrun: Conflict) -> str:
    status = Status(outrun.problems[0].facts["status"])
    return str(_("This is not possible any more: the campaign is “%(status)s” by now.", status=label(status)))
