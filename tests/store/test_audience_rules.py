"""Audiences of several segments and conditions on the ledger, against sets computed in plain Python."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.contact import Type
from smsapp.domain.errors import Refusal
from smsapp.domain.ledger_condition import LEDGER_NEGATIVE, LedgerCondition, LedgerOperator
from smsapp.domain.message import Status
from smsapp.domain.segment import Condition, Group, Match, Operator
from smsapp.services.contacts import audience
from smsapp.services.contacts.audience import Choices
from smsapp.store.contacts import segment_rules
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.replies import Reply
from smsapp.store.contacts.segments import Segment, SegmentMember
from smsapp.store.db import current_session
from smsapp.store.runs.partitions import ensure_partition
from smsapp.store.runs.runs import Message, Run
from tests import audiences, builders

NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
LEFT = {Status.QUEUED, Status.UNCONFIRMED, Status.ACCEPTED, Status.NO_RECEIPT, Status.UNDELIVERED, Status.DELIVERED}
FAILED = {Status.REFUSED, Status.UNDELIVERED}
REASONS = ("switched_off", "suspended")
MANY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Sent:
    """A run and what became of each of its people."""

    run: Run
    fates: dict[int, tuple[Status, str]] = field(default_factory=dict)
    """Contact id -> (state, reason)."""


class World:
    """30 contacts, 3 campaigns with 3 runs each, one of which repeats the first; replies; 5 segments."""

    def __init__(self) -> None:
        chance = random.Random(7)
        session = current_session()
        self.channel = builders.channel()
        builders.known_property("$phone")
        builders.known_property("age", "number")
        people = [builders.contacts(1, age=n)[0] for n in range(30)]
        self.phones = {person.id: person.phones["$phone"] for person in people}
        self.ages = {person.id: n for n, person in enumerate(people)}
        self.sent: list[Sent] = []
        self.campaigns = [builders.campaign(channel_id=self.channel.id).id for _ in range(3)]
        for campaign_id in self.campaigns:
            first = self._run(campaign_id, chance.sample(people, 18), chance, days=chance.randint(1, 20))
            failed = [person for person in people if first.fates.get(person.id, (None, ""))[0] in FAILED]
            self._run(campaign_id, failed[: len(failed) // 2], chance, days=1, repeats=first.run.id)
            self._run(campaign_id, chance.sample(people, 12), chance, days=chance.randint(1, 20))
        self.replies: list[tuple[int, int | None, dt.datetime]] = []
        for person in chance.sample(people, 12):
            answered = chance.choice([*self.campaigns, None])
            at = NOW - dt.timedelta(days=chance.randint(0, 20), hours=1)
            self.replies.append((person.id, answered, at))
            phone = self.phones[person.id]
            session.add(Reply(phone=phone, text="好", campaign_id=answered, received_at=at, position=person.id))
        self.segments: dict[int, set[int]] = {}
        for kind in ("static", "uploaded", "static"):
            members = {person.id for person in chance.sample(people, 14)}
            segment = builders.segment(kind=kind)
            session.add_all(SegmentMember(segment_id=segment.id, contact_id=id_) for id_ in members)
            self.segments[segment.id] = members
        young = Group(Match.ALL, (Condition("age", Type.NUMBER, Operator.LESS, (15,)),))
        reached = Group(Match.ANY, (LedgerCondition(LedgerOperator.RECEIVED, self.campaigns[0]),))
        missed = Group(children=(LedgerCondition(LedgerOperator.NOT_RECEIVED, self.campaigns[1]),))
        for rule in (young, reached, missed):
            segment = builders.segment(rule=rule.as_json())
            self.segments[segment.id] = self.holding(rule)
        session.commit()

    def _run(
        self,
        campaign_id: int,
        people: list[Contact],
        chance: random.Random,
        days: int,
        repeats: int | None = None,
    ) -> Sent:
        moment = NOW - dt.timedelta(days=days, minutes=len(self.sent) + 1)
        run = builders.kept(
            Run(campaign_id=campaign_id, slot=moment, channel_id=self.channel.id, state="done", opened_at=moment,
                started_at=moment, marketing=len(self.sent) % 2 == 0, repeats=repeats)
        )  # fmt: skip
        ensure_partition(current_session(), run.id)
        sent = Sent(run)
        for seq, person in enumerate(people, 1):
            state = chance.choice([*LEFT, *FAILED, Status.CANCELLED, Status.EXPIRED])
            reason = chance.choice(REASONS) if state in FAILED else ""
            sent.fates[person.id] = (state, reason)
            row = {"run_id": run.id, "seq": seq, "contact_id": person.id, "phone": self.phones[person.id]}
            current_session().add(Message(**row, status=int(state), reason=reason or None))
        current_session().commit()
        self.sent.append(sent)
        return sent

    def holding(self, rule: Group | Condition | LedgerCondition) -> set[int]:
        """Return the contacts for whom a rule holds, one after the other."""
        return {id_ for id_ in self.ages if self._holds(rule, id_)}

    def _holds(self, rule: Group | Condition | LedgerCondition, id_: int) -> bool:
        if isinstance(rule, Group):
            truths = [self._holds(child, id_) for child in rule.children]
            return {Match.ALL: all(truths), Match.ANY: any(truths), Match.NONE: not any(truths)}[rule.match]
        if isinstance(rule, Condition):
            return self.ages[id_] < int(str(rule.params[0]))
        if rule.operator in LEDGER_NEGATIVE:
            positive = LedgerCondition(LEDGER_NEGATIVE[rule.operator], rule.campaign_id, rule.run_id, "", rule.days)
            return not self._holds(positive, id_)
        since = NOW - dt.timedelta(days=rule.days)
        if rule.operator is LedgerOperator.REPLIED_WITHIN:
            return any(one == id_ and at >= since for one, _campaign, at in self.replies)
        if rule.operator is LedgerOperator.MARKETING_WITHIN:
            lately = [sent for sent in self.sent if sent.run.marketing and sent.run.slot >= since]
            return any(sent.fates.get(id_, (None, ""))[0] in LEFT for sent in lately)
        mine = [sent for sent in self.sent if sent.run.campaign_id == rule.campaign_id]
        chosen = [sent for sent in mine if rule.run_id in (None, sent.run.id, sent.run.repeats)]
        fates = [(sent, *sent.fates[id_]) for sent in chosen if id_ in sent.fates]
        if rule.operator is LedgerOperator.REPLIED:
            has_replied = any(one == id_ and campaign == rule.campaign_id for one, campaign, _at in self.replies)
            return bool(fates) and has_replied
        if rule.operator is LedgerOperator.SENT:
            return any(state in LEFT for _sent, state, _reason in fates)
        if rule.operator is LedgerOperator.RECEIVED:
            return any(state is Status.DELIVERED for _sent, state, _reason in fates)
        repeated = {sent.run.repeats for sent, _state, _reason in fates}
        last = [(state, why) for sent, state, why in fates if sent.run.id not in repeated]
        return any(state in FAILED and rule.reason in ("", why) for state, why in last)


@pytest.fixture
def world(app: Flask) -> World:
    return World()


def rules(world: World) -> st.SearchStrategy[Group]:
    runs = {id_: [sent.run.id for sent in world.sent if sent.run.campaign_id == id_] for id_ in world.campaigns}
    of_campaign = st.sampled_from(
        [LedgerOperator.SENT, LedgerOperator.NOT_SENT, LedgerOperator.RECEIVED, LedgerOperator.NOT_RECEIVED]
    )
    campaign = st.sampled_from(world.campaigns)
    pairs = campaign.flatmap(lambda id_: st.tuples(st.just(id_), st.sampled_from([None, *runs[id_]])))
    leaf = st.one_of(
        st.builds(lambda operator, pair: LedgerCondition(operator, pair[0], pair[1]), of_campaign, pairs),
        st.builds(
            lambda pair, reason: LedgerCondition(LedgerOperator.FAILED, pair[0], pair[1], reason),
            pairs,
            st.sampled_from(["", *REASONS]),
        ),
        st.builds(LedgerCondition, st.sampled_from([LedgerOperator.REPLIED, LedgerOperator.NOT_REPLIED]), campaign),
        st.builds(
            lambda operator, days: LedgerCondition(operator, days=days),
            st.sampled_from(
                [LedgerOperator.REPLIED_WITHIN, LedgerOperator.MARKETING_WITHIN, LedgerOperator.NO_MARKETING_WITHIN]
            ),
            st.integers(1, 25),
        ),
        st.builds(lambda n: Condition("age", Type.NUMBER, Operator.LESS, (n,)), st.integers(0, 30)),
    )
    groups = st.recursive(
        leaf,
        lambda inner: st.builds(
            Group, st.sampled_from(list(Match)), st.lists(inner, min_size=1, max_size=3).map(tuple)
        ),
        max_leaves=6,
    )
    return st.builds(Group, st.sampled_from(list(Match)), st.lists(groups, min_size=1, max_size=3).map(tuple))


def test_a_rule_about_the_ledger_selects_exactly_whom_it_describes(world: World) -> None:
    @MANY
    @given(rules(world))
    def check(rule: Group) -> None:
        chosen = current_session().scalars(segment_rules.matching(rule, NOW)).all()
        assert len(chosen) == len({*chosen})
        assert {*chosen} == world.holding(rule)

    check()


@pytest.mark.parametrize("config", ["postgresql"], indirect=True)
@pytest.mark.parametrize("operator", [LedgerOperator.RECEIVED, LedgerOperator.NOT_RECEIVED])
def test_people_whom_every_member_must_be_among_are_joined_and_not_first_made_distinct(
    world: World, operator: LedgerOperator
) -> None:
    condition = LedgerCondition(operator, world.campaigns[0])
    connection = current_session().connection()

    def written(rule: Group) -> str:
        query = segment_rules.matching(rule, NOW)
        return str(query.compile(connection, compile_kwargs={"literal_binds": True}))

    alone, one_of_two = (written(Group(match, (condition, condition))) for match in (Match.ALL, Match.ANY))

    # To make them distinct reads and stores them all in each process of the query; a search is a subplan per contact.
    assert "DISTINCT" not in alone
    assert "DISTINCT" in one_of_two
    for query in (alone, one_of_two):
        assert "SubPlan" not in "\n".join(connection.scalars(sa.text(f"EXPLAIN {query}")))


def test_a_repetition_asked_for_by_itself_says_nothing_of_the_run_it_repeats(world: World) -> None:
    for sent in world.sent:
        rule = Group(children=(LedgerCondition(LedgerOperator.FAILED, sent.run.campaign_id, sent.run.id),))
        assert {*current_session().scalars(segment_rules.matching(rule, NOW))} == world.holding(rule)


def test_an_audience_is_the_included_segments_and_leaves_out_the_excluded_ones(world: World) -> None:
    ids = st.lists(st.sampled_from([*world.segments]), unique=True, max_size=3)

    @MANY
    @given(st.sampled_from([Match.ANY, Match.ALL]), ids.filter(bool), ids)
    def check(match: Match, include: list[int], exclude: list[int]) -> None:
        rule = AudienceRule(match, tuple(include), tuple(exclude))
        sets = [world.segments[id_] for id_ in include]
        target = set.union(*sets) if match is Match.ANY else set.intersection(*sets)
        excluded = target & set().union(*(world.segments[id_] for id_ in exclude))

        counts = audiences.counts(rule, world.channel.id, now=NOW)

        assert (counts.target, counts.planned) == (len(target), len(target - excluded))
        assert Counter(counts.left_out) == Counter({ExclusionReason.EXCLUDED_SEGMENT: len(excluded)})
        plan = audience.describe(rule, Choices(world.channel.id), NOW)
        people = audience.excluded_people(plan, ExclusionReason.EXCLUDED_SEGMENT, 0).rows
        assert [person.contact_id for person in people] == sorted(excluded)

    check()


def test_a_rule_about_messages_that_were_removed_refuses(world: World) -> None:
    first = world.sent[0].run
    first.forgotten_at = NOW
    current_session().commit()

    with pytest.raises(Refusal) as refused:
        segment_rules.matching(Group(children=(LedgerCondition(LedgerOperator.SENT, first.campaign_id),)), NOW)
    newer = LedgerCondition(LedgerOperator.SENT, first.campaign_id, world.sent[2].run.id)
    assert current_session().scalars(segment_rules.matching(Group(children=(newer,)), NOW)).all()

    assert refused.value.problems[0].code == "segment_runs_forgotten"
    segment = builders.kept(
        Segment(name="旧", kind="dynamic", created_at=NOW, updated_at=NOW,
                rule=Group(children=(LedgerCondition(LedgerOperator.SENT, first.campaign_id),)).as_json())
    )  # fmt: skip
    problems = audience.problems(AudienceRule.of(segment.id), NOW)
    assert [problem.code for problem in problems] == ["segment_runs_forgotten"]
