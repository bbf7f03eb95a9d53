"""A thousand people are erased while five thousand are written to: nothing of them stays, and all sums hold."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Sequence

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, Reply, SubmitRequest, SubmitResult
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.erasure import ErasureState
from smsapp.domain.optout import OptOutSource
from smsapp.services.channels import accounts, registry
from smsapp.services.contacts import opt_outs
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import arrivals, erasing
from smsapp.services.receipts import callback_inbox, consumer
from smsapp.services.reports import verify
from smsapp.services.sending import sender, sweeping
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session, writing
from smsapp.store.runs import funnels
from smsapp.store.runs.runs import Message, Run
from tests import audiences, builders, traces
from tests.engine import confirmed
from tests.fakes import FakeChannel

PEOPLE, ERASED, OPTED_OUT = 5000, 1000, 40
PATIENCE = 120.0


class SlowProvider(FakeChannel):
    """Takes a while for each request, gives ids of its own, and names the number in each receipt."""

    receipts_by_provider_ref = True

    def __init__(self) -> None:
        super().__init__(per_request=50)
        self.max_concurrency = 4
        self.receipts: list[dict[str, str]] = []
        self.gate = threading.Event()
        """Until it is set, requests after the first tenth of the people get no answer."""

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        while len(self.numbers) >= PEOPLE // 10 and not self.gate.is_set():
            await asyncio.sleep(0.01)
        await super().send(submission, http)
        # One id for a whole request, as some providers give: only the number tells its messages apart.
        ref = f"R{submission.messages[0].ref}"
        self.receipts += [{"id": ref, "to": message.phone.lstrip("+")} for message in submission.messages]
        return [SubmitResult(True, ref) for _ in submission.messages]

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        return [
            Receipt(ReceiptStatus.DELIVERED, provider_ref=line["id"], phone=line["to"], code="DELIVRD")
            for line in json.loads(callback.body)
        ]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowProvider:
    provider = SlowProvider()
    monkeypatch.setattr(accounts, "adapter", lambda _channel_id: provider)
    monkeypatch.setattr(registry, "new_adapter", lambda *_: provider)
    return provider


def sending(app: Flask, run_id: int) -> threading.Thread:
    """A sender in a thread of its own, as many times as it takes."""

    def work() -> None:
        with app.app_context():
            while (current_session().get_one(Run, run_id, populate_existing=True)).finished_at is None:
                current_session().commit()
                sender.send(app, clock.now)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def bring_receipts(channel_id: int, provider: SlowProvider) -> None:
    """Have the provider report what it has sent so far, and apply it."""
    lines, provider.receipts = provider.receipts, []
    for start in range(0, len(lines), 200):
        body = json.dumps(lines[start : start + 200]).encode()
        callback_inbox.keep(channel_id, [Callback("POST", "n=1", {}, body)], clock.now())
    consumer.apply_callbacks(clock.now())


def left_of(numbers: Sequence[str]) -> set[str]:
    """Return which of these numbers any table or file still holds."""
    text = "\n".join(text for _, text in traces.cells())
    content = b"\n".join(content for _, content in traces.files()).decode("latin-1")
    return {number for number in numbers if number in text or number in content}


def test_a_thousand_people_are_erased_during_a_campaign(
    app: Flask, slow: SlowProvider, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing() as session:
        session.execute(
            sa.text("INSERT INTO preference (name, value) VALUES ('frequency_caps', :value)"),
            {"value": '{"enabled": true, "per_day": 1}'},
        )
    people = [(person.xwho, person.phones["$phone"]) for person in builders.contacts(PEOPLE)]
    numbers = [number for _, number in people]
    chosen = numbers[:: PEOPLE // ERASED]
    with writing() as session:
        for number in chosen[:OPTED_OUT]:
            opt_outs.record(session, number, OptOutSource.REPLY, clock.now())
    channel = builders.channel(quiet_from="00:00", quiet_until="00:00")
    template = builders.template(channel.id, purpose="marketing", text="优惠，拒收请回复R")
    segment = builders.segment()
    _, run_id = confirmed(clock.now(), channel_id=channel.id, template_id=template.id, segment_id=segment.id)
    sender_thread = sending(app, run_id)
    try:
        deadline = time.monotonic() + PATIENCE
        while len(slow.numbers) < PEOPLE // 10:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        erasure_id = erasing.request([number.removeprefix("+86") for number in chosen], Actor("root"), clock.now())
        sent_before = len(slow.numbers)
        erasing.erase_people(clock.now)
        in_flight = erasing.get(erasure_id).counts["in_flight"]
        slow.gate.set()
        while erasing.get(erasure_id).state != ErasureState.DONE:
            assert time.monotonic() < deadline, erasing.get(erasure_id).counts
            erasing.erase_people(clock.now)
            current_session().commit()
            bring_receipts(channel.id, slow)
    finally:
        slow.gate.set()
        sender_thread.join()
    assert 0 < sent_before < PEOPLE - OPTED_OUT
    assert in_flight > 0
    bring_receipts(channel.id, slow)
    sweeping.sweep(clock.now())
    arrivals.redact(clock.now())
    erased = [number.removeprefix("+86") for number in chosen]

    # grep of everything finds none
    assert left_of(erased) == set()
    assert traces.keys_with(valkey, *erased) == {}

    # sums hold: everybody was either written to once or cancelled
    assert [check.broken for check in verify.verify() if check.broken] == []
    funnel = funnels.run_funnels(current_session(), [run_id])[run_id]
    written_to = set(slow.numbers)
    assert max(slow.numbers.values()) == 1
    assert (funnel.target, funnel.planned) == (PEOPLE, PEOPLE - OPTED_OUT)
    assert funnel.delivered == funnel.accepted == len(written_to)
    cancelled = set(chosen[OPTED_OUT:]) - written_to
    assert funnel.planned - funnel.accepted == len(cancelled)
    assert 0 < len(cancelled) < ERASED - OPTED_OUT
    hashed = sa.select(sa.func.count()).where(Message.run_id == run_id, Message.phone.startswith("~"))
    assert current_session().scalar(hashed) == ERASED - OPTED_OUT

    # caps and opt-outs hold for those who come back
    current_session().add_all(
        Contact(
            xwho=f"back{n}",
            properties={"$phone": number},
            phones={"$phone": number},
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        for n, number in enumerate(chosen)
    )
    current_session().commit()
    counts = audiences.counts(AudienceRule.of(segment.id), channel.id, template.id, {}, now=clock.now())
    assert counts.left_out[ExclusionReason.OPTED_OUT] == OPTED_OUT
    assert counts.left_out[ExclusionReason.FREQUENCY_CAP] == len(written_to)
    assert counts.planned == len(cancelled)
