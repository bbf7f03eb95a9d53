"""A campaign's moves, why people are left out, and what a draft still lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smsapp.domain.campaign import (
    MOVES,
    Action,
    DraftFacts,
    ExclusionReason,
    SecondFacts,
    Status,
    may,
    offered,
    personal,
    problems,
    unmapped,
)
from smsapp.domain.errors import Problem

SECOND = SecondFacts(
    same_channel=False,
    active=True,
    chosen=True,
    of_channel=True,
    approved=True,
    fits=True,
    same_purpose=True,
    asks_for_trusted_numbers=False,
)
COMPLETE = DraftFacts(
    name="会员日",
    included=1,
    gone=0,
    channel_id=1,
    channel_active=True,
    template_id=1,
    template_approved=True,
    template_of_channel=True,
    unmapped=(),
    unfit=(),
    second=None,
    schedule_problems=(),
)


@pytest.mark.parametrize("second", [None, SECOND])
def test_a_complete_draft_lacks_nothing(second: SecondFacts | None) -> None:
    assert problems(replace(COMPLETE, second=second)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": ""}, [("name_missing", "name")]),
        ({"name": " \u3000"}, [("name_missing", "name")]),
        ({"included": 0}, [("segment_missing", "segment")]),
        ({"included": 1, "gone": 1}, [("segment_gone", "segment")]),
        ({"channel_id": None}, [("channel_missing", "channel")]),
        # a channel that is not there is not inactive as well
        ({"channel_id": None, "channel_active": False}, [("channel_missing", "channel")]),
        ({"channel_active": False}, [("channel_inactive", "channel")]),
        ({"template_id": None}, [("template_missing", "template")]),
        ({"template_id": None, "template_of_channel": False}, [("template_missing", "template")]),
        ({"template_of_channel": False}, [("template_of_another_channel", "template")]),
        (
            {"template_of_channel": False, "template_approved": False},
            [("template_of_another_channel", "template")],
        ),
        ({"template_approved": False}, [("template_not_approved", "template")]),
    ],
)
def test_each_thing_a_draft_lacks_is_said_once_and_at_its_place(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert [(problem.code, problem.place) for problem in problems(replace(COMPLETE, **changes))] == expected
    assert not any(problem.warning for problem in problems(replace(COMPLETE, **changes)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"same_channel": True, "active": False}, [("second_channel_same", "channel")]),
        ({"active": False, "chosen": False}, [("second_channel_inactive", "channel")]),
        ({"chosen": False, "approved": False}, [("second_template_missing", "template")]),
        ({"of_channel": False, "approved": False}, [("second_template_missing", "template")]),
        ({"approved": False, "fits": False}, [("second_template_not_approved", "template")]),
        ({"fits": False}, [("second_variables_differ", "template")]),
        ({"same_purpose": False}, [("second_purpose_differs", "template")]),
        ({"asks_for_trusted_numbers": True}, [("second_trusts_less", "channel")]),
        (
            {"fits": False, "same_purpose": False, "asks_for_trusted_numbers": True},
            [
                ("second_variables_differ", "template"),
                ("second_purpose_differs", "template"),
                ("second_trusts_less", "channel"),
            ],
        ),
    ],
)
def test_a_second_channel_must_be_able_to_take_over(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    draft = replace(COMPLETE, second=replace(SECOND, **changes))
    assert [(problem.code, problem.place) for problem in problems(draft)] == expected


def test_a_second_channel_of_which_nothing_is_known_is_not_ready() -> None:
    facts = SecondFacts(same_channel=False, active=True, chosen=True)
    assert [problem.code for problem in problems(replace(COMPLETE, second=facts))] == ["second_template_missing"]
    facts = replace(facts, of_channel=True)
    assert [problem.code for problem in problems(replace(COMPLETE, second=facts))] == ["second_template_not_approved"]
    facts = replace(facts, approved=True)
    assert [problem.code for problem in problems(replace(COMPLETE, second=facts))] == [
        "second_variables_differ",
        "second_purpose_differs",
    ]


def test_everything_that_lacks_is_told_in_the_order_of_the_form() -> None:
    unfit = Problem("value_link", "template", {"variable": "a"})
    late = Problem("schedule_past", "schedule")
    draft = replace(COMPLETE, name="", included=0, channel_id=None, template_id=None, unmapped=["a", "b"],
                    unfit=[unfit], second=replace(SECOND, fits=False), schedule_problems=[late])  # fmt: skip
    assert problems(draft) == [
        Problem("name_missing", "name"),
        Problem("segment_missing", "segment"),
        Problem("channel_missing", "channel"),
        Problem("template_missing", "template"),
        Problem("variable_unmapped", "template", {"variable": "a"}),
        Problem("variable_unmapped", "template", {"variable": "b"}),
        unfit,
        Problem("second_variables_differ", "template"),
        late,
    ]


MAPPING = {
    "name": {"property": "name", "fallback": "您"},
    "shop": {"fixed": "旗舰店"},
    "empty": {"property": ""},
    "nothing": {"fixed": ""},
    "fallback": {"fallback": "您"},
}


def test_a_variable_is_mapped_to_a_property_or_to_a_text() -> None:
    assert unmapped(["name", "shop"], MAPPING) == []
    assert unmapped(["shop", "empty", "gone", "nothing", "fallback"], MAPPING) == [
        "empty",
        "gone",
        "nothing",
        "fallback",
    ]
    assert unmapped(["gone", "gone"], {}) == ["gone"]


def test_only_properties_differ_from_person_to_person() -> None:
    assert personal(["shop", "name", "gone", "empty"], MAPPING) == ["name", "empty"]


# Moves: the statuses at which an action may begin, and the one it leads to.
TABLE = {
    "edit": ("draft", "draft"),
    "launch": ("draft", "sending"),
    "schedule": ("draft", "waiting"),
    "start": ("waiting", "sending"),
    "rest": ("sending", "waiting"),
    "finish": ("sending", "sent"),
    "fail": ("sending", "failed"),
    "stop": ("waiting", "stopped"),
    "end": ("sending", "stopped"),
    "retry": ("sent failed waiting", "sending"),
    "delete": ("draft failed stopped", None),
    "archive": ("sent failed stopped", None),
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("status", Status)
def test_every_action_at_every_status(action: Action, status: Status) -> None:
    begins, ends = TABLE[action.value]
    assert may(action, status) is (status.value in begins.split())
    assert MOVES[action][1] == (ends and Status(ends))


@pytest.mark.parametrize(
    ("status", "actions"),
    [
        (Status.DRAFT, [Action.EDIT, Action.DELETE]),
        (Status.WAITING, [Action.STOP]),
        (Status.SENDING, []),
        (Status.SENT, [Action.ARCHIVE]),
        (Status.FAILED, [Action.ARCHIVE, Action.DELETE]),
        (Status.STOPPED, [Action.ARCHIVE, Action.DELETE]),
    ],
)
def test_what_the_list_offers_at_each_status(status: Status, actions: list[Action]) -> None:
    assert offered(status) == actions


def test_reasons_for_leaving_people_out_keep_their_precedence() -> None:
    assert [left.value for left in ExclusionReason] == [
        "no_number",
        "invalid_number",
        "untrusted_number",
        "number_class",
        "country",
        "opted_out",
        "excluded_segment",
        "no_consent",
        "frequency_cap",
        "missing_value",
        "unfit_value",
        "also_gets",
        "same_text",
        "carrier_left_out",
        "number_limit",
        "duplicate_number",
    ]
