"""A campaign whose signature lapses at one carrier between confirmation and slot: from the provider's answer over real
HTTP to the held run; no text of that carrier leaves. The stand-in answers as the official SDK reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from config import Config
from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.registration import RegistrationState
from smsapp.domain.run import HoldReason, RunState
from smsapp.services.campaigns import campaigns
from smsapp.services.channels import accounts, validation
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import reports
from smsapp.services.templates import registration_guard, registration_sync, registrations, sms_templates, template_sync
from smsapp.store.db import current_session
from smsapp.store.runs import runs
from tests import builders
from tests.engine import funnel, the_run, work
from tests.fakes import FakeClock
from tests.journey.account import Account, calling, kind, serving, values

ACTOR = Actor("olga")
MOBILE, UNICOM, TELECOM = "13800138001", "13000138002", "18900138003"


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    with calling(config) as application:
        yield application


def made_channel(url: str, clock: FakeClock) -> int:
    fields = validation.ChannelFields("云通道", values(url), quiet_from="00:00", quiet_until="00:00")
    return accounts.create(kind().kind, fields, ACTOR, clock.now)


def confirmed_campaign(channel_id: int, clock: FakeClock) -> tuple[int, int]:
    """Return (campaign, run) confirmed to one number of each carrier, with what the review showed."""
    template = sms_templates.choices(channel_id)[0]
    for number in (MOBILE, UNICOM, TELECOM):
        builders.contact(phone=f"+86{number}")
    campaign = builders.campaign(channel_id=channel_id, template_id=template.id)
    mark = campaigns.review_mark(template, None)
    campaigns.confirm(campaign.id, campaign.version, mark, ACTOR, clock.now)
    return campaign.id, builders.existing(runs.latest(current_session(), campaign.id)).id


def test_a_signature_that_lapses_at_one_carrier_before_the_slot_holds_the_run_and_nothing_leaves(
    app: Flask, clock: FakeClock
) -> None:
    account = Account()
    with serving(account) as url:
        # given a signature that all carriers have registered, and a campaign confirmed with it
        channel_id = made_channel(url, clock)
        result = template_sync.sync(channel_id, ACTOR, clock.now)
        assert builders.existing(result.registrations).changed == 3
        (signature, *_) = registrations.of_channel(channel_id, clock.now)
        assert [state for _, state, _ in signature.lights] == ["registered", "registered", "to_verify"]
        campaign_id, run_id = confirmed_campaign(channel_id, clock)

        # when Unicom turns from registered to lapsed before it is sent
        account.states["unicom"] = 2
        clock.forward(minutes=5)
        template_sync.sync(channel_id, ACTOR, clock.now)
        work(app, clock)

        # then nothing leaves, and the report says whom it concerns
        assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, HoldReason.REGISTRATION)
        assert account.sent == []
        hold = builders.existing(reports.report(campaign_id, None, clock.now).registration)
        (lapse,) = hold.lapses
        assert (lapse.carrier, lapse.registration.state, lapse.n) == (Carrier.UNICOM, RegistrationState.LAPSED, 1)

        # when a person leaves the carrier out, the others get it and no text of Unicom ever leaves
        registration_guard.accept(run_id, hold.mark, ACTOR, clock.now, leave_out=True)
        work(app, clock)
        numbers = funnel(run_id)
        assert (numbers.accepted, dict(numbers.excluded)) == (2, {"carrier_left_out": 1})
        everything = " ".join(account.sent)
        assert MOBILE in everything
        assert TELECOM in everything
        assert UNICOM not in everything


def test_a_provider_that_falls_silent_keeps_the_templates_and_its_lights_turn_grey(
    app: Flask, clock: FakeClock
) -> None:
    account = Account()
    with serving(account) as url:
        channel_id = made_channel(url, clock)
        template_sync.sync(channel_id, ACTOR, clock.now)
        account.silent = True
        clock.forward(days=8)
        result = template_sync.sync(channel_id, ACTOR, clock.now)
        assert result.ok
        assert not builders.existing(result.registrations).ok
        assert builders.existing(accounts.row(channel_id).registrations_trouble)["code"] == "isp.RAM_PERMISSION_DENY"
        (signature, *_) = registrations.of_channel(channel_id, clock.now)
        assert {state for _, state, _ in signature.lights} == {RegistrationState.UNKNOWN}
        account.silent = False
        assert registration_sync.sync(channel_id, ACTOR, clock.now).ok
        assert accounts.row(channel_id).registrations_trouble is None
