"""Templates compared with what the provider lists: added, changed, withdrawn, and never lost by a failure."""

from __future__ import annotations

import datetime as dt
from typing import NoReturn

import pytest
from flask import Flask

from smsapp.channels.errors import AccountError, NotSent
from smsapp.channels.http import HttpClient
from smsapp.channels.simulator import Simulator
from smsapp.channels.types import ProviderSignature, ProviderTemplate
from smsapp.domain.errors import Refusal
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import Audit, Purpose, SyncFate, entry
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import sms_templates, template_sync
from smsapp.services.templates.template_sync import SyncResult
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import AuditEntry
from tests import builders

ACTOR = Actor("olga")
LINES = """T1 | approved | marketing | 【青禾商城】三月会员日全场八折。拒收请回复R
T2 | refused: 内容含违禁词 | notification | 【青禾商城】恭喜中奖
T3 | approved | | 您的订单{1}已发货。"""


@pytest.fixture
def channel(app: Flask) -> ChannelRow:
    return builders.channel(settings={"templates": LINES, "signatures": "青禾商城"})


def says(channel: ChannelRow, lines: str) -> None:
    """Let the made-up provider list something else from now on."""
    builders.existing(current_session().get(ChannelRow, channel.id)).settings = {
        "templates": lines,
        "signatures": "青禾商城",
    }
    current_session().commit()


def sync(channel: ChannelRow, now: dt.datetime) -> SyncResult:
    return template_sync.sync(channel.id, ACTOR, now)


def row(code: str) -> SmsTemplate:
    current_session().expire_all()
    return current_session().query(SmsTemplate).filter_by(code=code).one()


def test_what_the_provider_lists_is_added_with_its_state_and_reason(channel: ChannelRow, now: dt.datetime) -> None:
    done = sync(channel, now)
    assert done.ok
    assert done.counts[SyncFate.ADDED] == 3
    assert (row("T1").audit, row("T1").text, row("T1").signature) == (
        "approved",
        "三月会员日全场八折。拒收请回复R",
        "青禾商城",
    )
    assert (row("T2").audit, row("T2").audit_reason) == ("refused", "内容含违禁词")
    assert row("T1").source == "sync"
    assert builders.existing(current_session().get(ChannelRow, channel.id)).templates_synced_at == now
    assert [line.action for line in current_session().query(AuditEntry)] == ["sync"]


def test_the_only_signature_of_the_account_is_taken_where_the_template_names_none(
    channel: ChannelRow, now: dt.datetime
) -> None:
    sync(channel, now)
    assert row("T3").signature == "青禾商城"


def test_syncing_again_changes_nothing_but_the_day_of_the_comparison(channel: ChannelRow, now: dt.datetime) -> None:
    sync(channel, now)
    before = row("T1").updated_at
    later = now.replace(year=now.year + 1)
    done = sync(channel, later)
    assert (done.changes, done.unchanged) == ([], 3)
    assert (row("T1").checked_at, row("T1").updated_at) == (later, before)


def test_a_changed_text_and_a_template_that_is_gone_are_told(channel: ChannelRow, now: dt.datetime) -> None:
    sync(channel, now)
    says(channel, LINES.replace("八折", "七折").splitlines()[0])
    done = sync(channel, now)
    assert [(change.fate, change.code, change.fields) for change in done.changes] == [
        (SyncFate.CHANGED, "T1", ("text",)),
        (SyncFate.WITHDRAWN, "T2", ("audit",)),
        (SyncFate.WITHDRAWN, "T3", ("audit",)),
    ]
    assert "七折" in row("T1").text
    assert row("T3").audit == Audit.WITHDRAWN
    assert [row.code for row in sms_templates.choices(channel.id)] == ["T1"]


def test_a_withdrawn_template_that_is_listed_again_is_approved_again(channel: ChannelRow, now: dt.datetime) -> None:
    sync(channel, now)
    says(channel, LINES.splitlines()[0])
    sync(channel, now)
    says(channel, LINES)
    sync(channel, now)
    assert row("T3").audit == "approved"


def test_an_approved_template_of_unknown_kind_is_no_choice_until_a_person_says_what_it_is(
    channel: ChannelRow, now: dt.datetime
) -> None:
    sync(channel, now)
    assert [row.code for row in sms_templates.choices(channel.id)] == ["T1"]
    sms_templates.say_purpose(row("T3").id, Purpose.NOTIFICATION, row("T3").mark, ACTOR, now)
    assert [row.code for row in sms_templates.choices(channel.id)] == ["T3", "T1"]
    sync(channel, now)
    assert row("T3").purpose == Purpose.NOTIFICATION


def test_a_text_that_tells_how_to_refuse_further_ones_may_be_called_a_notification(
    channel: ChannelRow, now: dt.datetime
) -> None:
    says(channel, "T9 | approved | | 全场八折。拒收请回复R")
    sync(channel, now)
    # Some carriers ask for these words at the end of every text.
    sms_templates.say_purpose(row("T9").id, Purpose.NOTIFICATION, row("T9").mark, ACTOR, now)
    assert row("T9").purpose == Purpose.NOTIFICATION


def test_what_a_person_set_stays_until_the_provider_says_something_else(channel: ChannelRow, now: dt.datetime) -> None:
    sync(channel, now)
    template = row("T1")
    typed = entry(code="T1", name="会员日", text=template.text, signature=template.signature, purpose=Purpose.MARKETING)
    sms_templates.edit(template.id, typed, template.mark, ACTOR, now)
    sync(channel, now)
    assert row("T1").name == "会员日"
    says(channel, LINES.replace("T3 | approved | |", "T3 | approved | notification |"))
    sync(channel, now)
    assert row("T3").purpose == "notification"


def test_a_template_typed_in_before_is_met_by_its_code_and_keeps_its_name(
    channel: ChannelRow, now: dt.datetime
) -> None:
    builders.template(channel.id, code="T1", name="手工录入", text="旧的", purpose="marketing", audit="pending")
    done = sync(channel, now)
    assert (row("T1").name, row("T1").audit, "八折" in row("T1").text) == ("手工录入", "approved", True)
    assert done.counts[SyncFate.ADDED] == 2


def test_what_a_person_typed_ahead_and_the_provider_does_not_know_yet_stays_as_it_is(
    channel: ChannelRow, now: dt.datetime
) -> None:
    builders.template(channel.id, code="ahead", audit="pending")
    sync(channel, now)
    assert row("ahead").audit == "pending"


def test_a_failure_changes_no_template_and_is_kept_with_the_channel_until_a_sync_works(
    channel: ChannelRow, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(channel, now)

    async def fails(self: Simulator, http: HttpClient) -> NoReturn:
        raise AccountError("AuthFailure", outcome=Outcome.CREDENTIALS)

    with monkeypatch.context() as patched:
        patched.setattr(Simulator, "list_templates", fails)
        done = sync(channel, now.replace(hour=23))
    channel_row = builders.existing(current_session().get(ChannelRow, channel.id))
    assert not done.ok
    assert channel_row.templates_trouble is not None
    assert channel_row.templates_trouble["code"] == "AuthFailure"
    assert channel_row.templates_synced_at == now
    assert row("T1").audit == "approved"
    sync(channel, now)
    current_session().expire_all()
    assert builders.existing(current_session().get(ChannelRow, channel.id)).templates_trouble is None


def test_a_list_that_breaks_off_among_the_signatures_changes_nothing(
    channel: ChannelRow, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Simulator, http: HttpClient) -> NoReturn:
        raise NotSent("connect", outcome=Outcome.NETWORK)

    monkeypatch.setattr(Simulator, "list_signatures", fails)
    assert not sync(channel, now).ok
    assert sms_templates.find_page() == []


def test_all_channels_are_asked_although_one_fails(
    channel: ChannelRow, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = builders.channel(settings={"templates": "X1 | approved | notification | 您好，您的订单已发货。"})
    builders.channel()
    asked = Simulator.list_templates

    async def one_fails(self: Simulator, http: HttpClient) -> list[ProviderTemplate]:
        if self.values["signatures"]:
            raise RuntimeError("a fault")
        return await asked(self, http)

    monkeypatch.setattr(Simulator, "list_templates", one_fails)
    assert [done.channel_id for done in template_sync.sync_all(now)] == [other.id]


def test_a_channel_that_cannot_be_asked_is_refused(app: Flask, now: dt.datetime) -> None:
    with pytest.raises(Refusal) as caught:
        template_sync.sync(builders.channel().id, ACTOR, now)
    assert caught.value.problems[0].code == "channel_lists_no_templates"


def test_a_signature_the_provider_has_not_approved_is_told(
    channel: ChannelRow, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed(self: Simulator, http: HttpClient) -> list[ProviderSignature]:
        return [ProviderSignature("青禾商城", Audit.REFUSED, "资质过期"), ProviderSignature("青禾", Audit.APPROVED)]

    monkeypatch.setattr(Simulator, "list_signatures", listed)
    sync(channel, now)
    problem = builders.existing(sms_templates.signature_problem(channel.id, row("T1").signature))
    assert (problem.code, problem.facts["reason"]) == ("signature_not_approved", "资质过期")
    assert sms_templates.signature_problem(channel.id, row("T3").signature) is None
    assert [row.name for row in sms_templates.signatures(channel.id)] == ["青禾", "青禾商城"]


def test_what_a_provider_writes_is_made_fit_for_the_database(
    channel: ChannelRow, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed(self: Simulator, http: HttpClient) -> list[ProviderTemplate]:
        return [ProviderTemplate("C" * 300, "N\0" * 200, "文\0本", Audit.APPROVED, None, "签" * 90, "原\0因")]

    monkeypatch.setattr(Simulator, "list_templates", listed)
    assert sync(channel, now).counts[SyncFate.ADDED] == 1
