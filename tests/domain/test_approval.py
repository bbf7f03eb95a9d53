"""From which size on a second person is needed, what an approval covers, and when it no longer counts."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain import approval_digest
from smsapp.domain.approval import (
    ApprovalFacts,
    ApprovalRule,
    ApprovalStanding,
    Estimate,
    Verdict,
    is_second_person,
    standing,
)
from smsapp.domain.approval_digest import BESIDE, COVERED, HARMLESS
from smsapp.domain.draft import FIELDS, Draft
from smsapp.labels.approvals import BESIDE as BESIDE_WORDS
from smsapp.labels.campaigns import DRAFT_FIELDS


def size(messages: int, amount: str | None = None, currency: str = "CNY", parts: int = 0) -> Estimate:
    return Estimate(messages, parts or messages, None if amount is None else Decimal(amount), currency)


def values(**given: Any) -> dict[str, Any]:
    draft = Draft()
    beside: dict[str, Any] = {"text": ["1", "Hello", "", "marketing"], "second_text": None, "segment_rule": ["dynamic"]}
    return {name: getattr(draft, name) for name in FIELDS} | beside | given


@pytest.mark.parametrize("name", [*COVERED, *BESIDE])
def test_every_field_alone_changes_the_digest_and_is_named(name: str) -> None:
    before = approval_digest.hashes(values())
    after = approval_digest.hashes(values(**{name: "something else"}))
    assert approval_digest.changed(before, after) == [name]
    assert approval_digest.digest(before, {}) != approval_digest.digest(after, {})


def test_only_the_named_fields_are_harmless_and_all_others_have_words() -> None:
    assert frozenset({"name", "seeds"}) == HARMLESS
    assert set(COVERED) == {field.name for field in dataclasses.fields(Draft)} - HARMLESS
    assert {*COVERED} <= DRAFT_FIELDS.keys()
    assert {*BESIDE} <= BESIDE_WORDS.keys()
    harmless = approval_digest.hashes(values(name="renamed", seeds=False))
    assert approval_digest.changed(approval_digest.hashes(values()), harmless) == []


def test_a_field_that_was_not_known_at_the_approval_counts_as_changed() -> None:
    now = approval_digest.hashes(values())
    before = {name: mark for name, mark in now.items() if name != "mapping"}
    assert approval_digest.changed(before, now) == ["mapping"]
    assert approval_digest.changed(now, before) == ["mapping"]


def test_the_order_of_keys_changes_nothing_and_the_estimate_does() -> None:
    one = approval_digest.hashes(values(mapping={"a": {"fixed": "1"}, "b": {"fixed": "2"}}))
    other = approval_digest.hashes(values(mapping={"b": {"fixed": "2"}, "a": {"fixed": "1"}}))
    assert one == other
    assert approval_digest.digest(one, size(1).as_json()) != approval_digest.digest(one, size(2).as_json())
    assert approval_digest.short("8f3a91c2" + "0" * 56) == "8F3A91C2"


@pytest.mark.parametrize(
    ("rule", "estimate", "needed"),
    [
        (ApprovalRule(False, 1, None, 10), size(100), False),
        (ApprovalRule(True, 100, None, 10), size(99), False),
        (ApprovalRule(True, 100, None, 10), size(100), True),
        (ApprovalRule(True, 100, Decimal(5), 10), size(10, "4.99"), False),
        (ApprovalRule(True, 100, Decimal(5), 10), size(10, "5.00"), True),
        # where the amount counts, an unknown one does
        (ApprovalRule(True, None, Decimal(5), 10), size(10), True),
        (ApprovalRule(True, None, Decimal(5), 10), size(0), False),
    ],
)
def test_what_needs_a_second_person(rule: ApprovalRule, estimate: Estimate, needed: bool) -> None:
    assert rule.needs(estimate) is needed


@pytest.mark.parametrize(
    ("now", "exceeds"),
    [
        (size(110, "11.00"), False),
        (size(111, "11.00"), True),
        (size(100, "11.01"), True),
        (size(100, "10.00", "USD"), True),
        (size(1, "0.10"), False),
    ],
)
def test_an_estimate_may_be_exceeded_by_some_percent_only(now: Estimate, exceeds: bool) -> None:
    assert now.exceeds(size(100, "10.00"), 10) is exceeds


def test_without_a_price_parts_are_compared_and_a_new_price_is_a_difference() -> None:
    assert size(100, parts=120).exceeds(size(100, parts=100), 10)
    assert not size(100, parts=110).exceeds(size(100, parts=100), 10)
    assert size(100, "1.00").exceeds(size(100), 10)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 100))
def test_exactly_the_allowed_percentage_does_not_exceed(before: int, more: int, percent: int) -> None:
    is_more = size(before + more).exceeds(size(before), percent)
    assert is_more is (more * 100 > before * percent)


def test_an_estimate_survives_its_json() -> None:
    for estimate in (size(3, "0.15"), size(3)):
        assert Estimate.from_json(estimate.as_json()) == estimate


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (None, ApprovalStanding.NEEDED),
        (ApprovalFacts(Verdict.REPLACED, ()), ApprovalStanding.NEEDED),
        (ApprovalFacts("", ()), ApprovalStanding.WAITING),
        (ApprovalFacts("", ["mapping"]), ApprovalStanding.VOID),
        (ApprovalFacts(Verdict.APPROVED, ()), ApprovalStanding.APPROVED),
        (ApprovalFacts(Verdict.APPROVED, ["approver"]), ApprovalStanding.VOID),
        (ApprovalFacts(Verdict.RETURNED, ["mapping"]), ApprovalStanding.RETURNED),
    ],
)
def test_how_a_draft_stands(newest: ApprovalFacts | None, expected: ApprovalStanding) -> None:
    assert standing(needed=True, newest=newest) is expected
    assert standing(needed=False, newest=newest) is ApprovalStanding.NOT_NEEDED


def test_a_second_person_is_a_person_without_a_hand_in_it() -> None:
    assert is_second_person(3, {1, 2, None})
    assert not is_second_person(2, {1, 2})
    assert not is_second_person(None, {1})
