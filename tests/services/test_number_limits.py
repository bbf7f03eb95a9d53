"""How many messages a day a channel may send to numbers of a country or prefix."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.funnel import broken_identities
from smsapp.services.sending import opening
from smsapp.store.campaigns.campaigns import audience_of
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session, db
from smsapp.store.runs.runs import Run
from tests import audiences, builders
from tests.engine import confirmed, funnel

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def people(app: Flask) -> list[Contact]:
    """Six people at home, four in Britain of whom two have one number, three in France, one without a number."""
    numbers = [f"+86138000000{n:02d}" for n in range(6)]
    numbers += ["+447400000001", "+447400000002", "+447400000003", "+447400000003"]
    numbers += ["+33612345671", "+33612345672", "+33612345673"]
    return [builders.contact(phone=number) for number in numbers] + [builders.contact(phone="")]


def channel(**columns: Any) -> int:
    limits = [["+86", None], ["+44", 2], ["", 1]]
    return int(builders.channel(**({"number_limits": limits} | columns)).id)


def excluded(run_id: int) -> dict[str, int]:
    return dict(funnel(run_id).excluded)


def test_numbers_beyond_a_limit_have_a_reason_of_their_own(people: list[Contact], now: dt.datetime) -> None:
    campaign, run_id = confirmed(now, channel_id=channel())
    expected = audiences.counts(audience_of(campaign), campaign.channel_id, campaign.template_id, {}, now=now)
    opening.open_run(run_id, now)
    run = funnel(run_id)
    assert (run.target, run.planned) == (14, 6 + 2 + 1)
    # Both who share the third British number are beyond the limit.
    assert excluded(run_id) == {ExclusionReason.NUMBER_LIMIT: 4, ExclusionReason.INVALID_NUMBER: 1}
    assert (expected.planned, dict(expected.left_out)) == (run.planned, excluded(run_id))
    assert broken_identities(run) == []


def test_only_who_would_get_a_message_uses_a_limit_up(people: list[Contact], now: dt.datetime) -> None:
    builders.kept(OptOut(phone="+447400000001", source="person", at=now))
    _, run_id = confirmed(now, channel_id=channel())
    opening.open_run(run_id, now)
    assert excluded(run_id)[ExclusionReason.OPTED_OUT] == 1
    assert excluded(run_id)[ExclusionReason.DUPLICATE_NUMBER] == 1
    assert excluded(run_id)[ExclusionReason.NUMBER_LIMIT] == 2
    assert funnel(run_id).planned == 9


def test_runs_of_one_day_share_a_limit_and_the_next_day_has_it_anew(people: list[Contact], now: dt.datetime) -> None:
    channel_id = channel()
    planned = []
    for later in (0 * HOUR, HOUR, 24 * HOUR):
        _, run_id = confirmed(now + later, channel_id=channel_id)
        opening.open_run(run_id, now + later)
        planned.append(funnel(run_id).planned)
    assert planned == [9, 6, 9]
    _, other = confirmed(now, channel_id=channel())
    opening.open_run(other, now)
    assert funnel(other).planned == 9


def test_the_longest_prefix_counts_alone(people: list[Contact], now: dt.datetime) -> None:
    _, run_id = confirmed(now, channel_id=channel(number_limits=[["+44", 0], ["+447400000002", None]]))
    opening.open_run(run_id, now)
    assert funnel(run_id).planned == 6 + 1 + 3
    assert excluded(run_id)[ExclusionReason.NUMBER_LIMIT] == 3


def test_two_runs_at_the_same_time_keep_to_one_limit(app: Flask, people: list[Contact], now: dt.datetime) -> None:
    channel_id = channel()
    run_ids = [confirmed(now, channel_id=channel_id)[1] for _ in range(4)]
    start = threading.Barrier(len(run_ids))

    def freeze(run_id: int) -> None:
        with app.app_context():
            start.wait()
            while current_session().get_one(Run, run_id, populate_existing=True).started_at is None:
                opening.open_run(run_id, now)
            db.session.remove()

    threads = [threading.Thread(target=freeze, args=(run_id,)) for run_id in run_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(funnel(run_id).planned for run_id in run_ids) == [6, 6, 6, 9]
