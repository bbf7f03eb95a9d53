"""What an AppKey may do to a contact, and the source of each value.

A *server* key is known to the organisation's servers only and may do everything. *App* and *browser* keys are public:
whoever opens the app or the page can read them. A public key adds missing values; another value for one that is set
becomes a proposal, which a person or a rule decides; erasing values and taking over ids is refused.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from smsapp.domain.contact import Properties
from smsapp.domain.profile_operation import Kind, Operation, applied, without
from smsapp.domain.rejection import Reason

MOST_NEW_NAMES = 20
"""Most new properties that one public key may add to the catalogue."""
MOST_PUBLIC_NAMES = 300
"""Most properties of the catalogue that may come from all public keys together."""
MOST_PROPOSALS = 10_000
"""Most undecided proposals of one public key; further ones are refused."""


class KeyKind(enum.StrEnum):
    """Who can read an AppKey."""

    SERVER = "server"
    APP = "app"
    BROWSER = "browser"


class Rule(enum.StrEnum):
    """The automatic decision about a public key's proposals for one property."""

    ACCEPT = "accept"
    DROP = "drop"


class ValueState(enum.StrEnum):
    """How a reported value relates to the contact's value."""

    ABSENT = "absent"
    """No value, or an empty one."""
    SAME = "same"
    SET = "set"
    """Another value."""


class Decision(enum.StrEnum):
    """The decision about one reported value."""

    APPLY = "apply"
    PROPOSE = "propose"
    REFUSE = "refuse"
    IGNORE = "ignore"
    """Nothing is done and nothing is reported back."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one AppKey may do."""

    kind: KeyKind
    writable: frozenset[str] | None = None
    """Names of the properties that it may write; None = all."""
    rules: Mapping[str, Rule] = field(default_factory=dict)
    """{property: decision about proposals}; ignored for a server key."""

    @property
    def trusted(self) -> bool:
        """Whether values it reports replace existing ones."""
        return self.kind is KeyKind.SERVER


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """One operation, divided by the decisions about its values."""

    apply: Operation | None = None
    """The operation to apply, with the values that may be written; None = nothing."""
    proposed: Properties = field(default_factory=dict)
    """{property: proposed value}"""
    refused: Mapping[str, Reason] = field(default_factory=dict)
    """{property: why it was refused}; the key "" stands for the whole operation."""


_PUBLIC: Mapping[Kind, Mapping[ValueState, Decision]] = {
    Kind.SET: {ValueState.ABSENT: Decision.APPLY, ValueState.SAME: Decision.IGNORE, ValueState.SET: Decision.PROPOSE},
    Kind.SET_ONCE: {
        ValueState.ABSENT: Decision.APPLY,
        ValueState.SAME: Decision.IGNORE,
        ValueState.SET: Decision.IGNORE,
    },
    Kind.INCREMENT: {
        ValueState.ABSENT: Decision.APPLY,
        ValueState.SAME: Decision.IGNORE,
        ValueState.SET: Decision.REFUSE,
    },
    Kind.APPEND: {ValueState.ABSENT: Decision.APPLY, ValueState.SAME: Decision.IGNORE, ValueState.SET: Decision.REFUSE},
    Kind.UNSET: {ValueState.ABSENT: Decision.IGNORE, ValueState.SAME: Decision.IGNORE, ValueState.SET: Decision.REFUSE},
    Kind.DELETE: {
        ValueState.ABSENT: Decision.IGNORE,
        ValueState.SAME: Decision.IGNORE,
        ValueState.SET: Decision.REFUSE,
    },
}
"""The decision about one value of a public key's operation. ALIAS is about ids: see `alias_problem`."""

_RULED = frozenset({Kind.SET, Kind.INCREMENT, Kind.APPEND})
"""Operations to which a rule of the key applies: a rule never erases values."""


def decide(kind: KeyKind, operation: Kind, state: ValueState, rule: Rule | None = None) -> Decision:
    """Return the decision about one value that a key of this kind reports."""
    if kind is KeyKind.SERVER:
        return Decision.APPLY
    decision = _PUBLIC[operation][state]
    if state is ValueState.SET and operation in _RULED and rule is not None:
        return Decision.APPLY if rule is Rule.ACCEPT else Decision.IGNORE
    return decision


def divide(rights: Rights, operation: Operation, properties: Mapping[str, Any]) -> GateOutcome:
    """Return the decisions about an operation on a contact with these properties.

    ALIAS is applied unchanged; check `alias_problem` first. A value may still not fit: `profile_operation.applied`
    adds it to `losses`.
    """
    if operation.kind is Kind.ALIAS:
        return GateOutcome(operation)
    if operation.kind is Kind.DELETE:
        if rights.trusted and rights.writable is None:
            return GateOutcome(operation)
        return GateOutcome(refused={"": _refusal(rights)} if properties else {})
    writable = {name for name in operation.values if rights.writable is None or name in rights.writable}
    refused = dict.fromkeys(operation.values.keys() - writable, Reason.NOT_WRITABLE)
    if rights.trusted:
        return GateOutcome(without(operation, refused) if writable or not operation.values else None, refused=refused)
    after: Properties = {}
    proposed: Properties = {}
    for name in sorted(writable):
        state = _state(properties, operation, name)
        match decide(rights.kind, operation.kind, state, rights.rules.get(name)):
            case Decision.APPLY:
                after[name] = operation.values[name]
            case Decision.PROPOSE:
                proposed[name] = operation.values[name]
            case Decision.REFUSE:
                refused[name] = Reason.PUBLIC_KEY
    # A contact is created even without values: the record adds its id.
    apply = without(operation, operation.values.keys() - after.keys()) if after or not operation.values else None
    return GateOutcome(apply, proposed, refused)


def alias_problem(rights: Rights, *, registered: bool) -> Reason | None:
    """Return why this key may not bind an anonymous id to a person; None if it may.

    `registered`: the anonymous id (`$original_id`) is that of a contact that was reported as registered, or it is bound
    to a person already.
    """
    return Reason.PUBLIC_KEY if registered and not rights.trusted else None


def leads_on(operation: Operation, *, binding_trusted: bool) -> bool:
    """Return whether a record about an anonymous id is applied to the person that the id is bound to.

    A binding by a public key counts only for records marked as anonymous: otherwise a stranger could bind the id of the
    next customer before that customer is reported.
    """
    return binding_trusted or operation.anonymous


def name_problem(rights: Rights, names_of_key: int, public_names: int) -> Reason | None:
    """Return why this key may not add one more property to the catalogue; None if it may."""
    if rights.trusted or (names_of_key < MOST_NEW_NAMES and public_names < MOST_PUBLIC_NAMES):
        return None
    return Reason.NAMES_OF_KEY


def is_empty(value: object) -> bool:
    """Return whether a value is empty, so that a public key may set it."""
    return value is None or value in ("", [])


def _refusal(rights: Rights) -> Reason:
    return Reason.NOT_WRITABLE if rights.trusted else Reason.PUBLIC_KEY


def _state(properties: Mapping[str, Any], operation: Operation, name: str) -> ValueState:
    value = properties.get(name)
    if is_empty(value):
        return ValueState.ABSENT
    if operation.kind is Kind.UNSET:
        return ValueState.SET
    probe = replace(without(operation, operation.values.keys() - {name}), losses=[])
    same = applied({name: value}, probe)[name] == value and not probe.losses
    return ValueState.SAME if same else ValueState.SET


# Sources of values


class Origin(enum.StrEnum):
    """Who has written a value; only the first letter is stored."""

    SERVER = "server"
    APP = "app"
    BROWSER = "browser"
    IMPORT = "import"
    PERSON = "person"
    KEY = "key"
    """A key of the HTTP API."""


PUBLIC = (Origin.APP, Origin.BROWSER)
"""Origins that anybody can use."""


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a value: the origin, the id of the key, import or person, and when it was written."""

    origin: Origin
    number: int
    at: dt.datetime

    def as_text(self) -> str:
        """Return the stored form, such as "b:3:1764460800" (browser key 3, Unix seconds)."""
        return f"{self.origin.value[0]}:{self.number}:{int(self.at.timestamp())}"

    @classmethod
    def from_text(cls, text: str) -> Source:
        """Return the source that `as_text` wrote."""
        letter, number, at = text.split(":")
        return cls(_ORIGINS[letter], int(number), dt.datetime.fromtimestamp(int(at), dt.UTC))


_ORIGINS = {origin.value[0]: origin for origin in Origin}


def of_key(kind: KeyKind, number: int, at: dt.datetime) -> Source:
    """Return the source for values that an AppKey reports."""
    return Source(Origin(kind.value), number, at)


def traced(
    sources: Mapping[str, str], new_sources: Mapping[str, str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, str]:
    """Return the sources of a contact's values, {property: `Source.as_text`}, after some were written.

    `new_sources` holds the source of each property that was written; `before` and `after` are the contact's properties.
    A value that did not change keeps its source, unless that one is public and the new one is not: then a trusted
    source has confirmed it.
    """
    traces = {name: text for name, text in sources.items() if name in after}
    for name, source in new_sources.items():
        if name not in after:
            continue
        confirmed = is_public(traces.get(name, "")) and not is_public(source)
        if name not in traces or confirmed or before.get(name) != after[name]:
            traces[name] = source
    return traces


def is_public(source: str) -> bool:
    """Return whether a stored source is a public key."""
    return source[:1] in _PUBLIC_LETTERS


_PUBLIC_LETTERS = frozenset(origin.value[0] for origin in PUBLIC)
