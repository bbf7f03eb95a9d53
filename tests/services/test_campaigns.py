"""From the first draft to the moment somebody confirms, stops, copies or deletes it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import ANY

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import MOVES, Action, Status
from smsapp.domain.draft import Draft
from smsapp.domain.errors import Conflict, NotFound, Problem, Refusal
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.campaigns.campaigns import CopiedCampaign
from smsapp.services.campaigns.drafts import EditConflict
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import starting
from smsapp.services.templates import sms_templates
from smsapp.store import queue
from smsapp.store.campaigns import campaigns as store
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, writing
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import AuditEntry
from tests import builders

pytestmark = pytest.mark.usefixtures("app", "valkey")
OLGA = Actor("olga")
ZONE = "Asia/Shanghai"
TOMORROW = Schedule(Kind.ONCE, ZONE, dt.time(10), dt.date(2026, 3, 3))
"""The day after `now`, 10:00 in Shanghai."""
TOMORROW_AT = dt.datetime(2026, 3, 3, 2, 0, tzinfo=dt.UTC)


def ready(**given: Any) -> Draft:
    """A draft that may go out at once."""
    return replace(drafts.draft_of(builders.campaign()), **given)


def stored(draft: Draft, now: dt.datetime) -> int:
    return drafts.create(draft, OLGA, now)


def fresh(campaign_id: int) -> Campaign:
    current_session().expire_all()
    return campaigns.get(campaign_id)


def mark(draft: Draft) -> str:
    template = current_session().get(SmsTemplate, draft.template_id)
    assert template is not None
    return sms_templates.seen(template)


def confirmed(draft: Draft, now: dt.datetime) -> int:
    campaign_id = stored(draft, now)
    campaigns.confirm(campaign_id, 1, mark(draft), OLGA, now)
    return campaign_id


def audit_log() -> list[tuple[str, str, str]]:
    rows = current_session().execute(
        sa.select(AuditEntry.by, AuditEntry.action, AuditEntry.noun_id).where(AuditEntry.noun == "campaign")
    )
    return [(by, action, noun_id) for by, action, noun_id in rows]


# -- drafts -----------------------------------------------------------------------------------------------------------


def test_a_draft_may_lack_everything(now: dt.datetime) -> None:
    campaign_id = stored(drafts.blank(), now)

    campaign = fresh(campaign_id)
    assert (campaign.status, campaign.version, campaign.zone, campaign.recurring) == ("draft", 1, ZONE, False)
    assert drafts.draft_of(campaign) == drafts.blank()
    assert audit_log() == [("olga", "create", str(campaign_id))]


def test_a_saved_draft_comes_back_as_it_was(now: dt.datetime) -> None:
    mapping = {"name": {"property": "name", "fallback": "会员"}, "code": {"fixed": "A1"}}
    weekly = Schedule(Kind.WEEKLY, ZONE, dt.time(9, 30, 15), dt.date(2026, 3, 2), None, (1, 4))
    campaign_id = stored(drafts.blank(), now)
    draft = ready(name="ＶＩＰ 召回", mapping=mapping, schedule=weekly)

    version = drafts.save(campaign_id, 1, draft, OLGA, now + dt.timedelta(minutes=1))

    campaign = fresh(campaign_id)
    assert drafts.draft_of(campaign) == draft
    assert (version, campaign.version, campaign.recurring) == (2, 2, True)
    assert campaign.name_key == "vip 召回"
    assert campaign.updated_at == now + dt.timedelta(minutes=1)
    assert audit_log()[-1] == ("olga", "edit", str(campaign_id))


def test_of_two_windows_the_second_does_not_overwrite_the_first(now: dt.datetime) -> None:
    campaign_id = stored(ready(name="原来"), now)
    first, second = ready(name="第一个窗口"), ready(name="第二个窗口")
    drafts.save(campaign_id, 1, first, OLGA, now)

    with pytest.raises(EditConflict) as overtaken:
        drafts.save(campaign_id, 1, second, OLGA, now)

    assert overtaken.value.saved == first
    assert overtaken.value.version == 2
    assert "name" in second.differences(overtaken.value.saved)
    assert fresh(campaign_id).name == "第一个窗口"
    assert drafts.save(campaign_id, 2, second, OLGA, now) == 3, "knowing it, one may"


def test_saving_the_same_twice_is_no_conflict(now: dt.datetime) -> None:
    campaign_id = stored(ready(name="原来"), now)
    draft = ready(name="改过")
    drafts.save(campaign_id, 1, draft, OLGA, now)

    assert drafts.save(campaign_id, 1, draft, OLGA, now) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "长" * 121}, "name_too_long"),
        ({"audience": AudienceRule.of(9999)}, "segment_gone"),
        ({"channel_id": 9999}, "channel_gone"),
        ({"template_id": 9999}, "template_gone"),
        ({"schedule": Schedule(Kind.NOW, "Mars/Olympus")}, "zone_unknown"),
    ],
)
def test_what_no_draft_can_hold_is_refused_and_nothing_changes(
    now: dt.datetime, change: dict[str, Any], code: str
) -> None:
    draft = ready()
    campaign_id = stored(draft, now)

    with pytest.raises(Refusal) as refused:
        drafts.save(campaign_id, 1, replace(draft, **change), OLGA, now)
    with pytest.raises(Refusal):
        stored(replace(draft, **change), now)

    assert [problem.code for problem in refused.value.problems] == [code]
    assert fresh(campaign_id).version == 1


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"name": "  "}, ["name_missing"]),
        ({"audience": AudienceRule()}, ["segment_missing"]),
        ({"channel_id": None}, ["channel_missing", "template_of_another_channel"]),
        ({"template_id": None}, ["template_missing"]),
        ({"schedule": replace(TOMORROW, start=dt.date(2026, 3, 1))}, ["date_in_the_past"]),
    ],
)
def test_what_a_draft_lacks_is_listed(now: dt.datetime, change: dict[str, Any], codes: list[str]) -> None:
    assert [problem.code for problem in drafts.problems(ready(**change), now)] == codes


def test_unmapped_variables_withdrawn_templates_and_idle_channels_keep_a_draft_back(now: dt.datetime) -> None:
    channel = builders.channel(active=False)
    template = builders.template(channel.id, text="${name}您好，${code}", audit="pending")
    draft = ready(channel_id=channel.id, template_id=template.id, mapping={"name": {"property": "name"}})

    assert drafts.problems(draft, now) == [
        Problem("channel_inactive", "channel"),
        Problem("template_not_approved", "template"),
        Problem("variable_unmapped", "template", {"variable": "code"}),
    ]


# -- confirming -------------------------------------------------------------------------------------------------------


def test_confirming_now_opens_a_run_and_enqueues(now: dt.datetime, valkey: redis.Redis) -> None:
    draft = ready()
    campaign_id = stored(draft, now)

    assert campaigns.confirm(campaign_id, 1, mark(draft), OLGA, now) is Status.SENDING

    campaign = fresh(campaign_id)
    run = current_session().scalars(sa.select(Run).where(Run.campaign_id == campaign_id)).one()
    assert (campaign.status, campaign.confirmed_at, run.slot, run.state) == ("sending", now, now, "open")
    assert campaign.confirmed_template == {"text": ANY, "signature": "青禾商城"}
    assert [job.args for job in queue.queue(queue.SEND).jobs] == [[run.id]]
    assert audit_log()[-1] == ("olga", "confirm", str(campaign_id))


def test_confirming_for_later_waits_with_one_entry_in_the_scheduler(now: dt.datetime) -> None:
    campaign_id = confirmed(ready(schedule=TOMORROW), now)

    campaign = fresh(campaign_id)
    assert (campaign.status, campaign.next_due_at) == ("waiting", TOMORROW_AT)
    assert current_session().scalars(sa.select(Run)).all() == []
    ((job, due),) = queue.scheduler().get_jobs(with_times=True)
    assert (job.id, job.args, due) == (f"due-{campaign_id}", [campaign_id], TOMORROW_AT.replace(tzinfo=None))


def test_a_second_confirmation_finds_it_gone(now: dt.datetime) -> None:
    draft = ready()
    campaign_id = confirmed(draft, now)

    with pytest.raises(Conflict) as outrun:
        campaigns.confirm(campaign_id, 1, mark(draft), OLGA, now)

    assert outrun.value.problems[0].facts == {"status": "sending"}
    assert len(current_session().scalars(sa.select(Run)).all()) == 1


def test_what_was_not_reviewed_is_not_confirmed(now: dt.datetime) -> None:
    draft = ready()
    campaign_id = stored(draft, now)
    seen = mark(draft)
    drafts.save(campaign_id, 1, replace(draft, name="别的"), OLGA, now)

    with pytest.raises(EditConflict):
        campaigns.confirm(campaign_id, 1, seen, OLGA, now)
    with pytest.raises(Refusal) as refused:
        campaigns.confirm(campaign_id, 2, "an older text", OLGA, now)

    assert refused.value.problems[0].code == "template_changed_since_review"
    assert fresh(campaign_id).status == "draft"


def test_an_incomplete_draft_is_not_confirmed(now: dt.datetime) -> None:
    campaign_id = stored(drafts.blank(), now)

    with pytest.raises(Refusal) as refused:
        campaigns.confirm(campaign_id, 1, "", OLGA, now)

    assert [problem.place for problem in refused.value.problems] == ["name", "segment", "channel", "template"]
    assert fresh(campaign_id).status == "draft"


def test_redis_being_away_loses_no_confirmation(now: dt.datetime, app: Flask) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("unix:///nowhere")

    campaign_id = confirmed(ready(schedule=TOMORROW), now)

    assert fresh(campaign_id).next_due_at == TOMORROW_AT
    assert list(store.due(current_session(), TOMORROW_AT)) == [campaign_id], "the sweep will find it"


# -- stopping, deleting, copying --------------------------------------------------------------------------------------


def test_stopping_takes_the_entry_back(now: dt.datetime, valkey: redis.Redis) -> None:
    campaign_id = confirmed(ready(schedule=TOMORROW), now)

    campaigns.stop(campaign_id, OLGA, now)

    campaign = fresh(campaign_id)
    assert (campaign.status, campaign.next_due_at) == ("stopped", None)
    assert list(queue.scheduler().get_jobs()) == []
    assert store.due(current_session(), TOMORROW_AT) == []
    assert audit_log()[-1] == ("olga", "stop", str(campaign_id))


def test_only_what_never_had_a_run_is_deleted(now: dt.datetime) -> None:
    sent = builders.campaign(status=Status.FAILED)
    sending_now, draft = builders.campaign(status=Status.SENDING), builders.campaign()
    with writing() as session:
        session.add(
            Run(
                campaign_id=sent.id,
                slot=now,
                state="done",
                channel_id=sent.channel_id,
                segment_id=sent.segment_id,
                opened_at=now,
            )
        )

    assert campaigns.delete([sent.id, sending_now.id, draft.id, 9999], OLGA, now) == [sent.id, sending_now.id]

    with pytest.raises(NotFound):
        campaigns.get(draft.id)
    assert fresh(sent.id).deleted_at is None
    assert fresh(sending_now.id).deleted_at is None
    assert audit_log() == [("olga", "delete", str(draft.id))]


def test_a_copy_is_a_new_draft_with_everything_but_the_name(now: dt.datetime) -> None:
    source = ready(name="原件", mapping={"a": {"fixed": "b"}}, schedule=TOMORROW)
    campaign_id = confirmed(source, now)

    copied = campaigns.save_as(campaign_id, "副本", OLGA, now)

    copy = fresh(copied.id)
    assert not copied.moved
    assert drafts.draft_of(copy) == replace(source, name="副本")
    assert (copy.status, copy.version, copy.next_due_at, copy.confirmed_at) == ("draft", 1, None, None)
    assert fresh(campaign_id).status == "waiting"


def test_a_copy_of_something_past_is_moved_forward(now: dt.datetime) -> None:
    campaign_id = stored(ready(schedule=replace(TOMORROW, start=dt.date(2026, 2, 17))), now)

    copied = campaigns.save_as(campaign_id, "副本", OLGA, now)

    assert copied == CopiedCampaign(copied.id, moved=True)
    assert drafts.draft_of(fresh(copied.id)).schedule.start == dt.date(2026, 3, 3)


@pytest.mark.parametrize("name", ["", "   ", "长" * 121])
def test_a_copy_needs_a_name(now: dt.datetime, name: str) -> None:
    campaign_id = stored(ready(), now)

    with pytest.raises(Refusal) as refused:
        campaigns.save_as(campaign_id, name, OLGA, now)

    assert refused.value.problems[0].place == "name"
    assert current_session().scalar(sa.select(sa.func.count()).where(Campaign.name == name)) == 0


# -- every status and every action ------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", Action)
def test_an_action_moves_a_campaign_only_from_where_it_begins(now: dt.datetime, action: Action) -> None:
    begins, ends = MOVES[action]
    values = {Action.DELETE: {"deleted_at": now}, Action.ARCHIVE: {"archived_at": now}}.get(action, {})
    blank = {"segment_id": None, "channel_id": None, "template_id": None}

    for status in Status:
        campaign = builders.campaign(status=status, **blank)
        with writing() as session:
            moved = store.move(session, campaign.id, action, **values)

        current_session().expire_all()
        after = current_session().get_one(Campaign, campaign.id)
        assert moved == (status in begins), status
        assert after.status == (ends if moved and ends else status)
        assert (after.deleted_at is not None) == (moved and action is Action.DELETE)


Doing = Callable[[int, dt.datetime], object]
DOINGS: dict[Action, Doing] = {
    Action.EDIT: lambda one, now: drafts.save(one, 1, Draft("新名字", schedule=TOMORROW), OLGA, now),
    Action.LAUNCH: lambda one, now: campaigns.confirm(one, 1, "", OLGA, now),
    Action.STOP: lambda one, now: campaigns.stop(one, OLGA, now),
    Action.DELETE: lambda one, now: campaigns.delete([one], OLGA, now),
}


@pytest.mark.parametrize("action", DOINGS)
def test_what_a_person_may_not_do_changes_nothing(now: dt.datetime, action: Action) -> None:
    for status in set(Status) - MOVES[action][0]:
        campaign = builders.campaign(status=status)
        before = (campaign.status, campaign.name, campaign.deleted_at)

        if action is Action.DELETE:
            assert DOINGS[action](campaign.id, now) == [campaign.id]
        else:
            with pytest.raises(Conflict) as outrun:
                DOINGS[action](campaign.id, now)
            assert outrun.value.problems[0].facts["status"] == status

        after = fresh(campaign.id)
        assert (after.status, after.name, after.deleted_at) == before
        assert audit_log() == []


@pytest.mark.parametrize("action", DOINGS)
def test_a_deleted_campaign_is_not_there_for_anybody(now: dt.datetime, action: Action) -> None:
    campaign = builders.campaign(deleted_at=now)

    if action is Action.DELETE:
        assert DOINGS[action](campaign.id, now) == []
    else:
        with pytest.raises(NotFound):
            DOINGS[action](campaign.id, now)


# -- races ------------------------------------------------------------------------------------------------------------


def together(app: Flask, *doings: Callable[[], object]) -> list[object]:
    """Do these at the same moment, each in a thread with its own session; return what came back or was raised."""
    barrier = threading.Barrier(len(doings))
    results: list[object] = [None] * len(doings)

    def one(place: int, doing: Callable[[], object]) -> None:
        with app.app_context():
            barrier.wait(10)
            try:
                results[place] = doing()
            except Refusal as refusal:
                results[place] = refusal
            finally:
                current_session().close()

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(doings)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    current_session().expire_all()
    current_session().commit()
    return results


@pytest.fixture
def due(now: dt.datetime) -> list[int]:
    """Waiting campaigns whose time has come."""
    return [confirmed(ready(schedule=TOMORROW), now) for _ in range(8)]


def test_of_stop_and_start_exactly_one_wins(app: Flask, due: list[int]) -> None:
    for campaign_id in due:
        stopped, started = together(
            app,
            partial(campaigns.stop, campaign_id, OLGA, TOMORROW_AT),
            partial(starting.start, campaign_id, TOMORROW_AT),
        )

        campaign = fresh(campaign_id)
        runs = current_session().scalars(sa.select(Run.id).where(Run.campaign_id == campaign_id)).all()
        if campaign.status == "stopped":
            assert (stopped, started, runs) == (None, None, [])
        else:
            assert campaign.status == "sending"
            assert isinstance(stopped, Conflict)
            assert runs == [started]


def test_of_many_confirmations_exactly_one_gets_through(app: Flask, now: dt.datetime) -> None:
    draft = ready()
    campaign_id = stored(draft, now)
    seen = mark(draft)

    results = together(app, *[lambda: campaigns.confirm(campaign_id, 1, seen, OLGA, now)] * 4)

    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Conflict", "Conflict", "Status"]
    assert len(current_session().scalars(sa.select(Run)).all()) == 1


def test_of_two_windows_that_save_at_once_one_is_told(app: Flask, now: dt.datetime) -> None:
    campaign_id = stored(ready(name="原来"), now)
    edits = [ready(name="左"), ready(name="右")]

    results = together(app, *[lambda draft=draft: drafts.save(campaign_id, 1, draft, OLGA, now) for draft in edits])

    assert sorted(type(result).__name__ for result in results) == ["EditConflict", "int"]
    assert fresh(campaign_id).version == 2


def test_of_delete_and_confirm_exactly_one_wins(app: Flask, now: dt.datetime) -> None:
    for _ in range(6):
        draft = ready()
        campaign_id = stored(draft, now)
        seen = mark(draft)
        undeleted_ids, status = together(
            app,
            partial(campaigns.delete, [campaign_id], OLGA, now),
            partial(campaigns.confirm, campaign_id, 1, seen, OLGA, now),
        )

        campaign = current_session().get_one(Campaign, campaign_id)
        if campaign.deleted_at is None:
            assert (undeleted_ids, status, campaign.status) == ([campaign_id], Status.SENDING, "sending")
        else:
            assert undeleted_ids == []
            assert isinstance(status, Refusal)
            assert campaign.status == "draft"
