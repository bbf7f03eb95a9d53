"""The builder of a segment's rule: one page, of which htmx redraws the pieces that change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from smsapp import labels
from smsapp.domain import segment as rules
from smsapp.domain import segment_reader
from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.ledger_condition import LedgerOperator
from smsapp.domain.outcome import Outcome
from smsapp.domain.rights import Right
from smsapp.domain.segment import MAX_DEPTH, Group, Kind, Match
from smsapp.domain.tags import Item
from smsapp.labels import segments as words
from smsapp.services.contacts import hidden_numbers, ledger_choices, segments
from smsapp.services.contacts.segments import KnownProperty
from smsapp.services.platform import clock
from smsapp.web import filters, guard, refill
from smsapp.web.forms import put_problems
from smsapp.web.forms import segments as forms
from smsapp.web.forms.segments import ConditionDraft, GroupDraft, SegmentForm
from smsapp.web.guard import needs
from smsapp.web.render import announcing, page, see_other, wants_piece
from smsapp.web.segment_sample import columns_of, rows_of, types_of
from smsapp.web.segments import bp, saved_sentence
from smsapp.web.tags import check_tags, fill_tags, store_tags

if TYPE_CHECKING:
    from smsapp.store.contacts.segments import Segment

SIDE_SAMPLE = 8
"""Members shown beside the rule."""


@bp.route("/new", methods=["GET", "POST"])
@needs(Right.SEGMENTS_WRITE)
def new() -> Response:
    draft = GroupDraft(Match.ALL, [])
    return _answer(SegmentForm(), draft, None)


@bp.route("/<int:segment_id>/edit", methods=["GET", "POST"])
@needs(Right.SEGMENTS_WRITE)
def edit(segment_id: int) -> Response:
    segment = segments.get(segment_id)
    if segment.source:
        flash(labels.sentence(Problem("segment_saved_from_report")), "warning")
        return see_other(url_for(".show", segment_id=segment_id))
    if segment.kind == Kind.UPLOADED:
        return see_other(url_for(".upload", segment_id=segment_id))
    try:
        rule = segment_reader.from_json(segment.rule)
    except Refusal:
        rule = rules.EVERYONE
        flash(_("The kept rule could not be read. Build it anew."), "danger")
    form = SegmentForm(obj=segment)
    fill_tags(form, Item.SEGMENT, segment_id)
    return _answer(form, forms.draft_of(rule, types_of(segments.catalogue())), segment)


def _answer(form: SegmentForm, draft: GroupDraft, segment: Segment | None) -> Response:
    """Answer one request of the builder: draw it, change its rule, count its members, or save it."""
    properties = segments.catalogue()
    is_first = request.method == "GET" and not refill.is_refill()
    builder = Builder(
        form, segment, draft if is_first else forms.read_draft(_rule_fields(), types_of(properties)), properties
    )
    if request.method == "GET":
        return builder.draw()
    verb, _colon, place = request.form.get("do", "save").partition(":")
    return builder.save() if verb == "save" else builder.act(verb, place)


def _rule_fields() -> dict[str, str]:
    form: MultiDict[str, str] = request.form
    return {name: form[name] for name in form if name.startswith(f"{forms.ROOT}.")}


@dataclass
class Builder:
    """The builder during one request: the rule as typed so far, and what is wrong with it."""

    form: SegmentForm
    segment: Segment | None
    draft: GroupDraft
    properties: list[KnownProperty]
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    """Sentences about the rule, by the place of their group or condition."""
    problems: Sequence[str] = ()
    """Sentences that have no field."""
    links: Sequence[tuple[str, str]] = ()
    """(id of a control, sentence) of each error of the rule."""

    def save(self) -> Response:
        """Store the segment and go to its page; or draw the builder again with what is wrong."""
        rule, problems = self._read_rule()
        name = self.form.name.data or ""
        if problems and not name.strip():
            # Report a missing name together with what is wrong with the rule.
            problems.append(Problem("segment_name_missing", "name"))
        try:
            if problems:
                raise Refusal(*problems)
            check_tags(self.form)
            saved = self._store(name, rule)
            store_tags(self.form, Item.SEGMENT, saved.id)
        except Refusal as refusal:
            self._put(refusal)
            return self.draw(422)
        flash(saved_sentence(saved.size or 0), "success")
        return see_other(url_for(".show", segment_id=saved.id))

    def act(self, verb: str, place: str) -> Response:
        """Answer a button or a change: htmx gets the piece that changes, others the whole page."""
        if verb == "reach" and wants_piece():
            return page("segments/_reach.html", reach=self._reach())
        if verb == "count" and wants_piece():
            return page("segments/_count.html", **self._count(), later=True)
        if verb == "refresh" and wants_piece():
            node = forms.at(self.draft, place)
            if isinstance(node, ConditionDraft):
                return page("segments/_condition.html", node=node, place=place, **self._condition_context([node]))
        forms.change(self.draft, verb, place)
        if wants_piece():
            return announcing(page("segments/_rule.html", **self._rule_context()), "rule-changed")
        return self.draw()

    def draw(self, status: int = 200) -> Response:
        """Return the whole page."""
        count = self._count()
        # With JavaScript the piece asks for this itself; without, a page that answers a button holds it already.
        reach = self._reach() if request.method == "POST" and not wants_piece() else None
        return page("segments/builder.html", status, **self._rule_context(), **count, reach=reach, later=reach is None)

    def _store(self, name: str, rule: Group) -> Segment:
        kind = Kind.STATIC if self.form.kind.data == Kind.STATIC else Kind.DYNAMIC
        if self.segment is None:
            return segments.create(name, kind, rule, by=guard.actor(), now=clock.now())
        return segments.edit(self.segment.id, name, kind, rule, by=guard.actor(), now=clock.now())

    def _put(self, refusal: Refusal) -> None:
        """Keep the sentences of what is wrong: with the rule, with a field, and with neither."""
        errors: defaultdict[str, list[str]] = defaultdict(list)
        for problem in refusal.problems:
            if problem.place.startswith(forms.ROOT):
                errors[problem.place].append(labels.sentence(problem))
        self.errors = dict(errors)
        form_problems = [problem for problem in refusal.problems if not problem.place.startswith(forms.ROOT)]
        self.problems = put_problems(self.form, Refusal(*form_problems))
        self.links = [
            (forms.control_id(self.draft, place), sentence)
            for place, sentences in self.errors.items()
            for sentence in sentences
        ]

    def _rule_context(self) -> dict[str, Any]:
        conditions = list(forms.conditions(self.draft))
        return self._condition_context(conditions) | {
            "draft": self.draft,
            "root": forms.ROOT,
            "full": len(conditions) >= rules.MAX_CONDITIONS,
            "max_depth": MAX_DEPTH,
            "matches": list(Match),
            "form": self.form,
            "segment": self.segment,
            "problems": self.problems,
            "links": self.links,
        }

    def _condition_context(self, nodes: Sequence[ConditionDraft]) -> dict[str, Any]:
        """Return the context for drawing conditions: properties, units, errors, values to choose from."""
        names = {node.name for node in nodes if node.type in (Type.STRING, Type.LIST)}
        chosen = {node.typed[0] for node in nodes if node.is_ledger and node.typed}
        return {
            "ledger": forms.LEDGER,
            "ledger_operators": list(LedgerOperator),
            "campaigns": ledger_choices.campaigns(chosen) if any(node.is_ledger for node in nodes) else [],
            "runs": {raw: ledger_choices.runs_of(raw) for raw in chosen},
            "outcomes": list(Outcome),
            "known": self.properties,
            "units": forms.UNITS,
            "inputs": forms.INPUTS,
            "after": words.AFTER_VALUES,
            "errors": self.errors,
            "suggestions": {
                name: segments.suggestions(name, sees_full_numbers=filters.sees_full_numbers()) for name in names
            },
        }

    def _count(self) -> dict[str, Any]:
        """Return how many contacts fit and some of them, or how many conditions are not complete."""
        rule, problems = self._checked_rule()
        if problems:
            return {"target": None, "incomplete": len(problems), "sample": [], "columns": []}
        now = clock.now()
        columns = columns_of(rule, self.properties)[:2]
        members = segments.sample(segments.matching(rule, now), [column.name for column in columns], SIDE_SAMPLE)
        return {
            "target": segments.count(rule, now),
            "incomplete": 0,
            "sample": rows_of(members, columns),
            "columns": columns,
        }

    def _reach(self) -> list[segments.Reach] | None:
        rule, problems = self._checked_rule()
        return None if problems else segments.reach(segments.matching(rule, clock.now()))

    def _read_rule(self) -> tuple[Group, list[Problem]]:
        """Return the rule as far as it can be read, and what is wrong with the rest."""
        problems: list[Problem] = []
        hides = hidden_numbers.hides(sees_full_numbers=filters.sees_full_numbers())
        return forms.rule_of(self.draft, problems, hides), problems

    def _checked_rule(self) -> tuple[Group, list[Problem]]:
        """Return the same, with what the catalogue and the limits object to."""
        rule, problems = self._read_rule()
        problems += rules.problems(rule, types_of(self.properties))
        return rule, problems or segments.ledger_problems(rule, clock.now())
