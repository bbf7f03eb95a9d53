"""A database that is older than what was sent: nothing leaves before a person looks, and nothing is sent twice."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.errors import Refusal
from smsapp.domain.message import Status
from smsapp.domain.optout import Confirmation, OptOutSource
from smsapp.domain.run import HoldReason, PinReason, RunState
from smsapp.services.apps import app_keys
from smsapp.services.campaigns import proofs
from smsapp.services.contacts import opt_outs
from smsapp.services.platform import users
from smsapp.services.reports import verify
from smsapp.services.sending import actions, opening, proof_sending, recovery, starting
from smsapp.store import journal
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session
from smsapp.store.runs.proofs import Colleague, ProofMessage
from smsapp.store.runs.runs import Run
from smsapp.store.users import User
from tests import builders
from tests.backups import backed_up, restored, tools
from tests.engine import OPERATOR, claimed, confirmed, daily, funnel, the_run, waiting, work
from tests.fakes import FakeChannel, FakeClock

pytestmark = pytest.mark.usefixtures("tools")
__all__ = ["tools"]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "smsapp.backup"


@pytest.fixture(autouse=True)
def started(app: Flask, now: dt.datetime) -> None:
    """The instance has been started once."""
    assert recovery.check(now) is None


def lose_journal(app: Flask, valkey: redis.Redis) -> None:
    """As on a new machine: neither the instance folder nor Redis is there."""
    shutil.rmtree(journal.folder())
    valkey.flushall()


def test_what_was_claimed_since_is_unconfirmed_and_the_rest_goes_on_once_a_person_says_so(
    app: Flask, provider: FakeChannel, clock: FakeClock, backup: Path
) -> None:
    # given a backup of a run of which one batch was sent, and the run's end after it
    builders.contacts(2500)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    backed_up(backup, clock.now)
    claimed(campaign, clock, "lost")
    # when it is restored
    clock.forward(hours=1)
    done = restored(backup, clock.now)
    # then the run waits, and no sender sends anything
    assert done is not None
    assert (done.blind, done.held, done.unconfirmed) == (False, 1, 1000)
    assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, HoldReason.RESTORED)
    work(app, clock)
    assert provider.sent == {}
    # and once a person resumes it, those go out that nobody had claimed
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert len(provider.sent) == 1500
    assert (funnel(run_id).accepted, funnel(run_id).unconfirmed) == (1500, 1000)
    assert [check.broken for check in verify.verify(campaign.id)] == [[]]


def test_nothing_since_the_backup_holds_nothing(
    app: Flask, provider: FakeChannel, clock: FakeClock, backup: Path
) -> None:
    builders.contacts(10)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    backed_up(backup, clock.now)
    assert restored(backup, clock.now) is None
    work(app, clock)
    assert len(provider.sent) == 10


def test_without_a_journal_all_that_waits_is_in_doubt(
    app: Flask, provider: FakeChannel, clock: FakeClock, backup: Path, valkey: redis.Redis
) -> None:
    builders.contacts(1200)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    backed_up(backup, clock.now)
    lose_journal(app, valkey)
    done = restored(backup, clock.now)
    assert done is not None
    assert (done.blind, done.unconfirmed) == (True, 0)
    assert the_run(run_id).hold_reason == HoldReason.RESTORED_BLIND
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert provider.sent == {}
    assert funnel(run_id).unconfirmed == 1200
    assert the_run(run_id).state == RunState.DONE


def test_a_folder_that_was_lost_alone_holds_nothing_if_redis_remembers(
    app: Flask, clock: FakeClock, valkey: redis.Redis
) -> None:
    builders.contacts(10)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    claimed(campaign, clock, "w")
    recovery.mirror()
    shutil.rmtree(journal.folder())
    assert recovery.check(clock.now) is None
    assert the_run(run_id).state == RunState.SENDING


def test_a_folder_older_than_redis_remembers_leaves_doubt(app: Flask, clock: FakeClock, backup: Path) -> None:
    builders.contacts(2500)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    backed_up(backup, clock.now)
    copy = backup.with_name("older-journal")
    shutil.copytree(journal.folder(), copy)
    claimed(campaign, clock, "lost")
    recovery.mirror()
    # given a restore of database and instance folder, while Redis was kept
    shutil.rmtree(journal.folder())
    shutil.copytree(copy, journal.folder())
    done = restored(backup, clock.now)
    assert done is not None
    assert done.blind
    assert the_run(run_id).hold_reason == HoldReason.RESTORED_BLIND


def test_a_campaign_that_was_sent_since_is_not_sent_again(
    app: Flask, provider: FakeChannel, clock: FakeClock, backup: Path
) -> None:
    # given a backup made before a campaign was due, which then was sent
    builders.contacts(5)
    campaign = waiting(clock.now, daily(clock.now), clock.now)
    backed_up(backup, clock.now)
    run_id = starting.start(campaign.id, clock.now)
    assert run_id is not None
    work(app, clock)
    assert len(provider.sent) == 5
    # when it is restored, then its run waits, can only be ended, and has an id that no lost run has had
    done = restored(backup, clock.now + dt.timedelta(minutes=1))
    assert done is not None
    assert (done.blind, done.held) == (False, 1)
    again = current_session().scalars(sa.select(Run)).one()
    assert (again.hold_reason, again.slot) == (HoldReason.RESTORED_BLIND, clock.now)
    assert again.id > run_id
    with pytest.raises(Refusal, match="restored_unfrozen"):
        actions.resume(again.id, OPERATOR, clock.now)
    actions.end(again.id, OPERATOR, clock.now)
    work(app, clock)
    assert sum(provider.sent.values()) == 5


def test_a_campaign_that_came_due_while_everything_was_down_waits_and_can_be_sent(
    app: Flask, provider: FakeChannel, clock: FakeClock, backup: Path
) -> None:
    builders.contacts(5)
    campaign = waiting(clock.now, daily(clock.now), clock.now + dt.timedelta(minutes=10))
    backed_up(backup, clock.now)
    opt_outs.add("13900009999", "", OPERATOR, clock.now)
    clock.forward(minutes=30)
    restored(backup, clock.now)
    run_id = starting.start(campaign.id, clock.now)
    assert run_id is not None
    assert the_run(run_id).hold_reason == HoldReason.RESTORED
    work(app, clock)
    assert provider.sent == {}
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert len(provider.sent) == 5
    # and its next slot, after the restore, needs nobody
    clock.forward(days=1)
    assert (next_run := starting.start(campaign.id, clock.now)) is not None
    assert the_run(next_run).state == RunState.OPEN


def test_opt_outs_people_keys_and_sessions_of_the_time_since_are_merged_back(
    app: Flask, clock: FakeClock, backup: Path
) -> None:
    removed = opt_outs.add("13900000001", "", OPERATOR, clock.now)
    assert removed
    key = builders.kept(AppKey(key="k" * 32, name="shop", active=True, created_at=clock.now))
    person = builders.person(login="alice", role="administrator")
    builders.person(login="root", role="administrator")
    mark = person.session_mark
    backed_up(backup, clock.now)
    opt_outs.add("13900000002", "", OPERATOR, clock.now)
    opt_outs.remove(opt_outs.find("13900000001").id, "asked", OPERATOR, clock.now)
    users.change(person.id, "Alice", person.role, False, False, OPERATOR, clock.now)  # type: ignore[arg-type]
    app_keys.switch(key.id, False, OPERATOR, clock.now)
    done = restored(backup, clock.now)
    assert done is not None
    assert (done.opt_outs, done.people, done.app_keys) == (1, 1, 1)
    listed = current_session().scalars(sa.select(OptOut)).all()
    assert [(row.phone, row.source) for row in listed] == [("+8613900000002", OptOutSource.RESTORED)]
    assert not current_session().get_one(User, person.id, populate_existing=True).active
    assert current_session().get_one(User, person.id).session_mark != mark
    assert not current_session().get_one(AppKey, key.id, populate_existing=True).active


def test_a_confirmation_of_an_opt_out_that_was_due_is_not_sent_twice(
    app: Flask, clock: FakeClock, backup: Path
) -> None:
    opt_outs.add("13900000001", "", OPERATOR, clock.now)
    entry = opt_outs.find("13900000001")
    entry.confirmation = Confirmation.DUE
    current_session().commit()
    backed_up(backup, clock.now)
    opt_outs.add("13900000002", "", OPERATOR, clock.now)
    restored(backup, clock.now)
    assert opt_outs.find("13900000001").confirmation == Confirmation.UNCONFIRMED


def test_a_restored_run_stays_on_its_channel(app: Flask, clock: FakeClock, backup: Path) -> None:
    builders.contacts(10)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    backed_up(backup, clock.now)
    claimed(campaign, clock, "lost")
    restored(backup, clock.now)
    assert the_run(run_id).pinned == PinReason.RESTORED


def test_the_same_backup_can_be_restored_again(
    app: Flask, provider: FakeChannel, clock: FakeClock, backup: Path
) -> None:
    builders.contacts(2500)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    backed_up(backup, clock.now)
    claimed(campaign, clock, "lost")
    restored(backup, clock.now)
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    done = restored(backup, clock.now)
    assert done is not None
    assert done.unconfirmed == 2500
    actions.resume(run_id, OPERATOR, clock.now)
    work(app, clock)
    assert len(provider.sent) == 1500
    assert set(provider.sent.values()) == {1}


def test_what_waited_for_the_test_group_is_never_sent_from_an_older_copy(
    app: Flask, provider: FakeChannel, clock: FakeClock, backup: Path
) -> None:
    # given a backup in which a proof waits that was sent since
    campaign = builders.campaign()
    builders.kept(Colleague(name="林然", phone=builders.phone(1), is_seed=True, created_at=clock.now))
    proofs.send(campaign.id, 0, "key", OPERATOR, clock.now)
    backed_up(backup, clock.now)
    assert proof_sending.send_due(clock) == 1
    # when it is restored
    clock.forward(hours=1)
    assert restored(backup, clock.now) is not None
    # then it is unconfirmed, and nobody sends it again
    assert proof_sending.send_due(clock) == 0
    assert current_session().scalars(sa.select(ProofMessage.status)).all() == [Status.UNCONFIRMED]
