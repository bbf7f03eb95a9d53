"""A draft's fields: one list, which its columns, its form and its labels follow."""

from __future__ import annotations

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.draft import CHOICES, FIELDS, Draft
from smsapp.labels.campaigns import DRAFT_FIELDS
from smsapp.store.campaigns.campaigns import Campaign


def test_each_field_has_a_column_and_a_label() -> None:
    assert set(FIELDS) <= {column.name for column in Campaign.__table__.columns}
    assert tuple(DRAFT_FIELDS) == FIELDS


def test_choices_are_the_fields_with_an_id() -> None:
    assert CHOICES == ("channel", "template", "second_channel", "second_template")
    assert Draft(channel_id=3, second_template_id=8).choices == {
        "channel": 3,
        "template": None,
        "second_channel": None,
        "second_template": 8,
    }


def test_two_drafts_differ_in_the_order_of_the_form() -> None:
    assert Draft("a", AudienceRule.of(1), second_channel_id=2).differences(Draft("b", AudienceRule.of(1), 2)) == [
        "name",
        "channel_id",
        "second_channel_id",
    ]
