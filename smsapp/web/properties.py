"""The catalogue of contact properties: values, uses, and changes of a property for all contacts."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.property_change import ASIDE, ChangeKind, Winner
from smsapp.domain.rights import Right
from smsapp.labels import sentence
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.contacts import properties
from smsapp.services.platform import clock
from smsapp.web import guard
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("properties", __name__, url_prefix="/properties")
MENU = MenuLine(_l("Contact properties"), "properties.index", 65, "tags", Right.SETUP_VIEW, settings=True)


@bp.get("/")
@needs(Right.SETUP_VIEW)
def index() -> Response:
    changes = properties.newest()
    return page_or_piece(
        "properties/index.html",
        "properties/_changes.html",
        catalogue=properties.catalogue(),
        changes=changes,
        going_on=any(change.finished_at is None for change in changes),
    )


@bp.get("/one")
@needs(Right.SETUP_VIEW)
def show() -> Response:
    return _show(request.args.get("name", ""))


def _show(name: str, problems: list[Problem] | None = None, label: str | None = None) -> Response:
    row = properties.get(name)
    lines = properties.catalogue()
    return page(
        "properties/show.html",
        422 if problems else 200,
        row=row,
        label=row.label if label is None else label,
        line=next(line for line in lines.lines if line.name == name),
        catalogue=lines,
        examples=properties.examples(name),
        uses=properties.uses(name),
        busy=properties.busy(name),
        others=[line for line in lines.lines if line.name != name and line.type == row.type],
        types=[kind for kind in Type if kind != row.type],
        problems=[sentence(problem) for problem in problems or ()],
        may_change=guard.may(Right.PROPERTIES_WRITE),
    )


@bp.post("/rename")
@needs(Right.PROPERTIES_WRITE)
def rename() -> Response:
    name, label = request.form.get("name", ""), request.form.get("label", "")
    try:
        properties.rename(name, label, guard.actor(), clock.now())
    except Refusal as refusal:
        return _show(name, list(refusal.problems), label)
    flash(_("The label was saved."), "success")
    return see_other(url_for(".show", name=name))


@bp.get("/change")
@needs(Right.PROPERTIES_WRITE)
def preview() -> Response:
    """Show what a change would do before it is started."""
    name, change_kind = request.args.get("name", ""), request.args.get("do", "")
    row = properties.get(name)
    kind, target = _type(request.args.get("type", "")), request.args.get("target", "")
    if change_kind == ChangeKind.RETYPE and kind is not None:
        change_preview = properties.preview_retype(name, kind)
    elif change_kind == ChangeKind.MERGE and target:
        change_preview = properties.preview_merge(name, target)
    elif change_kind == ChangeKind.REMOVE:
        change_preview = properties.preview_removal(name)
    else:
        return see_other(url_for(".show", name=name))
    return page(
        "properties/change.html",
        row=row,
        title=_title(ChangeKind(change_kind), row.label or row.name),
        asked=change_kind,
        is_merge=change_kind == ChangeKind.MERGE,
        is_removal=change_kind == ChangeKind.REMOVE,
        kind=kind,
        target=properties.get(target) if target else None,
        seen=change_preview,
        aside=name + ASIDE,
        uses=properties.uses(name),
        winners=[(Winner.TARGET, target), (Winner.SOURCE, name)],
    )


def _title(asked: ChangeKind, name: str) -> str:
    if asked is ChangeKind.RETYPE:
        return str(_("Change the type of %(name)s", name=name))
    return str(_("Merge %(name)s", name=name) if asked is ChangeKind.MERGE else _("Remove %(name)s", name=name))


@bp.post("/change")
@needs(Right.PROPERTIES_WRITE)
def change() -> Response:
    """Begin a change for all contacts."""
    fields = request.form
    name, by, now = fields.get("name", ""), guard.actor(), clock.now()
    kind, wins = _type(fields.get("type", "")), fields.get("wins", "")
    try:
        if fields.get("do") == ChangeKind.RETYPE and kind is not None:
            properties.retype(name, kind, by, now)
        elif fields.get("do") == ChangeKind.MERGE:
            winner = Winner(wins) if wins in set(Winner) else Winner.TARGET
            properties.merge(name, fields.get("target", ""), winner, by, now)
        elif fields.get("do") == ChangeKind.REMOVE:
            properties.remove(name, by, now)
    except Refusal as refusal:
        return _show(name, list(refusal.problems))
    flash(_("The change has begun. It goes on in the background."), "success")
    return see_other(url_for(".index"))


def _type(raw: str) -> Type | None:
    return Type(raw) if raw in set(Type) else None
