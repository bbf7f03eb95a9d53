"""What an AppKey may do to a contact, and where a value came from.

A *server* key is known to the organisation's servers only and may do everything. *App* and *browser* keys are public:
whoever opens the app or the page can read them. A public key adds what is not there; what it says about a value that
is set is a proposal, which a person or a rule decides; what would erase or take over is refused.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from smsapp.domain.contact import Kind, Operation, Properties, Reason, applied, without

MOST_NEW_NAMES = 20
"""So many properties that nobody had reported before a public key may add to the catalogue."""
MOST_PUBLIC_NAMES = 300
"""So many of the catalogue's properties may come from public keys, all of them together."""
MOST_PROPOSALS = 10_000
"""So many proposals of one public key wait for a decision; further ones are refused."""


class KeyKind(enum.StrEnum):
    """Who can read an AppKey."""

    SERVER = "server"
    APP = "app"
    BROWSER = "browser"


class Rule(enum.StrEnum):
    """What is done, without asking a person, with a public key's proposals for one property."""

    ACCEPT = "accept"
    DROP = "drop"


class State(enum.StrEnum):
    """How a value that is reported relates to the one that the contact has."""

    ABSENT = "absent"
    """No value, or an empty one."""
    SAME = "same"
    SET = "set"
    """Another value."""


class Decision(enum.StrEnum):
    """What becomes of one reported value."""

    APPLY = "apply"
    PROPOSE = "propose"
    REFUSE = "refuse"
    IGNORE = "ignore"
    """Nothing is to be done and nothing to be told."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one AppKey may do."""

    kind: KeyKind
    writable: frozenset[str] | None = None
    """Names of the properties that it may write; None = all."""
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """{property: what is done with proposals}; of no meaning for a server key."""

    @property
    def trusted(self) -> bool:
        """Say whether what it reports replaces values."""
        return self.kind is KeyKind.SERVER


@dataclass(frozen=True, slots=True)
class Outcome:
    """One operation, divided by what becomes of its values."""

    apply: Operation | None = None
    """What is to be applied, with the values that may be written; None = nothing."""
    proposed: Properties = field(default_factory=dict)
    """{property: the value that it would have}"""
    refused: Mapping[str, Reason] = field(default_factory=dict)
    """{property: why nothing is kept of it}; "" stands for the whole operation."""


_PUBLIC: Mapping[Kind, Mapping[State, Decision]] = {
    Kind.SET: {State.ABSENT: Decision.APPLY, State.SAME: Decision.IGNORE, State.SET: Decision.PROPOSE},
    Kind.SET_ONCE: {State.ABSENT: Decision.APPLY, State.SAME: Decision.IGNORE, State.SET: Decision.IGNORE},
    Kind.INCREMENT: {State.ABSENT: Decision.APPLY, State.SAME: Decision.IGNORE, State.SET: Decision.REFUSE},
    Kind.APPEND: {State.ABSENT: Decision.APPLY, State.SAME: Decision.IGNORE, State.SET: Decision.REFUSE},
    Kind.UNSET: {State.ABSENT: Decision.IGNORE, State.SAME: Decision.IGNORE, State.SET: Decision.REFUSE},
    Kind.DELETE: {State.ABSENT: Decision.IGNORE, State.SAME: Decision.IGNORE, State.SET: Decision.REFUSE},
}
"""What a public key's operation does to one value. ALIAS is about ids: see `alias_problem`."""

_RULED = frozenset({Kind.SET, Kind.INCREMENT, Kind.APPEND})
"""Operations for which a rule of the key counts: a rule never erases."""


def decide(kind: KeyKind, operation: Kind, state: State, rule: Rule | None = None) -> Decision:
    """Return what becomes of one value that a key of this kind reports."""
    if kind is KeyKind.SERVER:
        return Decision.APPLY
    decision = _PUBLIC[operation][state]
    if state is State.SET and operation in _RULED and rule is not None:
        return Decision.APPLY if rule is Rule.ACCEPT else Decision.IGNORE
    return decision


def divide(rights: Rights, asked: Operation, held: Mapping[str, Any]) -> Outcome:
    """Return what becomes of an operation on a contact that holds these properties.

    ALIAS is applied as it is; ask `alias_problem` first. A value may still not fit: `contact.applied` puts it
    into `losses`.
    """
    if asked.kind is Kind.ALIAS:
        return Outcome(asked)
    if asked.kind is Kind.DELETE:
        if rights.trusted and rights.writable is None:
            return Outcome(asked)
        return Outcome(refused={"": _refusal(rights)} if held else {})
    writable = {name for name in asked.values if rights.writable is None or name in rights.writable}
    refused = dict.fromkeys(asked.values.keys() - writable, Reason.NOT_WRITABLE)
    if rights.trusted:
        return Outcome(without(asked, refused) if writable or not asked.values else None, refused=refused)
    after: Properties = {}
    proposed: Properties = {}
    for name in sorted(writable):
        state = _state(held, asked, name)
        match decide(rights.kind, asked.kind, state, rights.rules.get(name)):
            case Decision.APPLY:
                after[name] = asked.values[name]
            case Decision.PROPOSE:
                proposed[name] = asked.values[name]
            case Decision.REFUSE:
                refused[name] = Reason.PUBLIC_KEY
    # A contact that nothing is known about is made all the same: its id is what the record adds.
    apply = without(asked, asked.values.keys() - after.keys()) if after or not asked.values else None
    return Outcome(apply, proposed, refused)


def alias_problem(rights: Rights, *, registered: bool) -> Reason | None:
    """Return why this key may not make an id an anonymous one of another person's.

    `registered` says that the anonymous id (`$original_id`) is that of a contact which somebody has reported as
    registered, or that it stands for a person already.
    """
    return Reason.PUBLIC_KEY if registered and not rights.trusted else None


def leads_on(asked: Operation, *, binding_trusted: bool) -> bool:
    """Say whether a record about an anonymous id goes to the person that the id is bound to.

    A binding that a public key has made leads only such records on as call themselves anonymous: otherwise a stranger
    could bind the id of the next customer before that customer is reported.
    """
    return binding_trusted or asked.anonymous


def name_problem(rights: Rights, names_of_key: int, public_names: int) -> Reason | None:
    """Return why this key may not add one more property to the catalogue, beside those that are there."""
    if rights.trusted or (names_of_key < MOST_NEW_NAMES and public_names < MOST_PUBLIC_NAMES):
        return None
    return Reason.NAMES_OF_KEY


def is_empty(value: object) -> bool:
    """Say whether a public key may fill this value in."""
    return value is None or value in ("", [])


def _refusal(rights: Rights) -> Reason:
    return Reason.NOT_WRITABLE if rights.trusted else Reason.PUBLIC_KEY


def _state(held: Mapping[str, Any], asked: Operation, name: str) -> State:
    value = held.get(name)
    if is_empty(value):
        return State.ABSENT
    if asked.kind is Kind.UNSET:
        return State.SET
    probe = replace(without(asked, asked.values.keys() - {name}), losses=[])
    same = applied({name: value}, probe)[name] == value and not probe.losses
    return State.SAME if same else State.SET


# Where a value came from


class Origin(enum.StrEnum):
    """Who has written a value; the first letter is what is stored."""

    SERVER = "server"
    APP = "app"
    BROWSER = "browser"
    IMPORT = "import"
    PERSON = "person"


PUBLIC = (Origin.APP, Origin.BROWSER)
"""Origins that anybody can use."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from: the origin, the number of the key, import or person in its table, and when."""

    origin: Origin
    number: int
    at: dt.datetime

    def as_text(self) -> str:
        """Return what is stored beside the contact: "b:3:1764460800" (browser key 3, seconds since 1970)."""
        return f"{self.origin.value[0]}:{self.number}:{int(self.at.timestamp())}"

    @classmethod
    def from_text(cls, text: str) -> Source:
        """Return what `as_text` has written."""
        letter, number, at = text.split(":")
        return cls(_ORIGINS[letter], int(number), dt.datetime.fromtimestamp(int(at), dt.UTC))


_ORIGINS = {origin.value[0]: origin for origin in Origin}


def of_key(kind: KeyKind, number: int, at: dt.datetime) -> Source:
    """Return the source of what an AppKey reports."""
    return Source(Origin(kind.value), number, at)


def traced(
    sources: Mapping[str, str], written: Mapping[str, str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, str]:
    """Return the sources of a contact's values, {property: `Source.as_text`}, after some were written.

    `written` holds the source of each property that was written.

    A value that was written with what it was keeps its source, unless that one was public and this one is not: then
    somebody trusted has said the same.
    """
    traces = {name: text for name, text in sources.items() if name in after}
    for name, source in written.items():
        if name not in after:
            continue
        confirmed = is_public(traces.get(name, "")) and not is_public(source)
        if name not in traces or confirmed or before.get(name) != after[name]:
            traces[name] = source
    return traces


def is_public(source: str) -> bool:
    """Say whether a stored source is a public key."""
    return source[:1] in _PUBLIC_LETTERS


_PUBLIC_LETTERS = frozenset(origin.value[0] for origin in PUBLIC)
