"""A campaign's statuses, the actions that change them, and the problems of a draft."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smsapp.domain.errors import Problem


class Status(enum.StrEnum):
    DRAFT = "draft"
    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    STOPPED = "stopped"


class Action(enum.StrEnum):
    EDIT = "edit"
    LAUNCH = "launch"
    SCHEDULE = "schedule"
    START = "start"
    REST = "rest"
    FINISH = "finish"
    FAIL = "fail"
    STOP = "stop"
    END = "end"
    RETRY = "retry"
    DELETE = "delete"
    ARCHIVE = "archive"


MOVES: dict[Action, tuple[frozenset[Status], Status | None]] = {
    # action: (statuses it is allowed in, the new status; None = the status stays)
    Action.EDIT: (frozenset({Status.DRAFT}), Status.DRAFT),
    Action.LAUNCH: (frozenset({Status.DRAFT}), Status.SENDING),
    Action.SCHEDULE: (frozenset({Status.DRAFT}), Status.WAITING),
    Action.START: (frozenset({Status.WAITING}), Status.SENDING),
    Action.REST: (frozenset({Status.SENDING}), Status.WAITING),
    Action.FINISH: (frozenset({Status.SENDING}), Status.SENT),
    Action.FAIL: (frozenset({Status.SENDING}), Status.FAILED),
    Action.STOP: (frozenset({Status.WAITING}), Status.STOPPED),
    Action.END: (frozenset({Status.SENDING}), Status.STOPPED),
    Action.RETRY: (frozenset({Status.SENT, Status.FAILED, Status.WAITING}), Status.SENDING),
    # Only a campaign that never had a run is deleted: what was sent keeps its report, and is archived instead.
    Action.DELETE: (frozenset({Status.DRAFT, Status.FAILED, Status.STOPPED}), None),
    Action.ARCHIVE: (frozenset({Status.SENT, Status.FAILED, Status.STOPPED}), None),
}

IN_THE_LIST = (Action.EDIT, Action.STOP, Action.ARCHIVE, Action.DELETE)
"""Actions offered in a row of the list; "save as" and "effect" change nothing and are offered beside them."""


def may(action: Action, status: Status) -> bool:
    """Return whether the action is allowed in this status."""
    return status in MOVES[action][0]


def offered(status: Status) -> list[Action]:
    """Return the actions a person may take now; the list draws one button for each."""
    return [action for action in IN_THE_LIST if may(action, status)]


LONGEST_NAME = 120
GIVEN = "given"
"""In a mapping: the value of this variable comes with each request for a single message (domain/single_message.py)."""


class Tab(enum.StrEnum):
    """The tabs of the list."""

    ALL = "all"
    SINGLE = "single"
    RECURRING = "recurring"


class Sort(enum.StrEnum):
    """The orders of the list."""

    NEWEST = "newest"
    NAME = "name"
    DUE = "due"


class ExclusionReason(enum.StrEnum):
    """Why a targeted contact gets no message, by precedence: the first reason that holds counts."""

    NO_NUMBER = "no_number"
    INVALID_NUMBER = "invalid_number"
    UNTRUSTED_NUMBER = "untrusted_number"
    """A public AppKey has reported the number, and the channel requires numbers from trusted sources."""
    NUMBER_CLASS = "number_class"
    """Not a mobile number, and of no other class the channel allows."""
    COUNTRY = "country"
    """A number of a country to which the channel does not send."""
    OPTED_OUT = "opted_out"
    EXCLUDED_SEGMENT = "excluded_segment"
    """In a segment that the campaign leaves out."""
    NO_CONSENT = "no_consent"
    """The campaign asks for consent, and the person has not agreed to such texts or has withdrawn it."""
    FREQUENCY_CAP = "frequency_cap"
    MISSING_VALUE = "missing_value"
    UNFIT_VALUE = "unfit_value"
    """A value that may not fill its variable (`domain/bounds.py`): too long, a link, a contact detail, a line break."""
    ALSO_GETS = "also_gets"
    """The number gets a campaign within 48 hours that this one leaves out by choice (`domain/leave_out.py`)."""
    SAME_TEXT = "same_text"
    """The number was sent the same words lately, and the campaign leaves such people out by choice."""
    CARRIER_LEFT_OUT = "carrier_left_out"
    """A person leaves the numbers of this carrier out of the campaign, because it would not let the texts through."""
    NUMBER_LIMIT = "number_limit"
    """The channel's messages of the day to numbers of this country or prefix are used up. Behind all reasons that lie
    with the person, so that only those who would get a message count."""
    DUPLICATE_NUMBER = "duplicate_number"
    """Another contact with the same number gets the message. Last, so that the other one really gets it."""


@dataclass(frozen=True)
class SecondFacts:
    """The data of the failover channel and its template for `problems`."""

    same_channel: bool
    active: bool
    chosen: bool
    of_channel: bool = False
    approved: bool = False
    fits: bool = False
    """The variables can take the same values in the same order."""
    same_purpose: bool = False
    archived: bool = False
    asks_for_trusted_numbers: bool = False
    """It requires trusted numbers and the first channel does not, so it cannot take over that one's messages."""


@dataclass(frozen=True, kw_only=True)
class TextFacts:
    """The data of a draft for `text_problems`; None = not chosen, or deleted meanwhile."""

    channel_id: int | None
    channel_active: bool
    template_id: int | None
    template_approved: bool
    template_of_channel: bool
    template_archived: bool = False
    unmapped: Sequence[str]
    unfit: Sequence[Problem]
    """Texts that a person typed and that may not fill their variables."""


@dataclass(frozen=True, kw_only=True)
class DraftFacts(TextFacts):
    """The data of a draft for `problems`."""

    name: str
    included: int
    """How many segments are chosen and there."""
    gone: int
    """How many chosen segments have been deleted."""
    second: SecondFacts | None
    """The second channel, if one is chosen."""
    schedule_problems: Sequence[Problem]
    unreadable: Sequence[Problem] = ()
    """Why the rule of a chosen segment cannot be answered."""
    archived: Sequence[str] = ()
    """Names of chosen segments that are archived."""


def unmapped(names: Iterable[str], mapping: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the template's variables that are mapped to nothing: no property, no fixed text, no value given with each
    request."""
    sources = {name: mapping.get(name, {}) for name in names}
    return [name for name, source in sources.items() if not any(map(source.get, ("property", "fixed", GIVEN)))]


def personal(names: Iterable[str], mapping: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the variables whose values differ from person to person, in the template's order."""
    return [name for name in names if {"property", GIVEN} & mapping.get(name, {}).keys()]


def problems(draft: DraftFacts) -> list[Problem]:
    """Return what prevents this draft from being launched, in the order of the form's sections."""
    problems: list[Problem] = []
    if not draft.name.strip():
        problems.append(Problem("name_missing", "name"))
    if draft.gone:
        problems.append(Problem("segment_gone", "segment"))
    elif not draft.included:
        problems.append(Problem("segment_missing", "segment"))
    problems.extend(Problem("segment_archived", "segment", {"name": name}) for name in draft.archived)
    problems.extend(draft.unreadable)
    problems.extend(text_problems(draft))
    problems.extend(_second_problems(draft.second) if draft.second else ())
    problems.extend(draft.schedule_problems)
    return problems


def text_problems(draft: TextFacts) -> list[Problem]:
    """Return what keeps the draft's text from being finished, in the order of the form's sections."""
    problems: list[Problem] = []
    if draft.channel_id is None:
        problems.append(Problem("channel_missing", "channel"))
    elif not draft.channel_active:
        problems.append(Problem("channel_inactive", "channel"))
    if draft.template_id is None:
        problems.append(Problem("template_missing", "template"))
    elif not draft.template_of_channel:
        problems.append(Problem("template_of_another_channel", "template"))
    elif not draft.template_approved:
        problems.append(Problem("template_not_approved", "template"))
    elif draft.template_archived:
        problems.append(Problem("template_archived", "template"))
    problems.extend(Problem("variable_unmapped", "template", {"variable": name}) for name in draft.unmapped)
    problems.extend(draft.unfit)
    return problems


def _second_problems(second: SecondFacts) -> list[Problem]:
    if second.same_channel:
        return [Problem("second_channel_same", "channel")]
    if not second.active:
        return [Problem("second_channel_inactive", "channel")]
    if not second.chosen or not second.of_channel:
        return [Problem("second_template_missing", "template")]
    if not second.approved:
        return [Problem("second_template_not_approved", "template")]
    if second.archived:
        return [Problem("second_template_archived", "template")]
    problems = []
    if not second.fits:
        problems.append(Problem("second_variables_differ", "template"))
    if not second.same_purpose:
        problems.append(Problem("second_purpose_differs", "template"))
    if second.asks_for_trusted_numbers:
        problems.append(Problem("second_trusts_less", "channel"))
    return problems
