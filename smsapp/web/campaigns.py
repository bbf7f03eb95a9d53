"""The list of campaigns, and what a person does to its rows: stop, copy, delete."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import get_timezone, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from smsapp.domain.campaign import Action, Sort, Status, Tab, may
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.roles import Role
from smsapp.labels import campaigns as words
from smsapp.labels import label, sentence
from smsapp.services.campaigns import campaign_list, campaigns, drafts
from smsapp.services.campaigns.campaign_list import Line, Wanted
from smsapp.services.channels import accounts
from smsapp.services.platform import clock, setup
from smsapp.services.receipts import unconfirmed
from smsapp.web import guard, inputs
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

if TYPE_CHECKING:
    pass

bp = Blueprint("campaigns", __name__, url_prefix="/campaigns")
bp.add_app_template_filter(words.in_words, "in_words")
bp.add_app_template_filter(words.loss, "loss")
MENU = MenuLine(_l("Campaigns"), "campaigns.index", 10, "send")
FILTERS = ("tab", "status", "q", "from", "to", "channel", "sort")


@bp.get("/")
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
        default_zone=drafts.blank().schedule.zone,
        unconfirmed=unconfirmed.total(),
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
@needs(Role.OPERATOR)
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


def conflict_sentence(conflict: Conflict) -> str:
    """Return why the campaign cannot be changed any more: its status by now."""
    status = Status(conflict.problems[0].facts["status"])
    return str(_("This is not possible any more: the campaign is “%(status)s” by now.", status=label(status)))
