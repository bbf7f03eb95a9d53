"""Whom a campaign is for, and conditions on what was sent: as stored, as typed, as written."""

from __future__ import annotations

import pytest

from smsapp.domain import segment_reader
from smsapp.domain.audience_rule import MOST_SEGMENTS, AudienceRule, NamedAudience, problems
from smsapp.domain.errors import Refusal
from smsapp.domain.ledger_condition import LEDGER_OPERATORS, LedgerCondition, LedgerOperator, LedgerParam
from smsapp.domain.segment import Group, Match

RULE = AudienceRule(Match.ALL, (1, 2), (3,))


def test_a_rule_comes_back_from_its_json() -> None:
    assert AudienceRule.from_json(RULE.as_json()) == RULE
    assert RULE.ids == (1, 2, 3)
    assert RULE.without([2, 3]) == AudienceRule(Match.ALL, (1,))


@pytest.mark.parametrize(
    ("rule", "only"),
    [(AudienceRule(), None), (AudienceRule.of(7), 7), (AudienceRule.of(None), None), (RULE, None),
     (AudienceRule(include=(7,), exclude=(8,)), None), (AudienceRule(exclude=(8,)), None)],
)  # fmt: skip
def test_only_one_segment_and_nothing_left_out_is_what_the_version_before_can_send(
    rule: AudienceRule, only: int | None
) -> None:
    assert rule.only == only


def test_what_no_draft_may_name() -> None:
    many = tuple(range(MOST_SEGMENTS + 1))
    assert [problem.code for problem in problems(AudienceRule(include=(1,), exclude=(1,)))] == ["segment_on_both_sides"]
    assert [problem.code for problem in problems(AudienceRule(include=many))] == ["segments_too_many"]
    assert problems(RULE) == []


@pytest.mark.parametrize(
    ("audience", "written"),
    [
        (NamedAudience(), ""),
        (NamedAudience(include=("A",)), "A"),
        (NamedAudience(Match.ALL, ("A", "B")), "A ∩ B"),
        (NamedAudience(Match.ANY, ("A", "B"), ("C", "D")), "(A ∪ B) ∖ C ∖ D"),
    ],
)
def test_an_audience_is_written_in_signs(audience: NamedAudience, written: str) -> None:
    assert audience.notation == written


@pytest.mark.parametrize("operator", list(LedgerOperator))
def test_a_condition_on_the_ledger_comes_back_from_its_json(operator: LedgerOperator) -> None:
    params = LEDGER_OPERATORS[operator]
    condition = LedgerCondition(
        operator,
        3 if LedgerParam.CAMPAIGN in params else None,
        4 if LedgerParam.RUN in params else None,
        "switched_off" if LedgerParam.REASON in params else "",
        7 if LedgerParam.DAYS in params else 0,
    )
    rule = Group(Match.ANY, (condition,))
    assert segment_reader.from_json(rule.as_json()) == rule


@pytest.mark.parametrize(
    ("child", "code"),
    [
        ({"ledger": "sent", "params": [""]}, "segment_campaign_missing"),
        ({"ledger": "sent", "params": []}, "segment_campaign_missing"),
        ({"ledger": "sent", "params": ["x"]}, "segment_rule_unreadable"),
        ({"ledger": "sent", "params": [["1"]]}, "segment_rule_unreadable"),
        ({"ledger": "sent", "params": "1"}, "segment_rule_unreadable"),
        ({"ledger": "guessed", "params": ["1"]}, "segment_rule_unreadable"),
        ({"ledger": ["sent"], "params": ["1"]}, "segment_rule_unreadable"),
        ({"ledger": "failed", "params": ["1", "", "bad luck"]}, "segment_rule_unreadable"),
        ({"ledger": "replied_within", "params": ["0"]}, "segment_days_unreadable"),
        ({"ledger": "replied_within", "params": ["４"]}, "segment_days_unreadable"),
        ({"ledger": "marketing_within", "params": ["99999"]}, "segment_days_unreadable"),
    ],
)
def test_what_cannot_be_read_is_said(child: object, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        segment_reader.from_json({"match": "all", "children": [child]})
    assert [(problem.code, problem.place) for problem in refused.value.problems] == [(code, "rule.0")]
