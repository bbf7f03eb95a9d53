"""The form of the segment builder: a rule as typed so far, and its conversion to and from a Group.

Fields are named by their place: `rule.match` and, for its second child, `rule.1.property`, `rule.1.operator` and
`rule.1.value.0`, or `rule.1.match` if that child is a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flask_wtf.file import FileField
from wtforms import RadioField, SelectField, StringField

from smsapp.domain import ledger_condition
from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem
from smsapp.domain.ledger_condition import LEDGER_OPERATORS, LedgerCondition, LedgerOperator, LedgerParam
from smsapp.domain.segment import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    OPERATORS,
    Condition,
    Group,
    Kind,
    Match,
    Operator,
    Param,
    Unit,
    Value,
)
from smsapp.domain.segment_reader import read_condition
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.contacts.hidden_numbers import Hides
from smsapp.web.forms import PageForm, options
from smsapp.web.forms.tags import TagFields

ROOT = "rule"
LEDGER = "=ledger"
"""What is chosen in place of a property for a condition on the ledger; no property is called like this."""
INPUTS: dict[Param, dict[str, str]] = {
    Param.TEXT: {},
    Param.NUMBER: {"inputmode": "decimal"},
    Param.DATE: {"type": "date"},
    Param.COUNT: {"type": "number", "min": "0", "step": "1"},
}
"""What is typed into one line, and the attributes of its control; a unit is chosen, and texts have a larger box."""


@dataclass
class ConditionDraft:
    """A condition with its parameters as typed; `operator` always fits the property's type."""

    name: str = ""
    operator: str = ""
    typed: list[str] = field(default_factory=list)
    type: Type | None = None
    fresh: bool = False
    """Just added: it gets the focus."""

    @property
    def is_ledger(self) -> bool:
        """Whether it asks for what was sent or answered, not for a property."""
        return self.name == LEDGER

    @property
    def ledger_params(self) -> list[tuple[LedgerParam, str]]:
        """What to fill in for a condition on the ledger, with what was filled in so far."""
        params = LEDGER_OPERATORS[LedgerOperator(self.operator)]
        return list(zip(params, [*self.typed, "", "", ""][: len(params)], strict=True))

    @property
    def words(self) -> list[str]:
        """The lines of all that was typed."""
        return [word for text in self.typed for word in text.splitlines()]

    @property
    def operators(self) -> list[Operator]:
        return list(OPERATORS[self.type]) if self.type else []

    @property
    def params(self) -> list[tuple[Param, str]]:
        """What to fill in, with what was filled in so far."""
        if self.type is None:
            return []
        operator_params = OPERATORS[self.type][Operator(self.operator)]
        texts = self.typed + [""] * len(operator_params)
        return list(zip(operator_params, texts[: len(operator_params)], strict=True))

    @property
    def takes_text(self) -> bool:
        """Whether a text is filled in first, for which frequent values are offered while it is typed."""
        return bool(self.params) and self.params[0][0] is Param.TEXT

    @property
    def takes_texts(self) -> bool:
        """Whether texts are filled in, one a line, beside which frequent values are shown."""
        return bool(self.params) and self.params[0][0] is Param.TEXTS


@dataclass
class GroupDraft:
    match: str = Match.ALL
    children: list[ConditionDraft | GroupDraft] = field(default_factory=list)


Draft = ConditionDraft | GroupDraft


class SegmentForm(TagFields, PageForm):
    name = StringField(_l("Name"))
    kind = RadioField(
        _l("Members"),
        choices=options([(Kind.DYNAMIC.value, _l("Dynamic")), (Kind.STATIC.value, _l("Static"))]),
        default=Kind.DYNAMIC.value,
    )


class UploadForm(TagFields, PageForm):
    name = StringField(_l("Name"))
    file = FileField(_l("File"))
    property = SelectField(_l("The lines are"), validate_choice=False)


class NameForm(PageForm):
    name = StringField(_l("Name"))


def read_draft(fields: Mapping[str, str], types: Mapping[str, Type]) -> GroupDraft:
    """Return the rule as the form holds it; what exceeds the limits of depth or number by far is ignored."""
    children: dict[str, set[int]] = {}
    for name in fields:
        parts = name.split(".")
        if parts[0] != ROOT or len(parts) > MAX_DEPTH + 4:
            continue
        for depth, part in enumerate(parts[1:-1], 1):
            if not part.isdecimal() or len(part) > 3:
                break
            children.setdefault(".".join(parts[:depth]), set()).add(int(part))
    return _read_group(ROOT, fields, children, types)


def _read_group(
    place: str, fields: Mapping[str, str], children: Mapping[str, set[int]], types: Mapping[str, Type]
) -> GroupDraft:
    match = fields.get(f"{place}.match", "")
    group = GroupDraft(match if match in list(Match) else Match.ALL)
    for number in sorted(children.get(place, ()))[: 2 * MAX_CONDITIONS]:
        child_place = f"{place}.{number}"
        if f"{child_place}.match" in fields:
            group.children.append(_read_group(child_place, fields, children, types))
        else:
            group.children.append(_read_condition(child_place, fields, types))
    return group


def _read_condition(place: str, fields: Mapping[str, str], types: Mapping[str, Type]) -> ConditionDraft:
    name = fields.get(f"{place}.property", "")
    kind = types.get(name)
    operator = fields.get(f"{place}.operator", "")
    if name == LEDGER and operator not in set(LedgerOperator):
        operator = LedgerOperator.RECEIVED
    if kind and operator not in OPERATORS[kind]:
        operator = next(iter(OPERATORS[kind]))
    texts = [fields.get(f"{place}.value.{number}", "") for number in range(3)]
    return ConditionDraft(name, operator, texts, kind)


def draft_of(rule: Group, types: Mapping[str, Type]) -> GroupDraft:
    """Return the form of a stored rule; a property that is gone keeps its name and must be chosen again."""
    return GroupDraft(rule.match, [_draft_of(child, types) for child in rule.children])


def _draft_of(child: Condition | LedgerCondition | Group, types: Mapping[str, Type]) -> Draft:
    if isinstance(child, Group):
        return draft_of(child, types)
    if isinstance(child, LedgerCondition):
        return ConditionDraft(LEDGER, child.operator, child.typed)
    kind = child.type if types.get(child.property) is child.type else None
    return ConditionDraft(child.property, child.operator, [_value_text(value) for value in child.params], kind)


def _value_text(value: Value) -> str:
    return "\n".join(value) if isinstance(value, tuple) else str(value)


def rule_of(draft: GroupDraft, problems: list[Problem], hides: Hides, place: str = ROOT) -> Group:
    """Return the rule this form asks for, as far as it can be read; what is wrong is added to `problems`.

    What `hides` names is not for this reader: its count would reveal the digits of a number.
    """
    children: list[Condition | LedgerCondition | Group] = []
    for number, child in enumerate(draft.children):
        child_place = f"{place}.{number}"
        if isinstance(child, GroupDraft):
            children.append(rule_of(child, problems, hides, child_place))
        elif child.is_ledger:
            about_ledger = ledger_condition.read(LedgerOperator(child.operator), child.typed, child_place, problems)
            if about_ledger:
                children.append(about_ledger)
        elif child.type is None:
            code = "segment_property_unknown" if child.name else "segment_property_missing"
            problems.append(Problem(code, child_place, {"property": child.name}))
        elif hides(child.name, child.type, Operator(child.operator), child.words):
            problems.append(Problem("segment_number_hidden", child_place))
        else:
            condition = read_condition(
                child.name, child.type, Operator(child.operator), child.typed, child_place, problems
            )
            if condition:
                children.append(condition)
    return Group(Match(draft.match), tuple(children))


def at(draft: GroupDraft, place: str) -> Draft | None:
    """Return the group or condition at this place ("rule.0.2"), or None."""
    node: Draft = draft
    for part in place.split(".")[1:]:
        if not isinstance(node, GroupDraft) or not part.isdecimal() or int(part) >= len(node.children):
            return None
        node = node.children[int(part)]
    return node


def control_id(draft: GroupDraft, place: str) -> str:
    """Return the id of the control at which an error of this place is read out."""
    node, id_ = at(draft, place), place.replace(".", "-")
    if isinstance(node, GroupDraft):
        return f"{id_}-match"
    has_value = node is not None and (node.is_ledger or bool(node.type and node.params))
    return f"{id_}-value-0" if has_value else f"{id_}-property"


def change(draft: GroupDraft, verb: str, place: str) -> None:
    """Apply a button of the builder: add a condition, add a group, or remove what is at this place."""
    target = at(draft, place)
    if verb == "remove":
        parent = at(draft, place.rpartition(".")[0]) if "." in place else None
        if target is not None and isinstance(parent, GroupDraft):
            del parent.children[int(place.rpartition(".")[2])]
    elif isinstance(target, GroupDraft) and verb == "add":
        target.children.append(ConditionDraft(fresh=True))
    elif isinstance(target, GroupDraft) and verb == "group":
        target.children.append(GroupDraft(Match.ANY, [ConditionDraft(fresh=True)]))


def conditions(draft: GroupDraft) -> Iterator[ConditionDraft]:
    for child in draft.children:
        if isinstance(child, GroupDraft):
            yield from conditions(child)
        else:
            yield child


UNITS = tuple(Unit)
