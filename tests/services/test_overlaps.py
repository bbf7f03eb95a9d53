"""Who gets more than a campaign: compared with a count by hand, and left out by choice with a reason of its own."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsapp.domain import leave_out
from smsapp.domain.campaign import ExclusionReason, Status
from smsapp.domain.leave_out import SAME_TEXT_DAYS, WITHIN
from smsapp.domain.message import NEVER_LEFT
from smsapp.domain.message import Status as MessageStatus
from smsapp.domain.rehearsal import CapReach, Overlaps
from smsapp.domain.run import RunState
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.campaigns import campaigns, overlaps
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.campaigns.drafts import draft_of
from smsapp.services.contacts import audience, frequency_caps
from smsapp.services.contacts.frequency_caps import FrequencyCaps
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import opening
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.segments import SegmentMember
from smsapp.store.db import current_session, db, writing
from smsapp.store.runs.partitions import ensure_partition
from smsapp.store.runs.runs import Message, Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders, ledgers
from tests.engine import confirmed, funnel

NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
BY = Actor("ops")
GOT = {*MessageStatus} - NEVER_LEFT - {MessageStatus.REFUSED}
HAD = GOT - {MessageStatus.UNDELIVERED}


class World:
    """Six numbers, one of which two contacts have, and campaigns to some of them."""

    def __init__(self) -> None:
        self.channel = builders.channel()
        self.template = builders.template(self.channel.id)
        self.people = [
            builders.contact(f"u{n}", builders.phone(n if n < 7 else 1), properties={"n": n}) for n in range(1, 8)
        ]
        self.draft = self.campaign(range(1, 8), Status.DRAFT)

    def segment(self, members: Any) -> int:
        segment = builders.segment(kind="static")
        rows = [SegmentMember(segment_id=segment.id, contact_id=self.people[n - 1].id) for n in members]
        current_session().add_all(rows)
        current_session().commit()
        return segment.id

    def campaign(self, members: Any, status: Status, due: dt.datetime | None = None, **columns: Any) -> Campaign:
        at_once = {"kind": "now", "zone": "Asia/Shanghai"}
        values = {"segment_id": self.segment(members), "channel_id": self.channel.id, "template_id": self.template.id}
        return builders.campaign(**(values | {"status": status, "next_due_at": due, "schedule": at_once} | columns))

    def run(self, campaign: Campaign, states: dict[int, MessageStatus], at: dt.datetime, text: str) -> Run:
        """A run with messages to these numbers."""
        snapshot = replace(ledgers.SNAPSHOT, text=text, signature=self.template.signature)
        row = builders.kept(
            Run(campaign_id=campaign.id, slot=at, opened_at=at, started_at=at, state=RunState.SENDING, marketing=True,
                channel_id=self.channel.id, segment_id=campaign.segment_id, snapshot=snapshot, planned=len(states))
        )  # fmt: skip
        session = current_session()
        ensure_partition(session, row.id)
        for seq, (n, status) in enumerate(sorted(states.items()), 1):
            session.add(Message(run_id=row.id, seq=seq, contact_id=n, phone=builders.phone(n), status=int(status)))
        session.commit()
        return row

    def overlaps(self) -> Overlaps:
        look = DraftPreview(draft_of(self.draft), NOW, own_id=self.draft.id)
        plan = look.plan
        assert plan is not None
        return overlaps.count(plan, self.template, self.draft.id, NOW, NOW)


@pytest.fixture
def world(app: Flask) -> World:
    return World()


@dataclass(frozen=True)
class Other:
    """Another campaign: whom it is for when it is due, and whom its run has written to."""

    members: frozenset[int]
    due_in: int | None
    """Hours; None = it is not due any more."""
    ran: int | None
    """Hours ago."""
    messages: dict[int, MessageStatus]
    same_text: bool

    def due(self) -> bool:
        return self.due_in is not None and self.due_in < WITHIN.total_seconds() / 3600

    def gets(self) -> set[int]:
        """The numbers that get it, counted by hand."""
        numbers = {n if n < 7 else 1 for n in self.members} if self.due() else set()
        if self.ran is not None and dt.timedelta(hours=self.ran) <= WITHIN:
            numbers |= {n for n, status in self.messages.items() if status in GOT}
        return numbers

    def had_the_words(self) -> set[int]:
        if not self.same_text or self.ran is None or self.ran > SAME_TEXT_DAYS * 24:
            return set()
        return {n for n, status in self.messages.items() if status in HAD}


STATES = st.sampled_from([status for status in MessageStatus if status is not MessageStatus.IN_FLIGHT])
OTHERS = st.builds(
    Other,
    members=st.frozensets(st.integers(1, 7)),
    due_in=st.none() | st.sampled_from([1, 30, 47, 48, 60]),
    ran=st.none() | st.sampled_from([1, 47, 49, 100, 200]),
    messages=st.dictionaries(st.integers(1, 6), STATES),
    same_text=st.booleans(),
)


def clear() -> None:
    session = current_session()
    session.rollback()
    for table in ("message", "exclusion", "batch", "tally", "run", "campaign", "segment_member", "segment", "contact"):
        session.execute(db.metadata.tables[table].delete())
    session.commit()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.lists(OTHERS, max_size=4), st.frozensets(st.integers(1, 7), min_size=1))
def test_overlaps_and_exclusions_are_those_counted_by_hand(
    app: Flask, data: st.DataObject, others: list[Other], members: frozenset[int]
) -> None:
    # given other campaigns that are due or have been sent, with the same words or others
    clear()
    world = World()
    world.draft = world.campaign(members, Status.DRAFT)
    rows = []
    for other in others:
        due = None if other.due_in is None else NOW + dt.timedelta(hours=other.due_in)
        campaign = world.campaign(other.members, Status.WAITING if due else Status.SENT, due)
        rows.append(campaign)
        if other.ran is not None:
            text = world.template.text if other.same_text else "别的"
            world.run(campaign, other.messages, NOW - dt.timedelta(hours=other.ran), text)
    own = {n if n < 7 else 1 for n in members}
    # when they are counted
    result = world.overlaps()
    # then each number is that of a count by hand
    expected = {row.id: len(own & other.gets()) for row, other in zip(rows, others, strict=True)}
    had = own & set().union(*(other.had_the_words() for other in others))
    assert {item.campaign_id: item.n for item in result.also_gets} == {key: n for key, n in expected.items() if n}
    assert result.same_text == len(had)
    # and when some are left out, everybody has one reason or one message
    chosen = [place for place in range(len(others)) if data.draw(st.booleans())]
    same_text = data.draw(st.booleans())
    choices = leave_out.chosen([rows[place].id for place in chosen], same_text=same_text)
    gets = own & set().union(*(others[place].gets() for place in chosen))
    left = gets | (had if same_text else set())
    look = DraftPreview(replace(draft_of(world.draft), leave_out=choices), NOW, own_id=world.draft.id)
    counts = existing_counts(look)
    by_contact = {n: (n if n < 7 else 1) for n in members}
    assert counts.planned == len(own - left)
    assert counts.left_out.get(ExclusionReason.ALSO_GETS, 0) == sum(number in gets for number in by_contact.values())
    assert counts.left_out.get(ExclusionReason.SAME_TEXT, 0) == (
        sum(number in had - gets for number in by_contact.values()) if same_text else 0
    )
    assert counts.target == counts.planned + sum(counts.left_out.values())
    # and the people behind a number are those
    for row, n in expected.items():
        page = overlaps.people(world.draft.id, str(row), 0, NOW)
        assert len(page.rows) == n


def existing_counts(look: DraftPreview) -> audience.AudienceCounts:
    counts = look.counts
    assert counts is not None
    return counts


def test_who_is_left_out_by_choice_has_that_reason_at_the_freeze(world: World) -> None:
    # given a campaign that waits for tomorrow, and one that leaves out who gets it
    tomorrow = world.campaign([1, 2], Status.WAITING, NOW + dt.timedelta(hours=24))
    world.run(world.campaign([3], Status.SENT), {3: MessageStatus.DELIVERED}, NOW - dt.timedelta(days=3),
              world.template.text)  # fmt: skip
    choices = leave_out.chosen([tomorrow.id], same_text=True)
    segment_id = world.segment(range(1, 8))
    campaign, run_id = confirmed(
        NOW, segment_id=segment_id, channel_id=world.channel.id, template_id=world.template.id, leave_out=choices
    )
    # when its audience is frozen
    opening.open_run(run_id, NOW)
    # then 1 and 2 (and the contact that has the number of 1) are left out for it, and 3 for the same words
    result = funnel(run_id)
    assert result.excluded == {ExclusionReason.ALSO_GETS: 3, ExclusionReason.SAME_TEXT: 1}
    assert (result.target, result.planned) == (7, 3)
    assert campaign.leave_out == choices


def test_a_run_that_is_not_frozen_yet_counts_as_due(world: World) -> None:
    campaign, _run_id = confirmed(
        NOW, segment_id=world.segment([4]), channel_id=world.channel.id, template_id=world.template.id
    )
    assert [(item.campaign_id, item.n) for item in world.overlaps().also_gets] == [(campaign.id, 1)]


def test_a_recurring_campaign_counts_yesterday_and_tomorrow_once(world: World) -> None:
    daily = Schedule(Kind.DAILY, "Asia/Shanghai", dt.time(9), dt.date(2026, 1, 1))
    due = NOW + dt.timedelta(hours=23)
    campaign = world.campaign([1, 2], Status.WAITING, due, recurring=True, schedule=daily.as_json())
    world.run(campaign, {1: MessageStatus.DELIVERED, 5: MessageStatus.ACCEPTED}, NOW - dt.timedelta(hours=1), "别的")

    (item,) = world.overlaps().also_gets

    assert (item.n, item.fires_at, item.dynamic) == (3, due, False)


def test_neither_drafts_nor_stopped_campaigns_nor_the_campaign_itself_count(world: World) -> None:
    world.campaign([1], Status.DRAFT)
    world.campaign([1], Status.STOPPED)
    world.run(world.draft, {1: MessageStatus.DELIVERED}, NOW - dt.timedelta(hours=1), world.template.text)

    assert world.overlaps() == Overlaps()


def test_who_reaches_the_weekly_cap_with_it_is_counted(world: World) -> None:
    with writing() as session:
        session.get_one(SmsTemplate, world.template.id).purpose = "marketing"
    frequency_caps.save_frequency_caps(FrequencyCaps(enabled=True, per_day=None, per_week=3), BY, NOW)
    for hours in (60, 90):
        earlier = world.campaign([1], Status.SENT)
        states = {1: MessageStatus.DELIVERED, 2: MessageStatus.REFUSED}
        world.run(earlier, states, NOW - dt.timedelta(hours=hours), "别的")

    assert world.overlaps().caps == (CapReach(7, 3, 1),)


def test_a_copy_keeps_the_choice_about_words_and_not_about_other_campaigns(world: World) -> None:
    world.draft.leave_out = leave_out.chosen([5], same_text=True)
    current_session().commit()

    copy = campaigns.save_as(world.draft.id, "又一个", BY, NOW)

    assert current_session().get_one(Campaign, copy.id).leave_out == leave_out.chosen([], same_text=True)


def test_only_campaigns_about_the_same_time_can_be_chosen(world: World) -> None:
    soon = world.campaign([1], Status.WAITING, NOW + dt.timedelta(hours=1))
    later = world.campaign([1], Status.WAITING, NOW + dt.timedelta(days=9))

    overlaps.leave_out(world.draft.id, world.draft.version, [soon.id, later.id, 999], BY, NOW, same_text=False)

    current_session().expire_all()
    draft = current_session().get_one(Campaign, world.draft.id)
    assert draft.leave_out == leave_out.chosen([soon.id], same_text=False)
    assert draft.version == 2


def test_people_are_listed_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlaps, "PAGE", 2)
    other = world.campaign([1, 2, 3], Status.WAITING, NOW + dt.timedelta(hours=1))

    first = overlaps.people(world.draft.id, str(other.id), 0, NOW)
    rest = overlaps.people(world.draft.id, str(other.id), first.next or 0, NOW)

    assert [person.xwho for person in [*first.rows, *rest.rows]] == ["u1", "u2", "u3"]
    assert rest.next is None
    assert overlaps.people(world.draft.id, "999", 0, NOW).rows == []
