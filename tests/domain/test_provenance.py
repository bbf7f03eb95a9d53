"""Which parts of a draft no person has typed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.draft import Draft
from smsapp.domain.provenance import ALWAYS, Door, Origin, Program, Provenance, of_new
from smsapp.domain.schedule import Kind, Schedule
from smsapp.domain.segment import Match

AGENT, SHOP = Program("Planning", Door.MCP), Program("Shop", Door.API)
MONDAY = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
TUESDAY = MONDAY + dt.timedelta(days=1)
DRAFT = Draft("召回", AudienceRule.of(3), 1, 2, {"name": {"property": "name"}, "code": {"fixed": "A1"}})


def test_all_that_a_program_decides_in_a_new_draft_is_its_own() -> None:
    made = of_new(DRAFT, AGENT, MONDAY)
    assert set(made.origins) == {*ALWAYS, "mapping.name", "mapping.code"}
    assert not of_new(DRAFT, None, MONDAY)
    assert Provenance.from_json(made.as_json()) == made


def test_what_a_person_changes_is_theirs_and_nothing_else() -> None:
    # Given a draft of an agent, in which a person changes the name and one variable
    made = of_new(DRAFT, AGENT, MONDAY)
    edited = replace(DRAFT, name="召回三月", mapping={**DRAFT.mapping, "code": {"fixed": "B2"}})
    after = made.after(DRAFT, edited, None, TUESDAY)
    # Then these parts have no mark any more, the others still have
    assert set(made.origins) - set(after.origins) == {"name", "mapping.code"}
    assert after.latest("mapping.name") == [Origin(AGENT, MONDAY)]
    # And saving without a change takes no mark away
    assert after.after(edited, edited, None, TUESDAY) == after
    # And what another program changes is that program's, with its time
    later = after.after(edited, replace(edited, channel_id=9), SHOP, TUESDAY)
    assert later.latest("channel_id", "template_id") == [Origin(AGENT, MONDAY), Origin(SHOP, TUESDAY)]
    # And a variable that is no longer there has no mark
    assert "mapping.name" not in later.after(edited, replace(edited, mapping={}), None, TUESDAY).origins


def test_what_the_form_writes_in_another_way_is_no_change() -> None:
    # Given a draft with more than its kind of schedule needs, an empty fallback and a segment named twice
    full = Schedule(Kind.NOW, "UTC", time=dt.time(10), weekdays=(2,))
    draft = replace(
        DRAFT, schedule=full, audience=AudienceRule(Match.ANY, (3, 3)), mapping={"n": {"property": "a", "fallback": ""}}
    )
    made = of_new(draft, AGENT, MONDAY)
    # When a person saves it as the form writes it, with another name
    saved = replace(
        draft,
        name="四月",
        schedule=Schedule(Kind.NOW, "UTC"),
        audience=AudienceRule.of(3),
        mapping={"n": {"property": "a", "fallback": None, "form": "day_en"}},
    )
    # Then the name alone is theirs
    assert set(made.origins) - set(made.after(draft, saved, None, TUESDAY).origins) == {"name"}
