"""Segments in words: kinds, operators, a condition as a sentence, and what is wrong with a rule."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain.contact import Type
from smsapp.domain.segment import Condition, Kind, Match, Operator, Unit
from smsapp.labels.locales import lazy_gettext as _l

AFTER_VALUES = {Operator.BETWEEN_AGO: _l("ago"), Operator.ANNIVERSARY: _l("days (0 = today)")}
"""What stands behind the values of a condition."""

PROBLEMS = {
    "segment_name_missing": _l("Give the segment a name."),
    "segment_name_too_long": _l("The name may have at most %(limit)s characters."),
    "segment_name_taken": _l("Another segment has this name already. Choose a different one."),
    "segment_in_use": _l(
        "Campaigns still need this segment: %(names)s. Stop or delete them, or choose another segment there first."
    ),
    "segment_upload_again": _l("An uploaded segment is as its file was. Upload the file again to change it."),
    "segment_saved_from_report": _l("This segment is as the report was. Save the number of the report again."),
    "segment_rule_unreadable": _l("This part of the rule cannot be read. Remove it and add it again."),
    "segment_too_deep": _l("Groups may be nested at most %(limit)s deep. Move this group up."),
    "segment_too_many_conditions": _l("A rule may have at most %(limit)s conditions. Remove some, or use “is one of”."),
    "segment_group_empty": _l("This group has no condition. Add one, or remove the group."),
    "segment_property_missing": _l("Choose a property."),
    "segment_property_unknown": _l("There is no property “%(property)s” (any more). Choose another one."),
    "segment_property_type": _l(
        "The property “%(property)s” has another type than when this was saved. Choose it again."
    ),
    "segment_number_hidden": _l(
        "Anyone who may not see whole numbers can only ask whether there is one. Ask an administrator for the right."
    ),
    "segment_value_missing": _l("Fill in a value."),
    "segment_text_too_long": _l("A value may have at most %(limit)s characters."),
    "segment_too_many_values": _l("At most %(limit)s values. Upload a list of users instead."),
    "segment_number_unreadable": _l("Write a number, such as 30 or 0.5."),
    "segment_count_unreadable": _l("Write a whole number from 0 to %(limit)s."),
    "segment_date_unreadable": _l("Write a date, such as 2026-03-31."),
    "segment_range_reversed": _l("The first value must not be greater than the second."),
    "segment_file_missing": _l("Choose a file."),
    "segment_file_too_long": _l(
        "The file has more than %(limit)s lines. Split it, or import the contacts with a property."
    ),
    "segment_property_not_text": _l(
        "Lines can be matched with user ids and with properties of the types text and number."
    ),
}

LABELS: dict[Any, Any] = {
    Kind.DYNAMIC: _l("Dynamic"),
    Kind.STATIC: _l("Static"),
    Kind.UPLOADED: _l("Uploaded list"),
    Match.ALL: _l("all of these hold"),
    Match.ANY: _l("any of these holds"),
    Match.NONE: _l("none of these holds"),
    Unit.DAY: _l("days"),
    Unit.HOUR: _l("hours"),
    Operator.EQUALS: _l("is"),
    Operator.NOT_EQUALS: _l("is not"),
    Operator.ONE_OF: _l("is one of"),
    Operator.NOT_ONE_OF: _l("is none of"),
    Operator.CONTAINS: _l("contains"),
    Operator.NOT_CONTAINS: _l("does not contain"),
    Operator.STARTS_WITH: _l("starts with"),
    Operator.GREATER: _l("is greater than"),
    Operator.AT_LEAST: _l("is at least"),
    Operator.LESS: _l("is less than"),
    Operator.AT_MOST: _l("is at most"),
    Operator.BETWEEN: _l("is between"),
    Operator.TRUE: _l("is true"),
    Operator.FALSE: _l("is false"),
    Operator.DAYS: _l("is from … to …"),
    Operator.SINCE: _l("is on or after"),
    Operator.BEFORE: _l("is before"),
    Operator.WITHIN_LAST: _l("is within the last"),
    Operator.LONGER_AGO: _l("is longer ago than"),
    Operator.BETWEEN_AGO: _l("is between … and … ago"),
    Operator.WITHIN_NEXT: _l("is within the next"),
    Operator.ANNIVERSARY: _l("has its anniversary in"),
    Operator.CONTAINS_ANY: _l("contains any of"),
    Operator.CONTAINS_ALL: _l("contains all of"),
    Operator.CONTAINS_NONE: _l("contains none of"),
    Operator.SAME_SET: _l("is exactly the set"),
    Operator.HAS_VALUE: _l("has a value"),
    Operator.NO_VALUE: _l("has no value"),
}

MATCHED = {
    Match.ALL: _l("All of these hold:"),
    Match.ANY: _l("Any of these holds:"),
    Match.NONE: _l("None of these holds:"),
}

SENTENCES: dict[Operator, Any] = {
    Operator.EQUALS: _l("%(property)s is %(first)s"),
    Operator.NOT_EQUALS: _l("%(property)s is not %(first)s"),
    Operator.ONE_OF: _l("%(property)s is one of %(first)s"),
    Operator.NOT_ONE_OF: _l("%(property)s is none of %(first)s"),
    Operator.CONTAINS: _l("%(property)s contains %(first)s"),
    Operator.NOT_CONTAINS: _l("%(property)s does not contain %(first)s"),
    Operator.STARTS_WITH: _l("%(property)s starts with %(first)s"),
    Operator.GREATER: _l("%(property)s is greater than %(first)s"),
    Operator.AT_LEAST: _l("%(property)s is at least %(first)s"),
    Operator.LESS: _l("%(property)s is less than %(first)s"),
    Operator.AT_MOST: _l("%(property)s is at most %(first)s"),
    Operator.BETWEEN: _l("%(property)s is between %(first)s and %(second)s"),
    Operator.TRUE: _l("%(property)s is true"),
    Operator.FALSE: _l("%(property)s is false"),
    Operator.DAYS: _l("%(property)s is from %(first)s to %(second)s"),
    Operator.SINCE: _l("%(property)s is on or after %(first)s"),
    Operator.BEFORE: _l("%(property)s is before %(first)s"),
    Operator.WITHIN_LAST: _l("%(property)s is within the last %(first)s %(second)s"),
    Operator.LONGER_AGO: _l("%(property)s is longer ago than %(first)s %(second)s"),
    Operator.BETWEEN_AGO: _l("%(property)s is between %(first)s and %(second)s %(third)s ago"),
    Operator.WITHIN_NEXT: _l("%(property)s is within the next %(first)s %(second)s"),
    Operator.CONTAINS_ANY: _l("%(property)s contains any of %(first)s"),
    Operator.CONTAINS_ALL: _l("%(property)s contains all of %(first)s"),
    Operator.CONTAINS_NONE: _l("%(property)s contains none of %(first)s"),
    Operator.SAME_SET: _l("%(property)s is exactly the set %(first)s"),
    Operator.HAS_VALUE: _l("%(property)s has a value"),
    Operator.NO_VALUE: _l("%(property)s has no value"),
}


def phrase(condition: Condition, name: str) -> str:
    """Return the condition as a sentence; `name` is how the property is called for people."""
    if condition.operator is Operator.ANNIVERSARY:
        days: Any = condition.params[0]
        if days == 0:
            return str(_("%(property)s has its anniversary today", property=name))
        ahead = ngettext(
            "%(property)s has its anniversary in %(num)s day",
            "%(property)s has its anniversary in %(num)s days",
            days,
            property=name,
        )
        return str(ahead)
    written = [_written(value, condition.type) for value in condition.params]
    facts = dict(zip(("first", "second", "third"), written, strict=False))
    return str(SENTENCES[condition.operator]) % {"property": name, **facts}


def _written(value: Any, kind: Type) -> str:
    if isinstance(value, tuple):
        text = str(_("“%(text)s”", text=_("”, “").join(value[:5])))
        total = len(value)
        return str(_("%(shown)s and others, %(total)s in all", shown=text, total=total)) if total > 5 else text
    if isinstance(value, Unit):
        return str(LABELS[value])
    return str(_("“%(text)s”", text=value)) if kind is Type.STRING else str(value)


def matched(match: str) -> str:
    """Return the line over the sentences of a group."""
    return str(MATCHED[Match(match)])


PRESET_NAMES = {"$phone": _l("Phone number"), "$email": _l("E-mail")}


def property_name(name: str, label: str = "") -> str:
    """Return how a property is called for people: its label, with the name it is reported under."""
    title = label or str(PRESET_NAMES.get(name, ""))
    return _("%(label)s (%(name)s)", label=title, name=name) if title and title != name else name
