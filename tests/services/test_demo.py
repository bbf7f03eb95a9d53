"""The demo: invented people, the same each time, and a past that adds up."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain.campaign import Status
from smsapp.domain.contact import PHONE
from smsapp.domain.funnel import broken_identities
from smsapp.domain.phone import normalise
from smsapp.services.campaigns import drafts
from smsapp.services.demo import crowd, shop
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.runs import funnels
from smsapp.store.runs.runs import Message, ReceiptBucket, Run
from tests import builders


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
