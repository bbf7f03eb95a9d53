"""The demo: invented people, the same each time, and a past that adds up."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.budget import BudgetScope, BudgetUnit
from smsapp.domain.campaign import Status
from smsapp.domain.contact import PHONE
from smsapp.domain.errors import Refusal
from smsapp.domain.funnel import broken_identities
from smsapp.domain.phone import normalise
from smsapp.services.campaigns import drafts
from smsapp.services.demo import crowd, removal, shop
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import budgets
from smsapp.services.sending.budgets import WantedBudget
from smsapp.store import budgets as stored_budgets
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, writing
from smsapp.store.runs import funnels
from smsapp.store.runs.receipt_buckets import ReceiptBucket
from smsapp.store.runs.runs import Message, Run
from tests import builders
from tests.pages import Pages


def test_the_same_seed_makes_the_same_people() -> None:
    today = dt.date(2026, 3, 2)
    assert list(crowd.people(50, 1, today)) == list(crowd.people(50, 1, today))
    assert list(crowd.people(50, 1, today)) != list(crowd.people(50, 2, today))


def test_some_have_no_number_some_an_unreadable_one_some_share_one() -> None:
    held = [person.get(PHONE) for _, person in crowd.people(3000, 1, dt.date(2026, 3, 2))]
    numbers = Counter(normalise(phone) if phone else None for phone in held)
    assert numbers[None] > 50
    assert numbers[""] > 20
    assert any(n == 2 for number, n in numbers.items() if number)


def test_no_number_belongs_to_anybody() -> None:
    numbers = [normalise(person.get(PHONE, "")) for _, person in crowd.people(2000, 1, dt.date(2026, 3, 2))]
    assert {number[3:6] for number in numbers if number} <= set(crowd.RANGES)


def test_the_past_adds_up(app: Flask, now: dt.datetime) -> None:
    shop.fill(now, lambda _n: None)

    session = current_session()
    assert session.scalar(sa.select(sa.func.count()).select_from(Contact)) == shop.PEOPLE
    statuses = Counter(session.scalars(sa.select(Campaign.status)))
    assert set(statuses) == set(Status) - {Status.SENDING}
    run_ids = session.scalars(sa.select(Run.id)).all()
    for run_id, funnel in funnels.run_funnels(session, run_ids).items():
        assert broken_identities(funnel) == [], run_id
        assert funnel.open == 0
    delivered = sum(funnel.delivered for funnel in funnels.run_funnels(session, run_ids).values())
    heard = sa.select(sa.func.sum(ReceiptBucket.n)).where(ReceiptBucket.state == "delivered")
    assert delivered == session.scalar(heard)
    assert delivered > 10_000
    late = sa.select(sa.func.count()).where(Message.receipt_at < Message.answered_at)
    assert session.scalar(late) == 0


def test_what_lies_ahead_is_fit_to_go(app: Flask, now: dt.datetime) -> None:
    shop.fill(now, lambda _n: None)

    waiting = current_session().scalars(sa.select(Campaign).where(Campaign.status == Status.WAITING)).all()
    assert waiting
    assert all(campaign.next_due_at is not None and campaign.next_due_at > now for campaign in waiting)
    ready = current_session().scalars(sa.select(Campaign).where(Campaign.name.like("%试一次发送"))).one()
    assert drafts.problems(drafts.draft_of(ready), now) == []


def test_real_data_is_left_alone(app: Flask, runner: FlaskCliRunner) -> None:
    builders.contact("real")
    answer = runner.invoke(args=["demo"])
    assert (answer.exit_code, "no demo data was added" in answer.output) == (0, True)
    assert current_session().scalar(sa.select(sa.func.count()).select_from(Contact)) == 1


def test_the_demo_takes_away_what_it_made_and_nothing_else(
    app: Flask, runner: FlaskCliRunner, now: dt.datetime
) -> None:
    shop.fill(now, lambda _n: None)
    session = current_session()
    changed = session.scalars(sa.select(Contact).order_by(Contact.id).limit(1)).one()
    changed.updated_at = now
    whole, left_out = session.scalars(sa.select(Segment.id).order_by(Segment.id).limit(2))
    session.commit()
    audience = AudienceRule(include=(whole, builders.segment().id), exclude=(left_out,)).as_json()
    own = builders.campaign(name="我的活动", segment_id=None, audience=audience)
    own_contact = builders.contact("real", builders.phone(1))
    wanted = WantedBudget(BudgetScope.ALL, 0, BudgetUnit.PARTS, "", Decimal(1000))
    budget_id = budgets.put(wanted, Actor("test"), now)
    demos = session.scalars(sa.select(Campaign.id).where(Campaign.id != own.id).order_by(Campaign.id).limit(2)).all()
    with writing() as transaction:
        for campaign_id, n in ((demos[0], 100), (demos[1], 20), (own.id, 3)):
            assert stored_budgets.reserve(transaction, budget_id, "2026-11", campaign_id, 0, n)
        stored_budgets.settle(transaction, stored_budgets.of_run(transaction, demos[1], 0)[0], 7)

    answer = runner.invoke(args=["demo", "--remove"])
    session.expire_all()

    assert (answer.exit_code, "3 entries" in answer.output) == (0, True), answer.output
    assert {row.xwho for row in session.scalars(sa.select(Contact))} == {changed.xwho, own_contact.xwho}
    assert session.scalars(sa.select(Campaign.id)).all() == [own.id]
    assert {whole, left_out} <= set(session.scalars(sa.select(Segment.id)))
    for table in (Message, Run, ReceiptBucket, OptOut, Reply):
        assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0, table
    months = stored_budgets.months(session, "2026-11")
    assert (months[budget_id].reserved, months[budget_id].spent) == (3, 0), "only what the own campaign has reserved"
    again = runner.invoke(args=["demo", "--remove"])
    assert (again.exit_code, "no demo data" in again.output) == (1, True)


def test_the_demo_stays_while_one_of_its_campaigns_is_being_sent(app: Flask, now: dt.datetime) -> None:
    shop.fill(now, lambda _n: None)
    session = current_session()
    session.scalars(sa.select(Run).limit(1)).one().finished_at = None
    session.commit()

    with pytest.raises(Refusal):
        removal.remove(shop.BY, now)

    assert session.scalar(sa.select(sa.func.count()).select_from(Contact)) == shop.PEOPLE


def test_every_page_says_that_there_is_demo_rows(client: Pages) -> None:
    shop.fill(clock.now(), lambda _n: None)

    assert client.as_("viewer").get("/").select("#demo-note") != []
    administrator = client.as_("administrator")
    address = administrator.get("/").value("#demo-note a", "href")
    administrator.get(address)
    done = administrator.post(address)

    assert done.select("#demo-note") == []
    assert done.select(".setup") != []
