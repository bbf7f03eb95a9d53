"""A campaign whose template its provider withdraws before the slot: from a sync over real HTTP to the accepted text.

The provider is a made-up account behind the real adapter of the kind that signs with an access key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from config import Config
from smsapp.channels.http import HttpClient
from smsapp.domain.run import RunState
from smsapp.domain.sms_template import Audit, SyncFate
from smsapp.services.channels import accounts, validation
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import reports
from smsapp.services.sending import unfinished
from smsapp.services.templates import approvals, sms_templates, template_sync
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from tests import builders
from tests.channels.wire import HERE, provider, run
from tests.engine import confirmed, funnel, the_run, work
from tests.fakes import FakeClock
from tests.journey.account import SIGNATURE, Account, calling, kind, serving, values

ACTOR = Actor("olga")


def test_signatures_come_with_state_and_reason(tmp_path: Any) -> None:
    account = Account()
    account.signatures.append(
        {"SignName": "青禾", "AuditStatus": "AUDIT_STATE_NOT_PASS", "Reason": {"RejectInfo": "资质过期"}}
    )

    async def story() -> Any:
        async with provider(account.answer) as server, HttpClient(HERE) as http:
            return await kind()(values(server.url), tmp_path).list_signatures(http)

    assert [(signature.name, signature.audit, signature.reason) for signature in run(story())] == [
        (SIGNATURE, Audit.APPROVED, ""),
        ("青禾", Audit.REFUSED, "资质过期"),
    ]


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    with calling(config) as application:
        yield application


def test_a_campaign_whose_template_is_withdrawn_before_its_slot_is_held_and_sent_once_accepted(
    app: Flask, clock: FakeClock
) -> None:
    account = Account()
    with serving(account) as url:
        # given a channel whose provider listed one template, and a campaign confirmed with it
        channel_settings = validation.ChannelFields("云通道", values(url), quiet_from="00:00", quiet_until="00:00")
        channel_id = accounts.create(kind().kind, channel_settings, ACTOR, clock.now)
        assert template_sync.sync(channel_id, ACTOR, clock.now).counts[SyncFate.ADDED] == 1
        template = sms_templates.choices(channel_id)[0]
        assert (template.signature, template.purpose) == (SIGNATURE, "marketing")
        builders.contacts(3)
        campaign, run_id = confirmed(clock.now, channel_id=channel_id, template_id=template.id)

        # when the provider withdraws it before the slot
        listed, account.templates = account.templates, []
        clock.forward(minutes=5)
        assert [change.fate for change in template_sync.sync(channel_id, ACTOR, clock.now).changes] == [
            SyncFate.WITHDRAWN
        ]
        work(app, clock)

        # then nothing leaves, and the report shows what has changed
        assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, "template_withdrawn")
        difference = reports.report(campaign.id, None, clock.now).difference
        assert difference is not None
        assert (difference.audit, [problem.code for problem in difference.problems]) == (
            "withdrawn",
            ["template_not_approved_now"],
        )
        assert account.sent == []

        # when it is approved again with another text, a person reads the difference and accepts it
        account.templates = [{**listed[0], "TemplateContent": "会员日全场七折，拒收请回复R"}]
        clock.forward(minutes=5)
        template_sync.sync(channel_id, ACTOR, clock.now)
        difference = approvals.difference(current_session().get_one(Run, run_id, populate_existing=True))
        assert difference is not None
        assert [text for part, text in difference.pieces if part != "same"] == ["八", "七"]
        approvals.accept(run_id, difference.mark, ACTOR, clock.now)
        work(app, clock)

        # then everybody gets it
        assert funnel(run_id).accepted == 3
        assert len(account.sent) == 1
        assert unfinished.at_hand(None) == []
