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
from smsapp.domain import phone, segment_reader
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
    lines = segments.listing(search)
    return page_or_piece(
        "segments/index.html",
        "segments/_list.html",
        lines=lines,
        old={line.segment.id for line in lines if _may_have_changed(line.segment)},
        search=search,
        may_edit=guard.may(Role.OPERATOR),
    )


def _may_have_changed(segment: Segment) -> bool:
    """Return whether a dynamic segment was counted so long ago that others may fit its rule by now."""
    counted_at = segment.computed_at
    return segment.kind == Kind.DYNAMIC and (counted_at is None or counted_at < clock.now() - RECOUNT_AFTER)


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
        rule = segment_reader.from_json(segment.rule)
    except Refusal:
        rule = rules.EVERYONE
        flash(_("The kept rule could not be read. Build it anew."), "danger")
    form = SegmentForm(obj=segment)
    return _builder(form, forms.draft_of(rule, _types(segments.catalogue())), segment)


def _builder(form: SegmentForm, draft: GroupDraft, segment: Segment | None) -> Response:
    """Answer one request of the builder: draw it, change its rule, count its members, or save it."""
    properties = segments.catalogue()
    context: dict[str, Any] = {
        "form": form,
        "segment": segment,
        "known": properties,
        "errors": {},
        "problems": [],
        "links": [],
    }
    if request.method == "GET" and not refill.is_refill():
        return _draw(draft, context)
    draft = forms.read_draft(_fields(), _types(properties))
    if request.method == "GET":
        return _draw(draft, context)
    verb, _colon, place = request.form.get("do", "save").partition(":")
    if verb != "save":
        return _round(verb, place, draft, context)
    problems: list[Problem] = []
    rule = forms.rule_of(draft, problems, _hidden(draft))
    if problems and not (form.name.data or "").strip():
        # Report a missing name together with what is wrong with the rule.
        problems.append(Problem("segment_name_missing", "name"))
    try:
        if problems:
            raise Refusal(*problems)
        saved = _keep(form, rule, segment)
    except Refusal as refusal:
        context["errors"] = _by_place(refusal.problems)
        form_problems = [problem for problem in refusal.problems if not problem.place.startswith(forms.ROOT)]
        context["problems"] = put_problems(form, Refusal(*form_problems))
        context["links"] = [
            (forms.control_id(draft, place), sentence)
            for place, sentences in context["errors"].items()
            for sentence in sentences
        ]
        return _draw(draft, context, 422)
    flash(_saved(saved.size or 0), "success")
    return see_other(url_for(".show", segment_id=saved.id))


def _keep(form: SegmentForm, rule: Group, segment: Segment | None) -> Segment:
    kind = Kind.STATIC if form.kind.data == Kind.STATIC else Kind.DYNAMIC
    name = form.name.data or ""
    if segment is None:
        return segments.create(name, kind, rule, by=guard.actor(), now=clock.now())
    return segments.edit(segment.id, name, kind, rule, by=guard.actor(), now=clock.now())


def _round(verb: str, place: str, draft: GroupDraft, context: dict[str, Any]) -> Response:
    """Answer a button or a change in the builder: htmx gets the piece that changes, others the whole page."""
    if verb == "reach" and wants_piece():
        return page("segments/_reach.html", reach=_reach(draft))
    if verb == "count" and wants_piece():
        return page("segments/_count.html", **_counted(draft), later=True, segment=context["segment"])
    if verb == "refresh" and wants_piece():
        node = forms.at(draft, place)
        if isinstance(node, ConditionDraft):
            return page("segments/_condition.html", node=node, place=place, **_helps(context, [node]))
    forms.change(draft, verb, place)
    if wants_piece():
        return announcing(page("segments/_rule.html", **_ruled(draft, context)), "rule-changed")
    return _draw(draft, context)


def _draw(draft: GroupDraft, context: dict[str, Any], status: int = 200) -> Response:
    counts = _counted(draft)
    # With JavaScript the piece asks for this itself; without, a page that answers a button holds it already.
    reach = _reach(draft) if request.method == "POST" and not wants_piece() else None
    return page("segments/builder.html", status, **_ruled(draft, context), **counts, reach=reach, later=reach is None)


def _ruled(draft: GroupDraft, context: dict[str, Any]) -> dict[str, Any]:
    full = sum(1 for _condition in forms.conditions(draft)) >= rules.MAX_CONDITIONS
    condition_context = _helps(context, forms.conditions(draft))
    return condition_context | {
        "draft": draft,
        "root": forms.ROOT,
        "full": full,
        "max_depth": MAX_DEPTH,
        "matches": list(Match),
        "form": context["form"],
        "segment": context["segment"],
        "problems": context["problems"],
        "links": context["links"],
    }


def _helps(context: dict[str, Any], nodes: Any) -> dict[str, Any]:
    """Return the context for drawing conditions: properties, units, errors, values to choose from."""
    names = {node.name for node in nodes if node.type in (Type.STRING, Type.LIST)}
    return {
        "known": context["known"],
        "units": forms.UNITS,
        "inputs": forms.INPUTS,
        "after": said.AFTER_VALUES,
        "errors": context["errors"],
        "suggestions": {
            name: segments.suggestions(name, sees_full_numbers=filters.sees_full_numbers()) for name in names
        },
    }


def _counted(draft: GroupDraft) -> dict[str, Any]:
    """Return how many contacts fit and some of them, or how many conditions are not complete."""
    problems: list[Problem] = []
    rule = forms.rule_of(draft, problems, _hidden(draft))
    properties = segments.catalogue()
    problems += rules.problems(rule, _types(properties))
    if problems:
        return {"target": None, "incomplete": len(problems), "sample": [], "columns": []}
    now = clock.now()
    columns = _columns_of(rule, properties)[:2]
    return {
        "target": segments.count(rule, now),
        "incomplete": 0,
        "sample": _rows(
            segments.sample(segments.matching(rule, now), [column.name for column in columns], SIDE_SAMPLE), columns
        ),
        "columns": columns,
    }


def _hidden(draft: GroupDraft) -> set[str]:
    """Return the properties this person may not compare: those that hold phone numbers.

    Properties that hold numbers among other texts are hidden only if digits are asked for.
    """
    if filters.sees_full_numbers():
        return set()
    names = {condition.name for condition in forms.conditions(draft) if condition.asks_for_digits}
    return segments.phone_properties() | {name for name in names if segments.holds_numbers(name)}


def _reach(draft: GroupDraft) -> list[segments.Reach] | None:
    problems: list[Problem] = []
    rule = forms.rule_of(draft, problems, _hidden(draft))
    problems += rules.problems(rule, _types(segments.catalogue()))
    return None if problems else segments.reach(segments.matching(rule, clock.now()))


@bp.route("/upload", methods=["GET", "POST"])
@needs(Role.OPERATOR)
@uploads
def upload() -> Response:
    """Upload a list as a new segment, or in place of the list of `?segment_id=`."""
    replaced = request.args.get("segment_id", type=inputs.id_)
    segment = segments.get(replaced) if replaced else None
    form = UploadForm(name=segment.name if segment else "")
    form.property.choices = [(uploaded_lists.USER_ID, _("User ids"))] + [
        (row.name, said.property_name(row.name, row.label)) for row in uploaded_lists.matchable()
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
    file = form.file.data
    if not file:
        raise Refusal(Problem("segment_file_missing", "file"))
    return uploaded_lists.upload(
        form.name.data or "",
        form.property.data,
        file.stream,
        file.filename,
        segment.id if segment else None,
        by=guard.actor(),
        now=clock.now(),
        sees_full_numbers=filters.sees_full_numbers(),
    )


@bp.get("/<int:segment_id>")
def show(segment_id: int) -> Response:
    segment = segments.get(segment_id)
    properties = segments.catalogue()
    broken: list[str] = []
    rule = None
    try:
        rule = None if segment.kind == Kind.UPLOADED else segment_reader.from_json(segment.rule)
        if rule:
            broken = [labels.sentence(problem) for problem in rules.problems(rule, _types(properties))]
        members = segments.members(segment, clock.now())
    except Refusal as refusal:
        broken = [labels.sentence(problem) for problem in refusal.problems]
        return page("segments/show.html", segment=segment, rule=None, broken=broken, **_about(segment))
    requested = [column for column in properties if column.name in request.args.getlist("column")]
    columns = requested or _columns_of(rule or rules.EVERYONE, properties)[:COLUMNS]
    return page_or_piece(
        "segments/show.html",
        "segments/_sample.html",
        segment=segment,
        **_about(segment),
        rule=rule,
        broken=broken,
        names=_names(properties),
        known=properties,
        columns=columns,
        target=segments.size(segment, clock.now()),
        sample=_rows(segments.sample(members, [column.name for column in columns]), columns),
    )


@bp.get("/<int:segment_id>/reach")
def reach(segment_id: int) -> Response:
    """Show how many members each channel reaches: loaded by the segment's page later, because it takes longer."""
    segment = segments.get(segment_id)
    reaches = segments.reach(segments.members(segment, clock.now()))
    return page_or_piece("segments/reach.html", "segments/_reach.html", segment=segment, reach=reaches)


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
            copy = segments.save_as(segment_id, form.name.data or "", by=guard.actor(), now=clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The copy was saved."), "success")
            return see_other(url_for(".show", segment_id=copy.id))
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
    """Return a condition as a sentence, its numbers masked for most; `names` are the properties' names for people."""
    return filters.mask_numbers_in(said.phrase(condition, names.get(condition.property, condition.property)))


bp.add_app_template_filter(said.property_name, "property_name")
bp.add_app_template_filter(said.matched, "matched")
bp.add_app_template_test(lambda node: isinstance(node, GroupDraft | Group), "group")


def _matched_by(name: str) -> str:
    """Return what the lines of an uploaded list are: user ids, or a property."""
    return str(_("user id")) if name == uploaded_lists.USER_ID else _names(segments.catalogue()).get(name, name)


def _about(segment: Segment) -> dict[str, Any]:
    source = segment.rule.get("source", {}) if segment.kind == Kind.UPLOADED else {}
    secret = source.get("property") in segments.phone_properties()
    return {
        "is_uploaded": segment.kind == Kind.UPLOADED,
        "matched_by": _matched_by(source.get("property", "")) if source else "",
        "creator": segments.creator(segment),
        "uses": segments.uses(segment.id),
        "may_edit": guard.may(Role.OPERATOR),
        "unmatched": [(line, _cell(raw, secret)) for line, raw in source.get("first_unmatched", ())],
    }


def _rows(members: list[segments.Member], columns: list[KnownProperty]) -> list[dict[str, Any]]:
    """Return sample rows, phone numbers masked unless the reader may see them."""
    phones = segments.phone_properties()
    return [
        {
            "contact_id": member.contact_id,
            "xwho": filters.mask_numbers_in(member.xwho),
            "cells": [
                _cell(value, column.name in phones, column.type)
                for column, value in zip(columns, member.values, strict=True)
            ],
        }
        for member in members
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
    form: MultiDict[str, str] = request.form
    return {name: form[name] for name in form if name.startswith(f"{forms.ROOT}.")}


def _types(properties: list[KnownProperty]) -> dict[str, Type]:
    return {row.name: row.type for row in properties}


def _names(properties: list[KnownProperty]) -> dict[str, str]:
    return {row.name: said.property_name(row.name, row.label) for row in properties}


def _columns_of(rule: Group, properties: list[KnownProperty]) -> list[KnownProperty]:
    """Return the properties worth seeing beside the user id: those of the rule, then the rest of the catalogue."""
    names = {condition.property for condition in rule.conditions()}
    return sorted(properties, key=lambda row: (row.name not in names, row.name.startswith("$"), row.name))


def _by_place(problems: Any) -> dict[str, list[str]]:
    sentences: defaultdict[str, list[str]] = defaultdict(list)
    for problem in problems:
        if problem.place.startswith(forms.ROOT):
            sentences[problem.place].append(labels.sentence(problem))
    return dict(sentences)


def _saved(size: int) -> str:
    return str(ngettext("Saved: %(n)s member.", "Saved: %(n)s members.", size, n=filters.number(size)))


def _computed(size: int) -> str:
    return str(ngettext("Computed: %(n)s member.", "Computed: %(n)s members.", size, n=filters.number(size)))
