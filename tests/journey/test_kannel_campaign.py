"""A whole campaign on a real gateway: profiles over /up, a segment, a template, Kannel, receipts, four numbers."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from config import Config
from smsapp.channels.gateway import Gateway
from smsapp.channels.gateway.presets import KANNEL
from smsapp.domain.funnel import broken_identities
from smsapp.factory import create_app
from smsapp.services.apps import applying
from smsapp.services.channels import accounts, validation
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import consumer
from smsapp.services.sending import sender
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.db import current_session, db
from smsapp.store.runs import funnels
from tests import builders
from tests.engine import confirmed, recount
from tests.journey.kannel import PASSWORD, SENDER, USERNAME, Kannel, kannel, wait_for
from tests.journey.processes import PATIENCE, Processes, processes

__all__ = ["kannel"]

PEOPLE = 10_000
PER_UPLOAD = 1000
TEXT = "尊敬的${name}，您的积分将于今晚24点清零，拒收请回复R"


def report(address: str, first: int) -> None:
    """Report profiles as the Python SDK does: base64 of gzip of an array, as a form."""
    records = [
        {
            "appid": "demo-appkey",
            "xwho": f"user{n}",
            "xwhat": "$profile_set",
            "xwhen": 1_772_416_800_000,
            "xcontext": {"$phone": f"139{n:08d}", "name": f"会员{n:05d}", "$lib": "python", "$is_login": True},
        }
        for n in range(first, first + PER_UPLOAD)
    ]
    body = base64.b64encode(gzip.compress(json.dumps(records).encode()))
    request = urllib.request.Request(f"{address}/up", body, {"Content-Type": "application/x-www-form-urlencoded"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.read() == b'{"code":200}'


@pytest.fixture
def served(config: Config, tmp_path: Path) -> Iterator[Processes]:
    """The web server over this test's database."""
    reachable = dataclasses.replace(config, ALLOWED_PRIVATE_HOSTS=("127.0.0.0/8",))
    with processes(reachable, tmp_path) as started:
        yield started


def test_ten_thousand_people_get_their_text_and_every_receipt_counts(served: Processes, kannel: Kannel) -> None:
    # given a running product, a key for the shop's app, and 10,000 profiles reported over HTTP
    address = served.web()
    app = create_app(dataclasses.replace(served.config, PUBLIC_URL=address))
    before = len(kannel.arrived())
    with app.app_context():
        builders.kept(AppKey(key="demo-appkey", name="shop", created_at=builders.LONG_AGO))
        for first in range(0, PEOPLE, PER_UPLOAD):
            report(address, first)
        applying.apply_waiting(clock.now())
        # and Kannel as a channel, with an approved template
        values = {setting.name: setting.default for setting in Gateway.settings} | dict(KANNEL.values)
        values |= {"username": USERNAME, "password": PASSWORD, "sender": SENDER}
        values = {name: value.replace("http://127.0.0.1:13013", kannel.url) for name, value in values.items()}
        channel_settings = validation.ChannelFields("Kannel", values)
        channel_id = accounts.create("gateway", channel_settings, Actor("test"), clock.now())
        template = builders.template(channel_id, text=TEXT, purpose="notification")
        mapping = {"name": {"property": "name", "fallback": None}}
        # when a campaign is sent to everybody
        now = clock.now()
        _campaign, run_id = confirmed(now, channel_id=channel_id, template_id=template.id, mapping=mapping)
        sender.send(app, clock.now)
        wait_for(lambda: delivered(app, run_id) == PEOPLE, "every receipt", PATIENCE)
        # then everybody was written to once, and the numbers add up
        funnel = funnels.run_funnels(current_session(), [run_id])[run_id]
        assert broken_identities(funnel) == []
        assert (funnel.target, funnel.effective, funnel.accepted, funnel.delivered) == (PEOPLE,) * 4
        assert recount(run_id) == {"delivered": PEOPLE}
        db.session.remove()
        db.engine.dispose()
    arrived = kannel.arrived()[before:]
    expected = {
        (f"+86139{n:08d}", f"【青禾商城】尊敬的会员{n:05d}，您的积分将于今晚24点清零，拒收请回复R")
        for n in range(PEOPLE)
    }
    assert len(arrived) == PEOPLE
    assert set(arrived) == expected


def delivered(app: Flask, run_id: int) -> int:
    """Read what has come in so far and return how many messages are delivered."""
    consumer.apply_callbacks(clock.now())
    current_session().commit()
    return funnels.run_funnels(current_session(), [run_id])[run_id].delivered
