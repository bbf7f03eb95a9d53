"""Segments: the list, the builder of rules, uploaded lists, and one segment with who is in it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from werkzeug.datastructures import MultiDict

from smsapp import labels
from smsapp.domain import phone
from smsapp.domain import segment as rules
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.roles import Role
from smsapp.domain.segment import MAX_DEPTH, Group, Kind, Match
from smsapp.labels import segments as said
from smsapp.services.contacts import segments, uploaded_lists
from smsapp.services.contacts.segments import KnownProperty
from smsapp.services.platform import clock
from smsapp.web import filters, guard, inputs, refill
from smsapp.web.forms import put_problems
from smsapp.web.forms import segments as forms
from smsapp.web.forms.segments import ConditionDraft, GroupDraft, NameForm, SegmentForm, UploadForm
from smsapp.web.guard import needs, uploads
from smsapp.web.menu import MenuLine
from smsapp.web.render import announcing, page, page_or_piece, see_other, wants_piece

if TYPE_CHECKING:
    from smsapp.store.contacts.segments import Segment

bp = Blueprint("segments", __name__, url_prefix="/segments")
MENU = MenuLine(_l("Segments"), "segments.index", 30, "users-group")

COLUMNS = 6
SIDE_SAMPLE = 8

RECOUNT_AFTER = dt.timedelta(hours=1)
"""A dynamic segment's count that is older may have changed; the list says so and offers to count again."""


@bp.get("/")
def index() -> Response:
    search = request.args.get("q", "").strip()
    return page_or_piece(
        "segments/index.html",
        "segments/_list.html",
        lines=segments.listing(search),
        search=search,
        may_edit=guard.may(Role.OPERATOR),
        recount_before=clock.now() - RECOUNT_AFTER,
    )


@bp.route("/new", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def new() -> Response:
    draft = GroupDraft(Match.ALL, [])
    return _builder(SegmentForm(), draft, None)


@bp.route("/<int:segment_id>/edit", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def edit(segment_id: int) -> Response:
    segment = segments.get(segment_id)
    if segment.kind == Kind.UPLOADED:
        return see_other(url_for(".upload", segment_id=segment_id))
    try:
        rule = rules.from_json(segment.rule)
    except Refusal:
        rule = rules.EVERYONE
        flash(_("The kept rule could not be read. Build it anew."), "danger")
    form = SegmentForm(obj=segment)
    return _builder(form, forms.draft_of(rule, _types(segments.catalogue())), segment)


def _builder(form: SegmentForm, draft: GroupDraft, segment: Segment | None) -> Response:
    """Answer one round with the builder: draw it, change the rule in it, count what it finds, or keep it."""
    known = segments.catalogue()
    shown: dict[str, Any] = {
        "form": form,
        "segment": segment,
        "known": known,
        "errors": {},
        "problems": [],
        "links": [],
    }
    if request.method == "GET" and not refill.is_refill():
        return _draw(draft, shown)
    draft = forms.read_draft(_fields(), _types(known))
    if request.method == "GET":
        return _draw(draft, shown)
    asked, _colon, place = request.form.get("do", "save").partition(":")
    if asked != "save":
        return _round(asked, place, draft, shown)
    found: list[Problem] = []
    rule = forms.rule_of(draft, found, _hidden(draft))
    if found and not (form.name.data or "").strip():
        # What can be seen at once is said at once.
        found.append(Problem("segment_name_missing", "name"))
    try:
        if found:
            raise Refusal(*found)
        saved = _keep(form, rule, segment)
    except Refusal as refusal:
        shown["errors"] = _by_place(refusal.problems)
        placed = [problem for problem in refusal.problems if not problem.place.startswith(forms.ROOT)]
        shown["problems"] = put_problems(form, Refusal(*placed))
        shown["links"] = [
            (forms.control_id(draft, place), sentence)
            for place, sentences in shown["errors"].items()
            for sentence in sentences
        ]
        return _draw(draft, shown, 422)
    flash(_saved(saved.size or 0), "success")
    return see_other(url_for(".show", segment_id=saved.id))


def _keep(form: SegmentForm, rule: Group, segment: Segment | None) -> Segment:
    kind = Kind.STATIC if form.kind.data == Kind.STATIC else Kind.DYNAMIC
    name = form.name.data or ""
    if segment is None:
        return segments.create(name, kind, rule, by=guard.actor(), now=clock.now())
    return segments.edit(segment.id, name, kind, rule, by=guard.actor(), now=clock.now())


def _round(asked: str, place: str, draft: GroupDraft, shown: dict[str, Any]) -> Response:
    """Answer a button or a change in the builder: htmx gets the piece that changes, others the whole page."""
    if asked == "reach" and wants_piece():
        return page("segments/_reach.html", reach=_reach(draft))
    if asked == "count" and wants_piece():
        return page("segments/_count.html", **_counted(draft), later=True, segment=shown["segment"])
    if asked == "refresh" and wants_piece():
        node = forms.at(draft, place)
        if isinstance(node, ConditionDraft):
            return page("segments/_condition.html", node=node, place=place, **_helps(shown, [node]))
    forms.change(draft, asked, place)
    if wants_piece():
        return announcing(page("segments/_rule.html", **_ruled(draft, shown)), "rule-changed")
    return _draw(draft, shown)


def _draw(draft: GroupDraft, shown: dict[str, Any], status: int = 200) -> Response:
    counted = _counted(draft)
    # With JavaScript the piece asks for this itself; without, a page that answers a button holds it already.
    reach = _reach(draft) if request.method == "POST" and not wants_piece() else None
    return page("segments/builder.html", status, **_ruled(draft, shown), **counted, reach=reach, later=reach is None)


def _ruled(draft: GroupDraft, shown: dict[str, Any]) -> dict[str, Any]:
    full = sum(1 for _one in forms.conditions(draft)) >= rules.MAX_CONDITIONS
    helps = _helps(shown, forms.conditions(draft))
    return helps | {
        "draft": draft,
        "full": full,
        "max_depth": MAX_DEPTH,
        "matches": list(Match),
        "form": shown["form"],
        "segment": shown["segment"],
        "problems": shown["problems"],
        "links": shown["links"],
    }


def _helps(shown: dict[str, Any], nodes: Any) -> dict[str, Any]:
    """Return what the drawing of conditions needs besides them: properties, units, errors, values to choose from."""
    wanted = {node.name for node in nodes if node.type in (Type.STRING, Type.LIST)}
    return {
        "known": shown["known"],
        "units": forms.UNITS,
        "errors": shown["errors"],
        "suggestions": {
            name: segments.suggestions(name, sees_full_numbers=filters.sees_full_numbers()) for name in wanted
        },
    }


def _counted(draft: GroupDraft) -> dict[str, Any]:
    """Return how many contacts fit and some of them, or how many conditions are not complete."""
    found: list[Problem] = []
    rule = forms.rule_of(draft, found, _hidden(draft))
    known = segments.catalogue()
    found += rules.problems(rule, _types(known))
    if found:
        return {"target": None, "incomplete": len(found), "sample": [], "columns": []}
    now = clock.now()
    columns = _columns_of(rule, known)[:2]
    return {
        "target": segments.count(rule, now),
        "incomplete": 0,
        "sample": _rows(
            segments.sample(segments.matching(rule, now), [one.name for one in columns], SIDE_SAMPLE), columns
        ),
        "columns": columns,
    }


def _hidden(draft: GroupDraft) -> set[str]:
    """Return the properties this person may not compare: those that hold numbers.

    Properties that hold numbers among other texts are hidden only if digits are asked for.
    """
    if filters.sees_full_numbers():
        return set()
    asked = {one.name for one in forms.conditions(draft) if one.asks_for_digits}
    return segments.phone_properties() | {name for name in asked if segments.holds_numbers(name)}


def _reach(draft: GroupDraft) -> list[segments.Reach] | None:
    found: list[Problem] = []
    rule = forms.rule_of(draft, found, _hidden(draft))
    found += rules.problems(rule, _types(segments.catalogue()))
    return None if found else segments.reach(segments.matching(rule, clock.now()))


@bp.route("/upload", methods=["GET", "POST"])
@needs(Role.OPERATOR)
@uploads
def upload() -> Response:
    """A list as a new segment, or (`?segment_id=`) in the place of an older one."""
    replaced = request.args.get("segment_id", type=inputs.id_)
    segment = segments.get(replaced) if replaced else None
    form = UploadForm(name=segment.name if segment else "")
    form.property.choices = [(uploaded_lists.USER_ID, _("User ids"))] + [
        (known.name, said.property_name(known.name, known.label)) for known in uploaded_lists.matchable()
    ]
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            saved = _upload(form, segment)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_saved(saved.size or 0), "success")
            return see_other(url_for(".show", segment_id=saved.id))
    status = 422 if form.is_submitted() else 200
    return page("segments/upload.html", status, form=form, problems=problems, segment=segment)


def _upload(form: UploadForm, segment: Segment | None) -> Segment:
    sent = form.file.data
    if not sent:
        raise Refusal(Problem("segment_file_missing", "file"))
    return uploaded_lists.upload(
        form.name.data or "",
        form.property.data,
        sent.stream,
        sent.filename,
        segment.id if segment else None,
        by=guard.actor(),
        now=clock.now(),
        sees_full_numbers=filters.sees_full_numbers(),
    )


@bp.get("/<int:segment_id>")
def show(segment_id: int) -> Response:
    segment = segments.get(segment_id)
    known = segments.catalogue()
    broken: list[str] = []
    rule = None
    try:
        rule = None if segment.kind == Kind.UPLOADED else rules.from_json(segment.rule)
        if rule:
            broken = [labels.sentence(problem) for problem in rules.problems(rule, _types(known))]
        found = segments.members(segment, clock.now())
    except Refusal as refusal:
        broken = [labels.sentence(problem) for problem in refusal.problems]
        return page("segments/show.html", segment=segment, rule=None, broken=broken, **_about(segment))
    asked = [one for one in known if one.name in request.args.getlist("column")]
    columns = asked or _columns_of(rule or rules.EVERYONE, known)[:COLUMNS]
    return page_or_piece(
        "segments/show.html",
        "segments/_sample.html",
        segment=segment,
        **_about(segment),
        rule=rule,
        broken=broken,
        names=_names(known),
        known=known,
        columns=columns,
        target=segments.size(segment, clock.now()),
        sample=_rows(segments.sample(found, [one.name for one in columns]), columns),
    )


@bp.get("/<int:segment_id>/reach")
def reach(segment_id: int) -> Response:
    """How many members each channel reaches: asked for by the segment's page, because it takes longer."""
    segment = segments.get(segment_id)
    counted = segments.reach(segments.members(segment, clock.now()))
    return page_or_piece("segments/reach.html", "segments/_reach.html", segment=segment, reach=counted)


@bp.post("/<int:segment_id>/recompute")
@needs(Role.OPERATOR)
def recompute(segment_id: int) -> Response:
    try:
        segment = segments.recompute(segment_id, by=guard.actor(), now=clock.now())
    except NotFound:
        raise
    except Refusal as refusal:
        flash(" ".join(labels.sentence(problem) for problem in refusal.problems), "danger")
    else:
        flash(_computed(segment.size or 0), "success")
    if request.form.get("back") == "list":
        return see_other(url_for(".index"))
    return see_other(url_for(".show", segment_id=segment_id))


@bp.route("/<int:segment_id>/save-as", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def save_as(segment_id: int) -> Response:
    segment = segments.get(segment_id)
    form = NameForm(name=_("%(name)s (copy)", name=segment.name))
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            made = segments.save_as(segment_id, form.name.data or "", by=guard.actor(), now=clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The copy was saved."), "success")
            return see_other(url_for(".show", segment_id=made.id))
    status = 422 if form.is_submitted() else 200
    return page("segments/save_as.html", status, form=form, problems=problems, segment=segment)


@bp.route("/<int:segment_id>/delete", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def delete(segment_id: int) -> Response:
    segment = segments.get(segment_id)
    problems: list[str] = []
    if request.method == "POST":
        try:
            segments.delete(segment_id, by=guard.actor(), now=clock.now())
        except Refusal as refusal:
            problems = [labels.sentence(problem) for problem in refusal.problems]
        else:
            flash(_("The segment “%(name)s” was deleted.", name=segment.name), "success")
            return see_other(url_for(".index"))
    return page("segments/delete.html", 422 if problems else 200, segment=segment, problems=problems)


@bp.app_template_filter("phrase")
def phrase(condition: rules.Condition, names: dict[str, str]) -> str:
    """A condition as a sentence, its numbers masked for most; `names` are the properties' names for people."""
    return filters.mask_numbers_in(said.phrase(condition, names.get(condition.property, condition.property)))


bp.add_app_template_filter(said.property_name, "property_name")
bp.add_app_template_filter(said.matched, "matched")
bp.add_app_template_test(lambda node: isinstance(node, GroupDraft | Group), "group")


def _about(segment: Segment) -> dict[str, Any]:
    source = segment.rule.get("source", {}) if segment.kind == Kind.UPLOADED else {}
    secret = source.get("property") in segments.phone_properties()
    return {
        "creator": segments.creator(segment),
        "uses": segments.uses(segment.id),
        "may_edit": guard.may(Role.OPERATOR),
        "unmatched": [(line, _cell(raw, secret)) for line, raw in source.get("first_unmatched", ())],
    }


def _rows(found: list[segments.Member], columns: list[KnownProperty]) -> list[dict[str, Any]]:
    """Return a sample as it is shown: phone numbers masked for most readers."""
    phones = segments.phone_properties()
    return [
        {
            "contact_id": member.contact_id,
            "xwho": filters.mask_numbers_in(member.xwho),
            "cells": [
                _cell(value, one.name in phones, one.type) for one, value in zip(columns, member.values, strict=True)
            ],
        }
        for member in found
    ]


def _cell(value: Any, secret: bool, kind: Type = Type.STRING) -> str:
    if value is None or value == "":
        return filters.NOTHING
    if secret:
        number = phone.normalise(value)
        return filters.masked(number) if number else filters.mask_numbers_in(str(value))
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, list):
        return str(_(", ")).join(filters.mask_numbers_in(item) for item in value)
    if kind is Type.DATETIME:
        return str(value).replace("T00:00:00", "").replace("T", " ")
    return filters.figure(value) if isinstance(value, int | float) else filters.mask_numbers_in(str(value))


def _fields() -> dict[str, str]:
    sent: MultiDict[str, str] = request.form
    return {name: sent[name] for name in sent if name.startswith(f"{forms.ROOT}.")}


def _types(known: list[KnownProperty]) -> dict[str, Type]:
    return {one.name: one.type for one in known}


def _names(known: list[KnownProperty]) -> dict[str, str]:
    return {one.name: said.property_name(one.name, one.label) for one in known}


def _columns_of(rule: Group, known: list[KnownProperty]) -> list[KnownProperty]:
    """Return the properties worth seeing beside the user id: those of the rule, then the rest of the catalogue."""
    asked = {condition.property for condition in rule.conditions()}
    return sorted(known, key=lambda one: (one.name not in asked, one.name.startswith("$"), one.name))


def _by_place(problems: Any) -> dict[str, list[str]]:
    placed: defaultdict[str, list[str]] = defaultdict(list)
    for problem in problems:
        if problem.place.startswith(forms.ROOT):
            placed[problem.place].append(labels.sentence(problem))
    return dict(placed)


def _saved(size: int) -> str:
    return str(ngettext("Saved: %(n)s member.", "Saved: %(n)s members.", size, n=filters.number(size)))


def _computed(size: int) -> str:
    return str(ngettext("Computed: %(n)s member.", "Computed: %(n)s members.", size, n=filters.number(size)))
