"""The list of campaigns, and what a person does to its rows: stop, copy, delete."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, render_template, request, url_for
from flask_babel import get_timezone, ngettext
from flask_babel import gettext as _
from markupsafe import Markup

from smsapp.domain.campaign import Action, Sort, Status, Tab, may
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.tags import Item
from smsapp.labels import campaigns as words
from smsapp.labels import label, sentence
from smsapp.labels.audiences import audience_in_words
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.apps import key_watch
from smsapp.services.campaigns import campaign_approvals, campaign_list, campaigns, drafts
from smsapp.services.campaigns.campaign_list import Line, Wanted
from smsapp.services.channels import accounts
from smsapp.services.platform import clock, setup, tags
from smsapp.services.receipts import unconfirmed
from smsapp.web import guard, inputs
from smsapp.web.drawn_rows import drawn
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("campaigns", __name__, url_prefix="/campaigns")
bp.add_app_template_filter(words.in_words, "in_words")
bp.add_app_template_filter(audience_in_words, "audience_in_words")
bp.add_app_template_filter(words.loss, "loss")
bp.add_app_template_filter(drawn, "drawn")
MENU = MenuLine(_l("Campaigns"), "campaigns.index", 10, "send")
FILTERS = ("tab", "status", "q", "from", "to", "channel", "sort", "tag", "archived")


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    now = clock.now()
    filters = _filters()
    listing = campaign_list.listing(filters, now, after=_id_argument("after"), before=_id_argument("before"))
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
        channels=accounts.names(),
        now=now,
        tabs=[
            (
                label(tab),
                address(tab="" if tab is Tab.ALL else tab),
                tab is filters.tab,
                *([listing.status_count(None, tab)] if listing.is_counted else []),
            )
            for tab in Tab
        ],
        chips=[
            (
                status,
                address(status=status or ""),
                status is filters.status,
                listing.status_count(status, filters.tab) if listing.is_counted else None,
            )
            for status in (None, *Status)
        ],
        all_waiting=url_for("campaigns.index", status=Status.WAITING, sort=Sort.DUE),
        sorts=Sort,
        may_write=guard.may(Right.CAMPAIGNS_WRITE),
        may_administer=guard.may(Right.CHANNELS_WRITE),
        setup=setup.setup() if not listing.lines else None,
        default_zone=drafts.blank().schedule.zone,
        unconfirmed=unconfirmed.total(),
        to_approve=campaign_approvals.waiting_for_approval(guard.actor()) if guard.may(Right.RUNS_ACCEPT) else [],
        key_alarms=key_watch.unnoted() if guard.may(Right.KEYS_WRITE) else [],
    )


def _filters() -> Wanted:
    """Return the filters of the query; an unreadable value is ignored."""
    args = request.args
    return Wanted(
        tab=Tab(args["tab"]) if args.get("tab") in set(Tab) else Tab.ALL,
        status=Status(args["status"]) if args.get("status") in set(Status) else None,
        keyword=args.get("q", "").strip(),
        since=_midnight(args.get("from", "")),
        until=_midnight(args.get("to", ""), days=1),
        channel_id=_id_argument("channel") or None,
        sort=Sort(args["sort"]) if args.get("sort") in set(Sort) else Sort.NEWEST,
        tag=tags.filter_by(Item.CAMPAIGN, args.get("tag", "")),
        archived=args.get("archived") == "1",
    )


def _id_argument(name: str) -> int:
    """Return the id in the query, 0 if there is none."""
    return request.args.get(name, 0, type=inputs.id_)


def _midnight(raw: str, days: int = 0) -> dt.datetime | None:
    """Return midnight of a date (plus days) in the reader's zone, as UTC; None if it cannot be read."""
    try:
        date = dt.date.fromisoformat(raw) + dt.timedelta(days=days)
        return dt.datetime.combine(date, dt.time(), ZoneInfo(str(get_timezone()))).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


@bp.route("/<int:campaign_id>/stop", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_CONFIRM)
def stop(campaign_id: int) -> Response:
    campaign = campaigns.get(campaign_id)
    if request.method == "POST":
        try:
            campaigns.stop(campaign_id, guard.actor(), clock.now())
        except Conflict as conflict:
            flash(conflict_sentence(conflict), "warning")
        else:
            flash(_("“%(name)s” was stopped.", name=campaign.name), "success")
        return see_other(_back())
    if not may(Action.STOP, Status(campaign.status)):
        flash(conflict_sentence(Conflict(status=campaign.status)), "warning")
        return see_other(_back())
    return page("campaigns/stop.html", line=campaign_list.lines([campaign_id])[0], back=_back())


@bp.route("/<int:campaign_id>/save-as", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
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
            if copy.lost:
                flash(
                    _("A segment it named has been deleted, so the copy does without it. Please check it."), "warning"
                )
            return see_other(url_for("campaigns.edit", campaign_id=copy.id))
    status = 422 if problems else 200
    return page("campaigns/save_as.html", status, campaign=campaign, name=name, problems=problems, back=_back())


@bp.route("/delete", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
def delete() -> Response:
    """Ask, and then delete the campaigns with the ids in `id`."""
    lines = campaign_list.lines(inputs.ids_in_request())
    if not lines:
        flash(_("Tick the campaigns to be deleted first."), "warning")
        return see_other(_back())
    if request.method == "POST":
        undeleted_ids = campaigns.delete([line.campaign.id for line in lines], guard.actor(), clock.now())
        gone = [line.campaign.id for line in lines if line.campaign.id not in undeleted_ids]
        if gone:
            message = render_template("campaigns/_deleted.html", ids=gone, back=_back())
            # nosemgrep: markup-from-a-value -- a template has escaped it
            flash(Markup(message), "success")  # noqa: S704 # nosec B704
        if undeleted_ids:
            flash(_kept_sentence(line for line in lines if line.campaign.id in undeleted_ids), "warning")
        return see_other(_back())
    deletable = [line for line in lines if line.may_delete]
    return page(
        "campaigns/delete.html",
        free=deletable,
        kept=_kept_sentence(line for line in lines if line not in deletable) if len(deletable) < len(lines) else "",
        back=_back(),
    )


@bp.post("/undelete")
@needs(Right.CAMPAIGNS_WRITE)
def undelete() -> Response:
    """Undo the deletion of the campaigns with the ids in `id`."""
    restored = campaigns.undelete(inputs.ids_in_request(), guard.actor(), clock.now())
    if restored:
        flash(ngettext("%(num)s campaign is back.", "%(num)s campaigns are back.", restored), "success")
    else:
        flash(_("There is no such deletion to undo any more."), "warning")
    return see_other(_back())


def _kept_sentence(lines: Iterable[Line]) -> str:
    """Return why these are not deleted: what was sent keeps its report, and the others have not ended."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for line in lines:
        has_ended = Action.ARCHIVE in line.offered
        names[has_ended].append(_("“%(text)s”", text=line.campaign.name or _("Without a name")))
    sentences = []
    if names[False]:
        going = _(", ").join(names[False])
        sentences.append(
            _("Campaigns that wait or are being sent cannot be deleted; stop them first: %(names)s", names=going)
        )
    if names[True]:
        sent = _(", ").join(names[True])
        sentences.append(_("What was sent keeps its report; it can be archived instead: %(names)s", names=sent))
    return " ".join(map(str, sentences))


def _back() -> str:
    """Return the address in `back` if it is the list's, else the list."""
    path = guard.own_path(request.values.get("back", ""))
    return path if path.startswith(url_for("campaigns.index")) else url_for("campaigns.index")


def conflict_sentence(conflict: Conflict) -> str:
    """Return why the campaign cannot be changed any more: its status by now."""
    status = Status(conflict.problems[0].facts["status"])
    return str(_("This is not possible any more: the campaign is “%(status)s” by now.", status=label(status)))
