"""Unconfirmed messages of all campaigns, and the page on which a person resolves them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain.errors import Conflict, NotFound, Refusal
from smsapp.domain.message import Resolution
from smsapp.domain.rights import Right
from smsapp.labels import reports as words
from smsapp.labels import sentence
from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.services.receipts import unconfirmed
from smsapp.web import guard, inputs
from smsapp.web.filters import number
from smsapp.web.guard import needs
from smsapp.web.render import page, page_or_piece, see_other

if TYPE_CHECKING:
    from smsapp.store.receipts.unconfirmed import RunWithUnconfirmed

bp = Blueprint("unconfirmed", __name__, url_prefix="/unconfirmed")

AGES = {"hour": dt.timedelta(hours=1), "day": dt.timedelta(days=1), "week": dt.timedelta(days=7)}


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    """List the runs with unconfirmed messages, newest first."""
    campaign_id = request.args.get("campaign", type=inputs.id_)
    channel_id = request.args.get("channel", type=inputs.id_)
    age = request.args.get("age", "")
    before = request.args.get("before", type=inputs.id_)
    listing = unconfirmed.listing(
        clock.now(), campaign_id=campaign_id, channel_id=channel_id, older_than=AGES.get(age), before=before
    )
    filters: dict[str, Any] = {"campaign": campaign_id, "channel": channel_id, "age": age if age in AGES else None}
    return page_or_piece(
        "unconfirmed/index.html",
        "unconfirmed/_list.html",
        lines=listing.rows,
        words=words,
        kept=filters,
        ages=AGES,
        channels=accounts.everything(),
        older=url_for(".index", before=listing.next, **filters) if listing.next else "",
        newer=url_for(".index", **filters) if before else "",
    )


@bp.get("/<int:run_id>")
@needs(Right.WORK_VIEW)
def show(run_id: int) -> Response:
    """List one run's unconfirmed messages."""
    try:
        with_unconfirmed = unconfirmed.of_run(run_id)
    except NotFound:
        return _nothing_left()
    cause = request.args.get("cause", "")
    cause = cause if cause in with_unconfirmed.causes else ""
    after = request.args.get("after", 0, type=inputs.id_)
    messages = unconfirmed.people(run_id, cause, after)
    return page_or_piece(
        "unconfirmed/show.html",
        "unconfirmed/_people.html",
        with_unconfirmed=with_unconfirmed,
        people=messages.rows,
        cause=cause,
        n=with_unconfirmed.causes[cause] if cause else with_unconfirmed.n,
        words=words,
        tabs=_causes(with_unconfirmed, cause),
        ways=_ways(run_id, cause, with_unconfirmed.causes[cause] if cause else with_unconfirmed.n),
        may_decide=guard.may(Right.RUNS_CONTROL),
        older=url_for(".show", run_id=run_id, cause=cause or None, after=messages.next) if messages.next else "",
        newer=url_for(".show", run_id=run_id, cause=cause or None) if after else "",
    )


def _ways(run_id: int, cause: str, n: int) -> list[tuple[str, str, str, str]]:
    """Return (text, icon, kind, address) of a button for each decision about all that are shown."""
    drawn = {
        Resolution.COUNT_AS_SENT: (_("Count all %(n)s as sent", n=number(n)), "circle-check", ""),
        Resolution.RESEND: (_("Send all %(n)s again", n=number(n)), "send", ""),
        Resolution.KEEP: (_("Keep all %(n)s unconfirmed", n=number(n)), "", "ghost-secondary"),
    }
    return [(*drawn[how], url_for(".decide", run_id=run_id, how=how, cause=cause or None, all=1)) for how in Resolution]


def _question(how: Resolution, n: int, name: str) -> dict[str, str]:
    """Return what the page says before a decision is carried out."""
    facts = {"n": number(n), "name": name}
    if how is Resolution.COUNT_AS_SENT:
        return {
            "title": _("Count as sent"),
            "question": _("Count %(n)s messages of “%(name)s” as sent?", **facts),
            "button": _("Count %(n)s as sent", **facts),
            "consequence": _(
                "They count as accepted and await a receipt. If one of them never left, that person gets nothing."
            ),
            "kind": "primary",
        }
    if how is Resolution.RESEND:
        return {
            "title": _("Send again"),
            "question": _("Send %(n)s messages of “%(name)s” again?", **facts),
            "button": _("Send %(n)s again", **facts),
            "consequence": _(
                "Anyone who got it the first time gets it twice, and you may pay twice. Numbers that have opted out "
                "since are excluded; a receipt that comes before the second try stops it."
            ),
            "kind": "danger",
        }
    return {
        "title": _("Keep unconfirmed"),
        "question": _("Keep %(n)s messages of “%(name)s” unconfirmed?", **facts),
        "button": _("Keep %(n)s unconfirmed", **facts),
        "consequence": _(
            "They stay unconfirmed in every number and are not listed here any more. A late receipt still settles them."
        ),
        "kind": "primary",
    }


def _causes(with_unconfirmed: RunWithUnconfirmed, cause: str) -> list[tuple[str, str, bool, int]]:
    """Return a tab for each cause and one for all; none where there is but one cause."""
    if len(with_unconfirmed.causes) < 2:
        return []
    run_id = with_unconfirmed.run.id
    every = (_("All"), url_for(".show", run_id=run_id), not cause, with_unconfirmed.n)
    return [every] + [
        (words.reason(None, one), url_for(".show", run_id=run_id, cause=one), one == cause, n)
        for one, n in with_unconfirmed.causes.items()
    ]


@bp.route("/<int:run_id>/decide", methods=["GET", "POST"])
@needs(Right.RUNS_CONTROL)
def decide(run_id: int) -> Response:
    """Show what a decision means (GET) or apply it (POST), to the ticked messages or to all of the run."""
    values = request.values
    if values.get("how") not in set(Resolution):
        abort(404)
    how, cause = Resolution(values["how"]), values.get("cause", "")
    seqs = None if values.get("all") else values.getlist("seq", type=inputs.id_)
    try:
        with_unconfirmed = unconfirmed.of_run(run_id)
    except NotFound:
        return _nothing_left()
    back = url_for(".show", run_id=run_id, cause=cause or None)
    if seqs is not None and not seqs:
        flash(_("Tick the messages to resolve, or resolve all of them."), "warning")
        return see_other(back)
    n = len(seqs) if seqs is not None else with_unconfirmed.causes.get(cause, 0) if cause else with_unconfirmed.n
    if request.method == "GET":
        return page(
            "unconfirmed/decide.html",
            with_unconfirmed=with_unconfirmed,
            how=how,
            asked=_question(how, n, with_unconfirmed.campaign.name or _("Unnamed campaign")),
            cause=cause,
            seqs=seqs,
            n=n,
            back=back,
        )
    try:
        count = unconfirmed.decide(
            run_id,
            how,
            guard.actor(),
            clock.now(),
            cause=cause,
            seqs=seqs,
            seen=values.get("seen", type=inputs.id_),
        )
    except Conflict:
        flash(_("Meanwhile something else is known about them; nothing was changed. Here is how it stands."), "warning")
    except Refusal as refusal:
        flash(sentence(refusal.problems[0]), "danger")
    else:
        flash(_done(how, count), "success")
    return see_other(back)


def _done(how: Resolution, n: int) -> str:
    if how is Resolution.COUNT_AS_SENT:
        return str(ngettext("One message counts as sent.", "%(n)s messages count as sent.", n, n=number(n)))
    if how is Resolution.RESEND:
        return str(ngettext("One message is sent again.", "%(n)s messages are sent again.", n, n=number(n)))
    return str(ngettext("One message stays unconfirmed.", "%(n)s messages stay unconfirmed.", n, n=number(n)))


def _nothing_left() -> Response:
    flash(_("Nothing of this run is unconfirmed any more."), "info")
    return see_other(url_for(".index"))
