"""The archive: campaigns that have ended, segments and templates are put away and come back."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, flash, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup

from smsapp.domain.campaign import Status
from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.domain.tags import RIGHTS, Item
from smsapp.labels import sentence
from smsapp.services.campaigns import archiving, campaign_list
from smsapp.services.campaigns.archiving import InUse
from smsapp.services.platform import clock, tags
from smsapp.web import guard, inputs
from smsapp.web.guard import needs
from smsapp.web.render import page, see_other
from smsapp.web.tags import KINDS, LISTS, item_url

bp = Blueprint("archive", __name__, url_prefix="/archive")


@dataclass(frozen=True)
class Order:
    """The tags of one campaign, segment or template, and whether it is archived, as its page shows them."""

    item: Item
    item_id: int
    url: str
    """The address of its page."""
    list: str
    """The endpoint of the list it stands in."""
    tags: tuple[str, ...]
    is_archived: bool
    may_write: bool
    may_archive: bool


@bp.app_template_global("order_of")
def order_of(item: str, item_id: int) -> Order:
    kind = Item(item)
    (is_archived, may_archive), may_write = archiving.standing(kind, item_id), guard.may(RIGHTS[kind])
    return Order(
        kind,
        item_id,
        item_url(kind, item_id),
        LISTS[kind][1],
        tags.of(kind, item_id),
        is_archived,
        may_write,
        may_write and may_archive,
    )


@bp.route("/campaigns", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
def campaigns() -> Response:
    """Ask, and then archive the campaigns with the ids in `id`."""
    lines = campaign_list.lines(inputs.ids_in_request())
    if not lines:
        flash(_("Tick the campaigns to be archived first."), "warning")
        return see_other(_back(Item.CAMPAIGN))
    if request.method == "POST":
        ids = [line.campaign.id for line in lines if not line.is_archived]
        refused = archiving.archive_campaigns(ids, guard.actor(), clock.now())
        gone = [campaign_id for campaign_id in ids if campaign_id not in refused]
        if gone:
            _flash_undo(Item.CAMPAIGN, gone)
        for problem in refused.values():
            flash(sentence(problem), "warning")
        return see_other(_back(Item.CAMPAIGN))
    return page(
        "archive/campaigns.html",
        free=[line for line in lines if line.may_archive],
        reasons=[
            sentence(archiving.why_not(Status(line.campaign.status), line.campaign.name or _("Without a name")))
            for line in lines
            if not line.may_archive and not line.is_archived
        ],
        back=_back(Item.CAMPAIGN),
    )


@bp.post(f"{KINDS}/<int:item_id>")
@needs(Right.CAMPAIGNS_WRITE)
def put(item: str, item_id: int) -> Response:
    """Archive one campaign, segment or template."""
    kind = Item(item)
    try:
        archiving.archive(kind, item_id, guard.actor(), clock.now())
    except InUse as in_use:
        name = archiving.name_of(kind, item_id)
        crumbs = [(LISTS[kind][0], url_for(LISTS[kind][1])), (name, item_url(kind, item_id))]
        return page("archive/in_use.html", 409, campaigns=in_use.campaigns, crumbs=crumbs, name=name)
    except Refusal as refusal:
        archiving.name_of(kind, item_id)
        flash(" ".join(map(sentence, refusal.problems)), "warning")
        return see_other(item_url(kind, item_id))
    _flash_undo(kind, [item_id])
    return see_other(_back(kind))


@bp.route(f"/restore{KINDS}", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
def restore(item: str) -> Response:
    """Bring back what is named by the ids in `id`; asked by GET, from a row that can hold no form, it asks first."""
    kind, ids = Item(item), inputs.ids_in_request()
    if request.method == "GET":
        names = [(item_id, archiving.name_of(kind, item_id)) for item_id in ids if archiving.is_archived(kind, item_id)]
        if names:
            return page("archive/restore.html", names=names, item=kind, back=_back(kind), kind=LISTS[kind][0])
    restored = archiving.restore(kind, ids, guard.actor(), clock.now()) if request.method == "POST" else 0
    if restored:
        flash(ngettext("%(num)s is back.", "%(num)s are back.", restored), "success")
    else:
        flash(_("Nothing of it is archived."), "warning")
    return see_other(_back(kind))


def _flash_undo(item: Item, ids: list[int]) -> None:
    message = render_template("archive/_archived.html", ids=ids, item=item, back=_back(item))
    # nosemgrep: markup-from-a-value -- a template has escaped it
    flash(Markup(message), "success")  # noqa: S704 # nosec B704


def _back(item: Item) -> str:
    """Return the address in `back` if it is one of the kind's list or pages, else the list."""
    path, begins = guard.own_path(request.values.get("back", "")), url_for(LISTS[item][1])
    return path if path.startswith(begins) else begins
