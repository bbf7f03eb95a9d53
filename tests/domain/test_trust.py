"""What an AppKey may do to what is there: the table of kinds, operations and values, and where values come from."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain import trust
from smsapp.domain.profile_operation import Kind, Operation, operation
from smsapp.domain.rejection import Reason
from smsapp.domain.trust import Decision, KeyKind, Origin, Rights, Rule, Source, ValueState

NOW = dt.datetime(2026, 11, 30, 8, 0, tzinfo=dt.UTC)
BROWSER = Rights(KeyKind.BROWSER)
SERVER = Rights(KeyKind.SERVER)
VALUES = [kind for kind in Kind if kind is not Kind.ALIAS]

A, P, R, I = Decision.APPLY, Decision.PROPOSE, Decision.REFUSE, Decision.IGNORE  # noqa: E741 a table of letters
TABLE = [
    # operation, value absent, the same, another; another with the rule accept, with the rule drop
    (Kind.SET, A, I, P, A, I),
    (Kind.SET_ONCE, A, I, I, I, I),
    (Kind.INCREMENT, A, I, R, A, I),
    (Kind.APPEND, A, I, R, A, I),
    (Kind.UNSET, I, I, R, R, R),
    (Kind.DELETE, I, I, R, R, R),
]


@pytest.mark.parametrize("kind", [KeyKind.APP, KeyKind.BROWSER])
@pytest.mark.parametrize(("asked", "absent", "same", "other", "accepted", "dropped"), TABLE)
def test_a_public_key_adds_proposes_and_never_erases(
    kind: KeyKind, asked: Kind, absent: Decision, same: Decision, other: Decision, accepted: Decision, dropped: Decision
) -> None:
    assert trust.decide(kind, asked, ValueState.ABSENT) is absent
    assert trust.decide(kind, asked, ValueState.SAME) is same
    assert trust.decide(kind, asked, ValueState.SET) is other
    assert trust.decide(kind, asked, ValueState.SET, Rule.ACCEPT) is accepted
    assert trust.decide(kind, asked, ValueState.SET, Rule.DROP) is dropped


@pytest.mark.parametrize("state", list(ValueState))
@pytest.mark.parametrize("asked", VALUES)
def test_a_server_key_does_everything(asked: Kind, state: ValueState) -> None:
    assert trust.decide(KeyKind.SERVER, asked, state, Rule.DROP) is Decision.APPLY


def test_one_record_is_divided_by_what_becomes_of_its_values() -> None:
    held = {"$phone": "13900000001", "city": "广州", "note": "", "tags": []}
    asked = Operation(
        Kind.SET, "u1", {"$phone": "13900000002", "city": "广州", "note": "new", "level": 3, "tags": ["a"]}
    )
    outcome = trust.divide(BROWSER, asked, held)
    assert outcome.apply is not None
    assert outcome.apply.values == {"note": "new", "level": 3, "tags": ["a"]}
    assert outcome.proposed == {"$phone": "13900000002"}
    assert not outcome.refused


def test_a_contact_nobody_knows_is_made_by_a_public_key() -> None:
    outcome = trust.divide(BROWSER, Operation(Kind.SET, "new", {"$phone": "13900000002"}), {})
    assert outcome.apply is not None
    assert outcome.apply.values == {"$phone": "13900000002"}
    bare = trust.divide(BROWSER, Operation(Kind.SET, "bare"), {})
    assert bare.apply is not None


def test_a_public_key_counts_on_and_appends_to_nothing_that_is_there() -> None:
    held = {"points": 5, "tags": ["a"]}
    counted = trust.divide(BROWSER, Operation(Kind.INCREMENT, "u1", {"points": 1, "visits": 1}), held)
    assert counted.apply is not None
    assert counted.apply.values == {"visits": 1}
    assert counted.refused == {"points": Reason.PUBLIC_KEY}
    appended = trust.divide(BROWSER, Operation(Kind.APPEND, "u1", {"tags": ["a"]}), held)
    assert appended == trust.GateOutcome()
    allowed = Rights(KeyKind.APP, rules={"points": Rule.ACCEPT})
    allowed_to_count = trust.divide(allowed, Operation(Kind.INCREMENT, "u1", {"points": 1}), held)
    assert allowed_to_count.apply is not None


def test_erasing_is_refused_where_something_is_there() -> None:
    held = {"city": "广州"}
    assert trust.divide(BROWSER, Operation(Kind.DELETE, "u1"), held).refused == {"": Reason.PUBLIC_KEY}
    assert trust.divide(BROWSER, Operation(Kind.DELETE, "u1"), {}) == trust.GateOutcome()
    unset = trust.divide(BROWSER, Operation(Kind.UNSET, "u1", {"city": "", "gone": ""}), held)
    assert unset == trust.GateOutcome(refused={"city": Reason.PUBLIC_KEY})
    assert trust.divide(SERVER, Operation(Kind.DELETE, "u1"), held).apply is not None


@pytest.mark.parametrize("kind", list(KeyKind))
def test_a_key_writes_only_the_properties_of_its_list(kind: KeyKind) -> None:
    rights = Rights(kind, frozenset({"city"}))
    outcome = trust.divide(rights, Operation(Kind.SET, "u1", {"city": "广州", "$phone": "13900000002"}), {})
    assert outcome.apply is not None
    assert outcome.apply.values == {"city": "广州"}
    assert outcome.refused == {"$phone": Reason.NOT_WRITABLE}
    assert trust.divide(rights, Operation(Kind.DELETE, "u1"), {"city": "广州"}).apply is None
    assert trust.divide(rights, Operation(Kind.SET, "u1", {"$phone": "13900000002"}), {}).apply is None


def test_only_a_server_key_makes_a_registered_id_anothers_anonymous_one() -> None:
    assert trust.alias_problem(BROWSER, registered=True) is Reason.PUBLIC_KEY
    assert trust.alias_problem(BROWSER, registered=False) is None
    assert trust.alias_problem(SERVER, registered=True) is None


@pytest.mark.parametrize(
    ("says", "anonymous"),
    [({}, False), ({"$is_login": True}, False), ({"$is_login": False}, True), ({"$is_login": 0}, True)],
)
def test_a_binding_of_a_public_key_leads_anonymous_records_on_and_no_others(
    says: dict[str, object], anonymous: bool
) -> None:
    asked = operation({"xwho": "QH009999", "xwhat": "$profile_set", "xcontext": {"city": "广州", **says}}, {})
    assert asked is not None
    assert asked.anonymous is anonymous
    assert trust.leads_on(asked, binding_trusted=False) is anonymous
    assert trust.leads_on(asked, binding_trusted=True)


def test_a_public_key_cannot_use_up_or_squat_the_catalogue() -> None:
    assert trust.name_problem(BROWSER, trust.MOST_NEW_NAMES - 1, 0) is None
    assert trust.name_problem(BROWSER, trust.MOST_NEW_NAMES, 0) is Reason.NAMES_OF_KEY
    assert trust.name_problem(BROWSER, 0, trust.MOST_PUBLIC_NAMES) is Reason.NAMES_OF_KEY
    assert trust.name_problem(SERVER, 10_000, 10_000) is None


def test_a_source_is_stored_as_a_short_text() -> None:
    source = trust.of_key(KeyKind.BROWSER, 3, NOW)
    assert source.as_text() == f"b:3:{int(NOW.timestamp())}"
    assert Source.from_text(source.as_text()) == source
    for origin in Origin:
        assert trust.is_public(Source(origin, 1, NOW).as_text()) is (origin in trust.PUBLIC)


def test_each_value_keeps_the_source_that_wrote_it() -> None:
    browser, server = trust.of_key(KeyKind.BROWSER, 3, NOW).as_text(), trust.of_key(KeyKind.SERVER, 1, NOW).as_text()
    before = {"$phone": "1", "city": "广州", "old": 1}
    sources = {"$phone": browser, "city": server, "old": server}
    after = {"$phone": "1", "city": "北京", "level": 3}
    traced = trust.traced(sources, dict.fromkeys(("city", "level", "old"), browser), before, after)
    assert traced == {"$phone": browser, "city": browser, "level": browser}


def test_a_trusted_source_that_says_the_same_makes_a_value_trusted_and_no_public_one_takes_it_back() -> None:
    browser, server = trust.of_key(KeyKind.BROWSER, 3, NOW).as_text(), trust.of_key(KeyKind.SERVER, 1, NOW).as_text()
    held = {"$phone": "1"}
    assert trust.traced({"$phone": browser}, {"$phone": server}, held, held) == {"$phone": server}
    assert trust.traced({"$phone": server}, {"$phone": browser}, held, held) == {"$phone": server}


def test_a_trusted_value_that_is_said_again_keeps_the_source_that_said_it_first() -> None:
    first, second = trust.of_key(KeyKind.SERVER, 1, NOW).as_text(), trust.of_key(KeyKind.SERVER, 2, NOW).as_text()
    browser = trust.of_key(KeyKind.BROWSER, 3, NOW).as_text()
    held = {"city": "广州", "level": 3}
    assert trust.traced({"city": first}, {"gone": second, "city": second}, held, held) == {"city": first}
    assert trust.traced({"city": browser}, {"city": browser}, held, held) == {"city": browser}
    # what is removed has no source, and what stands behind it in the record has one
    assert trust.traced({}, {"gone": second, "level": second}, {}, held) == {"level": second}


@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        (Rights(KeyKind.SERVER, frozenset({"city"})), Reason.NOT_WRITABLE),
        (Rights(KeyKind.APP), Reason.PUBLIC_KEY),
        (Rights(KeyKind.BROWSER, frozenset({"city"})), Reason.PUBLIC_KEY),
    ],
)
def test_a_key_that_may_not_delete_a_contact_is_told_why(rights: Rights, reason: Reason) -> None:
    asked = Operation(Kind.DELETE, "u1")
    assert trust.divide(rights, asked, {"city": "广州"}) == trust.GateOutcome(refused={"": reason})
    assert trust.divide(rights, asked, {}) == trust.GateOutcome()


def test_an_alias_is_applied_as_it_is() -> None:
    asked = Operation(Kind.ALIAS, "u1")
    assert trust.divide(BROWSER, asked, {"city": "广州"}) == trust.GateOutcome(asked)


@pytest.mark.parametrize(("value", "empty"), [(None, True), ("", True), ([], True), (0, False), (False, False)])
def test_a_public_key_fills_in_only_what_is_empty(value: object, empty: bool) -> None:
    assert trust.is_empty(value) is empty
