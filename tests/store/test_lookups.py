"""Short queries of the store, on both databases: names, counts, what is present, and what follows a commit."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain.campaign import Status
from smsapp.domain.run import RunState
from smsapp.store import first_steps, sms_templates, users
from smsapp.store.apps import app_keys
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts import contacts, imports, segments
from smsapp.store.contacts.imports import Import
from smsapp.store.db import after_commit, current_session, writing
from smsapp.store.runs import funnels
from tests import builders, ledgers

pytestmark = pytest.mark.usefixtures("app")


def test_names_are_those_of_the_rows_that_are_there() -> None:
    session = current_session()
    person, other = builders.person(name="林然"), builders.person()
    key = builders.kept(AppKey(key="demo-appkey", name="shop", created_at=builders.LONG_AGO))
    file = builders.kept(Import(file_name="三月.csv", path="f.csv", state="done", created_at=builders.LONG_AGO))

    assert users.names(session, [person.id, 10**6]) == {person.id: "林然"}
    assert users.names(session, {person.id, other.id}).keys() == {person.id, other.id}
    assert app_keys.names(session, [key.id]) == {key.id: "shop"}
    assert imports.file_names(session, [file.id]) == {file.id: "三月.csv"}


def test_only_active_administrators_with_a_password_count() -> None:
    for columns in ({}, {"active": False}, {"password_hash": ""}, {"role": "operator"}):
        builders.person(**({"role": "administrator", "password_hash": "hash"} | columns))

    assert users.count_able(current_session(), "administrator") == 1


def test_a_preference_is_stored_once_and_replaced() -> None:
    assert users.preference(current_session(), "caps") is None
    for value in ({"enabled": True}, {"enabled": False, "per_day": 1}):
        with writing() as session:
            users.save_preference(session, "caps", value)
        assert users.preference(current_session(), "caps") == value


def test_contacts_are_counted_up_to_a_limit_and_read_in_the_order_of_ids() -> None:
    people = builders.contacts(3, city="北京")
    session = current_session()

    assert [contacts.count_up_to(session, most) for most in (2, 3, 10)] == [2, 3, 3]
    first = contacts.first_of(session, contacts.all_ids(), 2)
    assert [(id_, xwho) for id_, xwho, _ in first] == [(person.id, person.xwho) for person in people[:2]]
    assert first[0][2]["city"] == "北京"
    assert segments.count(session, contacts.all_ids()) == 3


def test_segments_are_found_by_name() -> None:
    session = current_session()
    late, early = builders.segment(name="b"), builders.segment(name="a")

    assert segments.all_segments(session) == [early, late]
    assert segments.by_name(session, "b") == late
    assert segments.by_name(session, "c") is None
    assert segments.is_taken(session, "a", None)
    assert segments.is_taken(session, "a", late.id)
    assert not segments.is_taken(session, "a", early.id)
    assert not segments.is_taken(session, "c", None)


def test_the_first_steps_are_present_one_by_one() -> None:
    session = current_session()
    channel = builders.channel(active=False)
    builders.template(channel.id, audit="pending")
    assert first_steps.present(session) == (False, False, False, False)
    builders.channel()
    builders.contacts(1)
    builders.segment()
    builders.template(channel.id)
    assert first_steps.present(session) == (True, True, True, True)


def test_a_campaign_is_due_at_another_slot() -> None:
    slot = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
    campaign, other = builders.campaign(status=Status.WAITING), builders.campaign(status=Status.WAITING)
    with writing() as session:
        campaigns.set_due(session, campaign.id, slot)

    due = [current_session().get_one(Campaign, row.id, populate_existing=True).next_due_at for row in (campaign, other)]
    assert due[0] == slot
    assert due[1] != slot


def test_runs_being_sent_come_with_their_campaign_and_template() -> None:
    campaign, other = builders.campaign(), builders.campaign()
    run = ledgers.run(campaign)
    ledgers.run(builders.campaign(channel_id=campaign.channel_id), state=RunState.HELD)
    ledgers.run(builders.campaign(channel_id=campaign.channel_id), started_at=None)
    ledgers.run(other)
    assert campaign.channel_id is not None

    [(sent, of_campaign, template)] = sms_templates.being_sent(current_session(), campaign.channel_id)

    assert (sent.id, of_campaign.id, template.id) == (run.id, campaign.id, campaign.template_id)


def test_the_newest_runs_have_their_funnels() -> None:
    campaign = builders.campaign()
    runs = [ledgers.run(campaign, slot=ledgers.OPENED + dt.timedelta(days=day)) for day in range(3)]

    assert funnels.newest_funnels(current_session(), 2).keys() == {runs[1].id, runs[2].id}
    assert funnels.newest_funnels(current_session(), 1) == funnels.run_funnels(current_session(), [runs[2].id])


def test_what_follows_a_commit_is_done_once_and_not_after_a_rollback() -> None:
    done: list[str] = []
    with writing() as session:
        after_commit(session, lambda: done.append("committed"))
        assert done == []
    assert done == ["committed"]
    with writing():
        pass
    assert done == ["committed"]
