"""Templates typed in by hand: saved, changed, approved, refused, deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, ParamSpec

import pytest
from flask import Flask

from smsapp.domain.errors import Conflict, NotFound, Refusal
from smsapp.domain.sms_template import Audit, Entry, Purpose, entry
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import sms_templates
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry
from tests import builders

P = ParamSpec("P")
ACTOR = Actor("olga")


def typed(**given: Any) -> Entry:
    values = {"name": "发货通知", "code": "SMS_1", "text": "您的订单${order}已发货。", "signature": "青禾商城"}
    return entry(**(values | {"purpose": Purpose.NOTIFICATION} | given))


@pytest.fixture
def channel(app: Flask) -> ChannelRow:
    return builders.channel()


def actions() -> list[str]:
    return [line.action for line in current_session().query(AuditEntry).order_by(AuditEntry.id)]


def refused(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> list[tuple[str, str]]:
    with pytest.raises(Refusal) as caught:
        call(*args, **kwargs)
    return [(problem.code, problem.place) for problem in caught.value.problems]


def test_a_typed_template_waits_for_approval_and_cannot_be_chosen(channel: ChannelRow, now: dt.datetime) -> None:
    made = sms_templates.create(channel.id, typed(), Audit.PENDING, ACTOR, now)
    assert (made.audit, made.source, made.text) == ("pending", "manual", "您的订单${order}已发货。")
    assert sms_templates.choices(channel.id) == []
    sms_templates.approve(made.id, sms_templates.seen(made), ACTOR, now)
    assert [row.id for row in sms_templates.choices(channel.id)] == [made.id]
    assert actions() == ["create", "approve"]


def test_a_text_with_errors_is_not_saved(channel: ChannelRow, now: dt.datetime) -> None:
    wrong = typed(name="", text="${a}${b}")
    problems = refused(sms_templates.create, channel.id, wrong, Audit.PENDING, ACTOR, now)
    assert ("template_name_missing", "name") in problems
    assert ("variables_adjacent", "text") in problems
    assert sms_templates.find_page() == []


def test_a_code_is_used_once_per_channel(channel: ChannelRow, now: dt.datetime) -> None:
    sms_templates.create(channel.id, typed(), Audit.PENDING, ACTOR, now)
    again = refused(sms_templates.create, channel.id, typed(), Audit.PENDING, ACTOR, now)
    assert again == [("template_code_taken", "code")]
    other = builders.channel()
    assert sms_templates.create(other.id, typed(), Audit.PENDING, ACTOR, now).code == "SMS_1"


def test_a_template_needs_a_channel_that_is_there(app: Flask, now: dt.datetime) -> None:
    assert refused(sms_templates.create, 99, typed(), Audit.PENDING, ACTOR, now) == [
        ("template_channel_missing", "channel")
    ]


def test_changed_words_wait_for_approval_again(channel: ChannelRow, now: dt.datetime) -> None:
    made = builders.template(channel.id, text="您好。")
    later = now + dt.timedelta(minutes=1)
    reworded = typed(code=made.code, text="您好！")
    assert sms_templates.edit(made.id, reworded, sms_templates.seen(made), ACTOR, later)
    assert sms_templates.get(made.id).audit == "pending"
    assert sms_templates.choices(channel.id) == []


def test_a_new_name_changes_nothing_at_the_provider(channel: ChannelRow, now: dt.datetime) -> None:
    made = builders.template(channel.id, text="您好。")
    renamed = typed(name="问候", code=made.code, text="您好。", signature=made.signature)
    assert not sms_templates.edit(made.id, renamed, sms_templates.seen(made), ACTOR, now)
    template = sms_templates.get(made.id)
    assert (template.name, template.audit) == ("问候", "approved")
    assert actions() == ["edit"]


def test_saving_without_a_change_leaves_no_trace(channel: ChannelRow, now: dt.datetime) -> None:
    made = builders.template(channel.id)
    same = typed(name=made.name, code=made.code, text=made.text, signature=made.signature)
    before = made.updated_at
    assert not sms_templates.edit(made.id, same, sms_templates.seen(made), ACTOR, now)
    assert sms_templates.get(made.id).updated_at == before
    assert actions() == []


def test_a_code_cannot_be_changed_to_a_known_one(channel: ChannelRow, now: dt.datetime) -> None:
    made, other = builders.template(channel.id), builders.template(channel.id)
    assert refused(sms_templates.edit, made.id, typed(code=other.code), sms_templates.seen(made), ACTOR, now) == [
        ("template_code_taken", "code")
    ]


def test_only_the_words_a_person_saw_are_approved(channel: ChannelRow, now: dt.datetime) -> None:
    made = sms_templates.create(channel.id, typed(), Audit.PENDING, ACTOR, now)
    mark = sms_templates.seen(made)
    later = now + dt.timedelta(seconds=1)
    sms_templates.edit(made.id, typed(text="别的话。"), mark, ACTOR, later)
    for decide in (
        lambda: sms_templates.approve(made.id, mark, ACTOR, later),
        lambda: sms_templates.refuse(made.id, "不合规", mark, ACTOR, later),
        lambda: sms_templates.edit(made.id, typed(), mark, ACTOR, later),
    ):
        with pytest.raises(Conflict):
            decide()
    assert sms_templates.get(made.id).audit == "pending"


def test_a_refusal_has_a_reason_and_is_gone_after_an_approval(channel: ChannelRow, now: dt.datetime) -> None:
    made = builders.template(channel.id, audit="pending")
    mark = sms_templates.seen(made)
    assert refused(sms_templates.refuse, made.id, " ", mark, ACTOR, now) == [("refusal_reason_missing", "reason")]
    sms_templates.refuse(made.id, "签名未报备", mark, ACTOR, now)
    template = sms_templates.get(made.id)
    assert (template.audit, template.audit_reason) == ("refused", "签名未报备")
    sms_templates.approve(made.id, sms_templates.seen(template), ACTOR, now + dt.timedelta(seconds=1))
    assert (sms_templates.get(made.id).audit, sms_templates.get(made.id).audit_reason) == ("approved", "")


@pytest.mark.parametrize("status", ["draft", "waiting", "sending"])
def test_a_template_in_use_cannot_be_deleted(channel: ChannelRow, now: dt.datetime, status: str) -> None:
    made = builders.template(channel.id)
    builders.campaign(channel_id=channel.id, template_id=made.id, status=status, name="双十一")
    with pytest.raises(Refusal) as caught:
        sms_templates.delete(made.id, ACTOR, now)
    assert caught.value.problems[0].facts == {"count": 1, "names": "双十一"}
    assert [campaign.name for campaign in sms_templates.users(made.id)] == ["双十一"]


def test_a_template_that_only_the_past_used_can_be_deleted(channel: ChannelRow, now: dt.datetime) -> None:
    made = builders.template(channel.id)
    over = builders.campaign(channel_id=channel.id, template_id=made.id, status="sent")
    builders.campaign(channel_id=channel.id, template_id=made.id, status="draft", deleted_at=now)
    sms_templates.delete(made.id, ACTOR, now)
    with pytest.raises(NotFound):
        sms_templates.get(made.id)
    current_session().refresh(over)
    assert over.template_id is None
    with pytest.raises(NotFound):
        sms_templates.delete(made.id, ACTOR, now)


def test_what_is_gone_cannot_be_decided(app: Flask, now: dt.datetime) -> None:
    for call in (
        lambda: sms_templates.approve(7, "", ACTOR, now),
        lambda: sms_templates.edit(7, typed(), "", ACTOR, now),
    ):
        with pytest.raises(NotFound):
            call()


def test_approvals_grow_stale_and_fresh_again(channel: ChannelRow, now: dt.datetime) -> None:
    made = builders.template(
        channel.id, created_at=now - dt.timedelta(days=200), checked_at=now - dt.timedelta(days=91)
    )
    builders.template(channel.id, checked_at=now)
    builders.template(channel.id, audit="pending", created_at=now - dt.timedelta(days=200))
    assert sms_templates.stale(now) == sms_templates.stale(now, channel.id) == 1
    assert sms_templates.stale(now, builders.channel().id) == 0
    sms_templates.approve(made.id, sms_templates.seen(made), ACTOR, now)
    assert sms_templates.stale(now) == 0


def test_the_search_takes_percent_and_underscore_as_letters_and_ignores_case(channel: ChannelRow) -> None:
    builders.template(channel.id, name="五折", text="全场50%返还", code="SMS_1")
    builders.template(channel.id, name="五十", text="全场50元返还", code="SMSX1")
    builders.template(channel.id, name="Hello", text="Spring Sale", signature="青禾优选", code="Z")

    def names(words: str) -> list[str]:
        return sorted(row.name for row in sms_templates.find_page(words=words))

    assert names("50%") == ["五折"]
    assert names("SMS_1") == ["五折"]
    assert names("spring") == ["Hello"]
    assert names("返还") == ["五十", "五折"]
    assert names("优选") == ["Hello"]
    assert names("\\") == []
    assert sms_templates.counts(words="返还") == {"pending": 0, "approved": 2, "refused": 0, "withdrawn": 0}


def test_pages_follow_one_another_without_gap_or_double(channel: ChannelRow) -> None:
    made = [builders.template(channel.id).id for _ in range(7)]
    first = sms_templates.find_page(channel.id, limit=3)
    second = sms_templates.find_page(channel.id, before=first[-1].id, limit=3)
    third = sms_templates.find_page(channel.id, before=second[-1].id, limit=3)
    assert [row.id for row in first + second + third] == made[::-1]
    assert sms_templates.find_page(channel.id, Audit.REFUSED) == []
