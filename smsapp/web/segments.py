"""Segments: the list, uploaded lists, and one segment with who is in it; the builder of rules has its own file."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import get_timezone, ngettext
from flask_babel import gettext as _

from smsapp import labels
from smsapp.domain import segment as rules
from smsapp.domain import segment_reader
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.ledger_condition import LedgerCondition
from smsapp.domain.rights import Right
from smsapp.domain.segment import Group, Kind
from smsapp.domain.segment_source import SegmentSource
from smsapp.domain.tags import Item
from smsapp.labels import ledger_conditions
from smsapp.labels import reports as report_words
from smsapp.labels import segments as words
from smsapp.labels.dates import written
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.contacts import ledger_choices, segments, uploaded_lists
from smsapp.services.platform import clock, tags
from smsapp.web import filters, guard, inputs
from smsapp.web.forms import options, put_problems
from smsapp.web.forms.segments import GroupDraft, NameForm, UploadForm
from smsapp.web.guard import needs, uploads
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other
from smsapp.web.segment_sample import cell_text, columns_of, names_of, rows_of, types_of
from smsapp.web.tags import check_tags, fill_tags, store_tags

if TYPE_CHECKING:
    from smsapp.store.contacts.segments import Segment

bp = Blueprint("segments", __name__, url_prefix="/segments")
MENU = MenuLine(_l("Segments"), "segments.index", 30, "users-group")

COLUMNS = 6

RECOUNT_AFTER = dt.timedelta(hours=1)
"""A dynamic segment's count that is older may have changed; the list says so and offers to count again."""


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    search, tag = request.args.get("q", "").strip(), request.args.get("tag", "").strip()
    archived = request.args.get("archived") == "1"
    lines = segments.listing(search, tag, archived=archived)
    return page_or_piece(
        "segments/index.html",
        "segments/_list.html",
        lines=lines,
        old={line.segment.id for line in lines if _may_have_changed(line.segment)},
        search=search,
        tag=tag,
        archived=archived,
        tags=tags.of_each(Item.SEGMENT, [line.segment.id for line in lines]),
        may_edit=guard.may(Right.SEGMENTS_WRITE),
    )


def _may_have_changed(segment: Segment) -> bool:
    """Return whether a dynamic segment was counted so long ago that others may fit its rule by now."""
    counted_at = segment.computed_at
    return segment.kind == Kind.DYNAMIC and (counted_at is None or counted_at < clock.now() - RECOUNT_AFTER)


@bp.route("/upload", methods=["GET", "POST"])
@needs(Right.SEGMENTS_WRITE)
@uploads
def upload() -> Response:
    """Upload a list as a new segment, or in place of the list of `?segment_id=`."""
    replaced = request.args.get("segment_id", type=inputs.id_)
    segment = segments.get(replaced) if replaced else None
    form = UploadForm(name=segment.name if segment else "")
    if segment:
        fill_tags(form, Item.SEGMENT, segment.id)
    form.property.choices = options(
        [(uploaded_lists.USER_ID, _("User ids"))]
        + [(row.name, words.property_name(row.name, row.label)) for row in uploaded_lists.matchable()]
    )
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            check_tags(form)
            saved = _upload(form, segment)
            store_tags(form, Item.SEGMENT, saved.id)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(saved_sentence(saved.size or 0), "success")
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
@needs(Right.WORK_VIEW)
def show(segment_id: int) -> Response:
    segment = segments.get(segment_id)
    properties = segments.catalogue()
    broken: list[str] = []
    rule = None
    try:
        rule = None if segment.kind == Kind.UPLOADED else segment_reader.from_json(segment.rule)
        if rule:
            broken = [labels.sentence(problem) for problem in rules.problems(rule, types_of(properties))]
        members = segments.members(segment, clock.now())
    except Refusal as refusal:
        broken = [labels.sentence(problem) for problem in refusal.problems]
        return page("segments/show.html", segment=segment, rule=None, broken=broken, **_segment_context(segment))
    requested = [column for column in properties if column.name in request.args.getlist("column")]
    columns = requested or columns_of(rule or rules.EVERYONE, properties)[:COLUMNS]
    return page_or_piece(
        "segments/show.html",
        "segments/_sample.html",
        segment=segment,
        **_segment_context(segment),
        rule=rule,
        broken=broken,
        names=names_of(properties),
        known=properties,
        columns=columns,
        target=segments.size(segment, clock.now()),
        sample=rows_of(segments.sample(members, [column.name for column in columns]), columns),
    )


@bp.get("/<int:segment_id>/reach")
@needs(Right.WORK_VIEW)
def reach(segment_id: int) -> Response:
    """Show how many members each channel reaches: loaded by the segment's page later, because it takes longer."""
    segment = segments.get(segment_id)
    reaches = segments.reach(segments.members(segment, clock.now()))
    return page_or_piece("segments/reach.html", "segments/_reach.html", segment=segment, reach=reaches)


@bp.post("/<int:segment_id>/recompute")
@needs(Right.SEGMENTS_WRITE)
def recompute(segment_id: int) -> Response:
    try:
        segment = segments.recompute(segment_id, by=guard.actor(), now=clock.now())
    except NotFound:
        raise
    except Refusal as refusal:
        flash(" ".join(labels.sentence(problem) for problem in refusal.problems), "danger")
    else:
        flash(computed_sentence(segment.size or 0), "success")
    if request.form.get("back") == "list":
        return see_other(url_for(".index"))
    return see_other(url_for(".show", segment_id=segment_id))


@bp.route("/<int:segment_id>/save-as", methods=["GET", "POST"])
@needs(Right.SEGMENTS_WRITE)
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
@needs(Right.SEGMENTS_WRITE)
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
def phrase(condition: rules.Condition | LedgerCondition, names: dict[str, str]) -> str:
    """Return a condition as a sentence, its numbers masked for most; `names` are the properties' names for people."""
    if isinstance(condition, LedgerCondition):
        slot = ledger_choices.slot(condition.campaign_id, condition.run_id) if condition.run_id else None
        due = written(slot.astimezone(get_timezone()), seconds=False) if slot else ""
        campaign = ledger_choices.name(condition.campaign_id)
        return filters.mask_numbers_in(ledger_conditions.sentence(condition, campaign, due))
    return filters.mask_numbers_in(words.phrase(condition, names.get(condition.property, condition.property)))


bp.add_app_template_filter(words.property_name, "property_name")
bp.add_app_template_filter(words.matched, "matched")
bp.add_app_template_test(lambda node: isinstance(node, GroupDraft | Group), "group")


def _matched_by(name: str) -> str:
    """Return what the lines of an uploaded list are: user ids, or a property."""
    return str(_("user id")) if name == uploaded_lists.USER_ID else names_of(segments.catalogue()).get(name, name)


def _segment_context(segment: Segment) -> dict[str, Any]:
    source = segment.rule.get("source", {}) if segment.kind == Kind.UPLOADED else {}
    secret = source.get("property") in segments.phone_properties()
    return {
        "is_uploaded": segment.kind == Kind.UPLOADED,
        "saved_from": _saved_from(segment),
        "matched_by": _matched_by(source.get("property", "")) if source else "",
        "creator": segments.creator(segment),
        "uses": segments.uses(segment.id),
        "may_edit": guard.may(Right.SEGMENTS_WRITE),
        "unmatched": [(line, cell_text(raw, secret)) for line, raw in source.get("first_unmatched", ())],
    }


def _saved_from(segment: Segment) -> dict[str, Any] | None:
    """Return the number of a report whose people these are: its words, its address and its moment."""
    if not segment.source:
        return None
    source = SegmentSource.from_json(segment.source)
    place: dict[str, Any] = {"campaign_id": source.campaign_id, "group": source.group, "reason": source.reason or None}
    if source.run_id is not None:
        place["run_id"] = source.run_id
    endpoint = "reports.effect" if source.run_id is None else "reports.run_effect"
    return {
        "campaign": ledger_choices.name(source.campaign_id) or f"#{source.campaign_id}",
        "group": report_words.GROUPS[source.group],
        "reason": labels.label(source.reason) if source.reason else "",
        "url": url_for(endpoint, **place),
        "at": source.at,
    }


def saved_sentence(size: int) -> str:
    return str(ngettext("Saved: %(n)s member.", "Saved: %(n)s members.", size, n=filters.number(size)))


def computed_sentence(size: int) -> str:
    return str(ngettext("Computed: %(n)s member.", "Computed: %(n)s members.", size, n=filters.number(size)))
