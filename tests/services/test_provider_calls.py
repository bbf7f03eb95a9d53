"""What is known of a channel's calls: counted hour by hour, logged without anything that was in them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import web
from flask import Flask

from smsapp.channels.errors import AccountError, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient, RecordStatuses
from smsapp.channels.types import Callback, SubmitRequest, SubmitResult
from smsapp.domain.errors import Refusal
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.services.channels import accounts, provider_calls, registry
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import polling
from smsapp.services.sending import channel_tests
from smsapp.services.sending.channel_tests import TestText
from smsapp.store import rate_limit
from smsapp.store.channels import channel_health as store
from smsapp.store.channels.channel_health import ChannelCall
from smsapp.store.db import current_session, writing
from tests import builders
from tests.channels.wire import HERE, provider, run
from tests.engine import confirmed, work
from tests.fakes import FakeChannel, FakeClock

BY = Actor("tests")


def hours(channel_id: int, now: dt.datetime) -> dict[tuple[str, str], int]:
    rows = store.hours(current_session(), channel_id, now - dt.timedelta(days=1))
    return {(result, reason): n for _, result, reason, n in rows}


def logged(channel_id: int) -> list[tuple[Any, ...]]:
    rows = store.calls(current_session(), channel_id, 500)
    return [(row.what, row.result, row.outcome, row.code, row.messages) for row in reversed(rows)]


def test_a_batch_is_counted_message_by_message_and_logged_call_by_call(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given one message refused, one unconfirmed, two accepted
    builders.contacts(4)
    provider.script = lambda submission: [
        SubmitResult(True),
        SubmitResult(False, outcome=Outcome.BAD_NUMBER, code="1023 +8613800138000"),
        SubmitResult(False, code="X", unconfirmed=True),
        SubmitResult(True),
    ]
    campaign, _run = confirmed(clock.now)
    # when
    work(app, clock)
    # then
    channel_id = campaign.channel_id or 0
    assert hours(channel_id, clock.now) == {("ok", ""): 2, ("refused", "bad_number"): 1, ("outcome_unknown", ""): 1}
    assert logged(channel_id) == [("send", "ok", "bad_number", "1023 138****8000", 4)]
    assert store.last_success(current_session(), [channel_id]) == {channel_id: clock.now}


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (AccountError("KEY", outcome=Outcome.CREDENTIALS), ("account_error", "credentials")),
        (Throttled("429", outcome=Outcome.THROTTLED, retry_after=1), ("throttled", "throttled")),
        (OutcomeUnknown("cut", outcome=Outcome.NETWORK), ("outcome_unknown", "network")),
        (SubmitResult(False, outcome=Outcome.BALANCE, code="51"), ("refused", "balance")),
    ],
)
def test_every_way_to_fail_has_its_class(
    error: Any, counted: tuple[str, str], app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(3)
    provider.script = lambda _submission: [error] * 3 if isinstance(error, SubmitResult) else error
    campaign, _run = confirmed(clock.now)
    work(app, clock)
    assert hours(campaign.channel_id or 0, clock.now) == {counted: 3}
    assert logged(campaign.channel_id or 0) == [("send", *counted, error.code, 3)]


def test_of_a_batch_with_many_calls_the_log_keeps_a_few_and_the_troubles(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(40)
    provider.per_request = 1
    sent = iter(range(40))

    def script(_submission: SubmitRequest) -> list[SubmitResult] | None:
        return [SubmitResult(False, outcome=Outcome.UNKNOWN, code="4711")] if next(sent) == 0 else None

    provider.script = script
    campaign, _run = confirmed(clock.now)
    work(app, clock)
    assert hours(campaign.channel_id or 0, clock.now) == {("ok", ""): 39, ("refused", "unknown"): 1}
    rows = logged(campaign.channel_id or 0)
    assert rows == [("send", "refused", "unknown", "4711", 1)] + [("send", "ok", "", "", 1)] * provider_calls.MOST_KEPT


def test_the_statuses_of_one_task_are_overheard_and_no_others() -> None:
    async def story() -> tuple[list[int], list[int]]:
        async def answer(request: web.Request, _body: bytes) -> web.Response:
            return web.Response(status=int(request.path[1:]))

        async with provider(answer) as server, HttpClient(HERE) as http:
            await http.request("GET", f"{server.url}/201")
            with RecordStatuses() as first:
                await http.request("GET", f"{server.url}/200")
                with RecordStatuses() as second:
                    await http.request("GET", f"{server.url}/503")
        return first, second

    assert run(story()) == ([200], [503])


def test_a_log_line_holds_no_secret_and_no_number(app: Flask, now: dt.datetime) -> None:
    values = {setting.name: setting.default for setting in registry.kinds()["gateway"].settings} | {
        "password": "sesame"
    }
    adapter = registry.kinds()["gateway"](values, Path(app.instance_path))
    code = "ERR sesame to 8613800138000"
    assert provider_calls.scrubbed(code, adapter) == "ERR *** to 138****8000"


def test_the_log_keeps_its_length_per_channel_and_old_hours_go(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_calls, "MOST_CALLS", 3)
    with writing() as session:
        for n in range(5):
            for channel_id in (1, 2):
                store.add(session, channel_id, {("ok", ""): 1}, now - dt.timedelta(days=40 * (n == 0)))
                provider_calls.note(
                    session, channel_id, None, provider_calls.Call("send", 0, 0, CallResult.OK, code=str(n)), now
                )
    provider_calls.forget_old(now)
    assert [line[3] for line in logged(1)] == [line[3] for line in logged(2)] == ["2", "3", "4"]
    assert sum(n for *_, n in store.hours(current_session(), 1, now - dt.timedelta(days=90))) == 4


def test_the_rate_in_use_is_what_left_in_the_last_seconds(app: Flask, valkey: redis.Redis) -> None:
    second, _ = valkey.time()
    rate_limit.SharedRateLimiter(7, 100, "a sender").ask(0, 0, [40])
    (key,) = valkey.keys("smsapp:granted:7:*")
    assert (valkey.get(key), 0 < valkey.ttl(key) <= 15) == (b"40", True)
    for ago, n in ((1, 50), (5, 25), (6, 1000)):
        valkey.set(f"smsapp:granted:8:{second - ago}", n)
    assert rate_limit.in_use(8) in (15.0, 10.0), "10 if a second has just passed"
    assert rate_limit.in_use(9) == 0


def simulator(**settings: str) -> int:
    values = {setting.name: setting.default for setting in registry.kinds()["simulator"].settings}
    return builders.channel(settings=values | settings).id


def test_a_balance_is_kept_with_its_time_and_stays_when_the_provider_is_silent(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an account that has less left than it should
    channel_id = simulator(balance="12.5")
    accounts.row(channel_id).balance_low = Decimal(100)
    current_session().commit()
    # when
    channel_tests.ask_balances(now)
    # then
    row = accounts.row(channel_id)
    assert (row.balance, row.balance_currency, row.balance_at, row.is_low) == (Decimal("12.5"), "CNY", now, True)

    # when the provider does not answer an hour later
    async def silent(*_: Any) -> None:
        raise OutcomeUnknown("cut", outcome=Outcome.NETWORK)

    monkeypatch.setattr(registry.kinds()["simulator"], "balance", silent)
    channel_tests.ask_balances(now + dt.timedelta(hours=1))
    # then
    current_session().expire_all()
    assert (accounts.row(channel_id).balance, accounts.row(channel_id).balance_at) == (Decimal("12.5"), now)
    assert logged(channel_id) == [("balance", "ok", "", "", 0), ("balance", "outcome_unknown", "network", "cut", 0)]


def test_an_account_that_tells_no_balance_is_not_asked(app: Flask, now: dt.datetime) -> None:
    channel_id = simulator()
    channel_tests.ask_balances(now)
    assert logged(channel_id) == []
    with pytest.raises(Refusal, match="channel_tells_no_balance"):
        channel_tests.ask_balance(channel_id, now)


def test_trials_and_failed_visits_are_in_the_log(app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    channel_id = simulator()
    channel_tests.test_credentials(channel_id, BY, now)
    channel_tests.test_send(channel_id, "13800000101", TestText("【演练】您好"), BY, now)

    async def refuses(*_: Any) -> Any:
        raise AccountError("KEY", outcome=Outcome.CREDENTIALS)
        yield Callback("PULL", "", {}, b"")

    monkeypatch.setattr(registry.kinds()["simulator"], "pull", refuses)
    polling.ask_providers(now)
    assert logged(channel_id) == [
        ("check", "ok", "", "", 0),
        ("test", "refused", "bad_number", "SIM-BAD_NUMBER", 1),
        ("pull", "account_error", "credentials", "KEY", 0),
    ]
    assert hours(channel_id, now) == {("refused", "bad_number"): 1}
    accounts.delete(channel_id, BY, now)
    assert current_session().query(ChannelCall).count() == 0, "a deleted channel leaves nothing behind"
