"""The contract of every adapter, inherited by its tests: class TestX(Contract) with `make` and, over HTTP, `accepts`.

An adapter's test file says how to make the adapter against a server of the test's (`make`), what that server says when
it accepts (`accepts`), and what callbacks look like (`receipts`). Everything else is asked here.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from aiohttp import web
from flask import Flask

from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, CallbackRefused, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.types import (
    Acknowledgement,
    Callback,
    OutboundMessage,
    Receipt,
    ReceiptStatus,
    Reply,
    SubmitRequest,
    SubmitResult,
)
from smsapp.domain.message import Status
from smsapp.domain.outcome import Outcome
from smsapp.domain.run import RunState
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.domain.sms_template import TemplateSnapshot
from smsapp.services.channels import accounts, registry
from smsapp.services.receipts import callback_inbox, consumer, unmatched_retry
from smsapp.store.db import current_session
from smsapp.store.runs.partitions import ensure_partition
from smsapp.store.runs.provider_refs import ProviderRef
from smsapp.store.runs.runs import Message, Run
from smsapp.store.runs.tallies import Tally
from tests import builders
from tests.channels.wire import HERE, Line, Provider, closed_port, listening, provider, run

SIGNATURE = "青禾商城"
PASSWORD = "pass-word-4711"
PHONE = "+8613800138000"


def submission(n: int, callback_url: str = "https://sms.example.com/callbacks/tok-en") -> SubmitRequest:
    """Return a submission of `n` messages with one text."""
    template = TemplateSnapshot("SMS_1", "您的验证码是${code}", SIGNATURE, ("code",), False)
    messages = [
        OutboundMessage(f"7-{i}", f"+86138001380{i:02}", f"【{SIGNATURE}】您的积分 100% 到期 & 失效", ("100",))
        for i in range(1, n + 1)
    ]
    return SubmitRequest(template, messages, callback_url)


class Contract:
    """What holds for every adapter, with or without HTTP."""

    def make(self, url: str, folder: Path, **values: str) -> Channel:
        """Return the adapter, calling the provider at `url`; its secrets contain PASSWORD."""
        raise NotImplementedError

    def test_it_is_discovered_by_its_kind(self, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        assert registry.kinds()[adapter.kind] is type(adapter)

    def test_its_settings_can_be_drawn(self, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        names = [setting.name for setting in adapter.settings]
        assert len(names) == len(set(names))
        for one in adapter.settings:
            assert one.label
            if one.choices:
                assert one.default in dict(one.choices)
            if one.secret:
                assert not one.default
        assert adapter.callback_steps, "the channel's page says what to do with the callback address"
        for preset in adapter.presets:
            assert set(preset.values) <= set(names)
            filled = {setting.name: setting.default for setting in adapter.settings} | dict(preset.values)
            assert type(adapter).check(filled) == []

    def test_it_shows_no_secret(self, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        assert PASSWORD not in repr(adapter)

    @pytest.mark.parametrize(
        "body", [b"", b"<html>", b"\xff\xfe\x00", b"[]", b"{}", b'[{"a": 1}]', b"null", b'"x"', b"[1]"]
    )
    def test_a_callback_that_cannot_be_read_is_a_value_error_and_nothing_else(
        self, body: bytes, tmp_path: Path
    ) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        for query in ("", "a=b", "%ff=%00"):
            with contextlib.suppress(ValueError):
                assert list(adapter.read_callback(Callback("POST", query, {}, body))) == []

    def test_it_acknowledges(self, tmp_path: Path) -> None:
        answer = self.make("http://127.0.0.1:1", tmp_path).acknowledgement()
        assert isinstance(answer, Acknowledgement)
        assert 200 <= answer.status < 300


def is_whole(answers: Sequence[SubmitResult], n: int) -> None:
    """Check one answer per message, each either accepted or refused for a reason."""
    assert len(answers) == n
    for answer in answers:
        assert answer.accepted is (answer.outcome is None and not answer.unconfirmed)
        assert len(answer.code) <= 80
        assert len(answer.provider_ref) <= 80


Provides = Callable[[web.Request, bytes], web.StreamResponse | Awaitable[web.StreamResponse]]
"""What a provider answers to a request and its body."""


class HttpContract(Contract):
    """What holds for every adapter that calls a provider over HTTP."""

    receipts: ClassVar[Sequence[tuple[Callback, Sequence[Receipt | Reply]]]] = ()
    """Callbacks as they come from the provider, and what they say."""

    def accepts(self, request: web.Request, body: bytes) -> web.Response:
        """Return what the provider says when it takes everything."""
        raise NotImplementedError

    unknown_code: ClassVar[str] = "4711"
    """A code the provider's documents do not know, as it would look."""

    def refuses(self, request: web.Request, body: bytes, code: str) -> web.Response:
        """Return what the provider says when it takes nothing for the reason with this code."""
        raise NotImplementedError

    def ready(self, adapter: Channel) -> Channel:
        """Return the adapter with what it would have fetched to verify callbacks."""
        return adapter

    def forged(self, callback: Callback) -> Sequence[Callback]:
        """Return callbacks like this genuine one that are not: for adapters that verify signatures."""
        raise NotImplementedError

    async def sent(
        self, answer: Provides, folder: Path, n: int = 1, /, **values: str
    ) -> tuple[list[SubmitResult] | ChannelError, Provider]:
        """Send `n` messages to a provider that answers so; return the answers or the error, and the provider."""

        async def reply(request: web.Request, body: bytes) -> web.StreamResponse:
            response = answer(request, body)
            return response if isinstance(response, web.StreamResponse) else await response

        async with provider(reply) as server, HttpClient(HERE) as http:
            adapter = self.make(server.url, folder, **values)
            try:
                answers = await adapter.send(submission(n), http)
                assert PASSWORD not in repr(answers)
                return answers, server
            except ChannelError as error:
                shown = f"{error} {error!r} {error.__cause__!r}"
                assert PASSWORD not in shown
                assert "13800138" not in shown
                return error, server

    def test_a_text_is_seven_calls_from_the_wire_at_most(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The sender needs five before it, so that nobody follows a text through more than twelve."""
        calls: list[str] = []

        async def request(*_args: object, **_more: object) -> object:
            frame = sys._getframe()
            while frame.f_back is not None and calls[-1:] != ["submit_one"]:
                frame = frame.f_back
                calls.append(frame.f_code.co_name)
            raise NotSent("closed")

        async def submit_one() -> None:
            async with HttpClient(HERE) as http:
                await self.make("http://127.0.0.1:1", tmp_path).send(submission(1), http)

        monkeypatch.setattr(HttpClient, "request", request)
        with pytest.raises(NotSent):
            run(submit_one())
        assert ["request", *calls][-1] == "submit_one"
        assert len(calls) <= 7, calls

    def test_there_is_one_answer_per_message_in_order(self, tmp_path: Path) -> None:
        n = self.make("http://127.0.0.1:1", tmp_path).per_request
        answers, server = run(self.sent(self.accepts, tmp_path, n))
        assert isinstance(answers, list)
        is_whole(answers, n)
        assert all(answer.accepted for answer in answers)
        assert len(server.requests) == 1

    def test_too_many_requests_is_throttled(self, tmp_path: Path) -> None:
        error, _ = run(self.sent(lambda *_: web.Response(status=429, headers={"Retry-After": "7"}), tmp_path))
        assert isinstance(error, Throttled)
        assert error.retry_after == 7

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_fault_of_the_provider_is_unclear(self, status: int, tmp_path: Path) -> None:
        error, server = run(self.sent(lambda *_: web.Response(status=status, text="<html>oops</html>"), tmp_path))
        assert isinstance(error, OutcomeUnknown)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [301, 302, 307, 401, 404])
    def test_a_wrong_address_or_key_waits_for_a_person(self, status: int, tmp_path: Path) -> None:
        error, server = run(self.sent(lambda *_: web.Response(status=status, headers={"Location": "/x"}), tmp_path))
        assert isinstance(error, AccountError)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "body", ["", "<!doctype html><h1>It works!</h1>", "{", "null", "[]", "{}", '{"a": [1, 2]}', "\x00\x01"]
    )
    def test_an_answer_that_says_nothing_is_unclear(self, body: str, tmp_path: Path) -> None:
        error, server = run(self.sent(lambda *_: web.Response(text=body, content_type="text/html"), tmp_path))
        assert isinstance(error, OutcomeUnknown)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("content_type", ["application/octet-stream", "text/html", "text/plain", "image/png"])
    def test_an_acceptance_counts_whatever_its_content_type(self, content_type: str, tmp_path: Path) -> None:
        def answer(request: web.Request, body: bytes) -> web.Response:
            response = self.accepts(request, body)
            return web.Response(status=response.status, body=response.body, content_type=content_type)

        answers, _ = run(self.sent(answer, tmp_path))
        assert isinstance(answers, list)
        assert all(answer.accepted for answer in answers)

    @pytest.mark.parametrize("part", [0.25, 0.5, 0.75, 0.95])
    def test_an_answer_with_its_end_missing_refuses_nobody(self, part: float, tmp_path: Path) -> None:
        def answer(request: web.Request, body: bytes) -> web.Response:
            response = self.accepts(request, body)
            assert isinstance(response.body, bytes)
            return web.Response(status=response.status, body=response.body[: int(len(response.body) * part)])

        answers, _ = run(self.sent(answer, tmp_path))
        if isinstance(answers, ChannelError):
            assert isinstance(answers, OutcomeUnknown)
        else:
            is_whole(answers, 1)
            assert all(answer.accepted or answer.unconfirmed for answer in answers)

    def test_missing_results_refuse_nobody_and_prove_nothing(self, tmp_path: Path) -> None:
        if self.make("http://127.0.0.1:1", tmp_path).per_request < 3:
            return
        bodies: list[bytes] = []

        def of_two(request: web.Request, body: bytes) -> web.Response:
            response = self.accepts(request, body)
            assert isinstance(response.body, bytes)
            bodies.append(response.body)
            return response

        two, _ = run(self.sent(of_two, tmp_path, 2))
        three, _ = run(self.sent(lambda *_: web.Response(body=bodies[0]), tmp_path, 3))
        assert isinstance(two, list)
        if isinstance(three, ChannelError):
            assert isinstance(three, OutcomeUnknown)
            return
        is_whole(three, 3)
        assert all(answer.accepted or answer.unconfirmed for answer in three)
        if two[0].provider_ref != two[1].provider_ref:
            # It answers message by message, so silence about the third one is no acceptance.
            assert not all(answer.accepted for answer in three)

    def test_an_unknown_code_is_kept_and_nothing_more_is_made_of_it(self, tmp_path: Path) -> None:
        answers, _ = run(self.sent(lambda request, body: self.refuses(request, body, self.unknown_code), tmp_path))
        if isinstance(answers, ChannelError):
            # Refused by HTTP itself: a person looks. Sent again by itself it would be refused for ever.
            assert isinstance(answers, AccountError)
            assert self.unknown_code in answers.code
        else:
            is_whole(answers, 1)
            assert [answer.outcome for answer in answers] == [Outcome.UNKNOWN]
            assert self.unknown_code in answers[0].code

    def test_a_refused_connection_is_unreachable(self, tmp_path: Path) -> None:
        async def story() -> None:
            async with HttpClient(HERE) as http:
                with pytest.raises(NotSent):
                    await self.make(f"http://127.0.0.1:{closed_port()}", tmp_path).send(submission(1), http)

        run(story())

    def test_a_cut_after_sending_is_unclear_and_is_not_repeated(self, tmp_path: Path) -> None:
        async def story() -> None:
            requests = []

            async def serve(line: Line) -> None:
                requests.append(await line.request())

            async with listening(serve) as url, HttpClient(HERE) as http:
                with pytest.raises(OutcomeUnknown):
                    await self.make(url, tmp_path).send(submission(1), http)
                await asyncio.sleep(0.05)
            assert len(requests) == 1

        run(story())

    def test_a_slow_answer_is_unclear(self, tmp_path: Path) -> None:
        async def story() -> None:
            async def serve(line: Line) -> None:
                await line.request()
                await line.reader.read()

            async with listening(serve) as url, HttpClient(HERE, timeout=0.2) as http:
                adapter = self.make(url, tmp_path)
                adapter._timeout = 0.2  # type: ignore[attr-defined]  # for those that hold a connection of their own
                with pytest.raises(OutcomeUnknown):
                    await adapter.send(submission(1), http)

        run(story())

    def test_a_test_of_the_account_never_sends_and_never_crashes(self, tmp_path: Path) -> None:
        async def story() -> None:
            for status in (200, 302, 401, 403, 429, 500):

                async def answer(_request: web.Request, _body: bytes, status: int = status) -> web.Response:
                    return web.Response(status=status, text="<html>")

                async with provider(answer) as server, HttpClient(HERE) as http:
                    with contextlib.suppress(ChannelError):
                        assert isinstance(await self.make(server.url, tmp_path).test_credentials(http), str)
                    assert all("13800138" not in path for _, path, _ in server.requests)

        run(story())

    def test_a_question_for_the_balance_never_sends_and_never_crashes(self, tmp_path: Path) -> None:
        async def story() -> None:
            for status, text in ((200, "<html>"), (200, "{}"), (200, "[]"), (302, ""), (401, ""), (429, ""), (500, "")):

                async def answer(_: web.Request, __: bytes, status: int = status, text: str = text) -> web.Response:
                    return web.Response(status=status, text=text)

                async with provider(answer) as server, HttpClient(HERE) as http:
                    adapter = self.make(server.url, tmp_path)
                    if adapter.tells_balance:
                        with pytest.raises(ChannelError):
                            await adapter.balance(http)
                    assert all("13800138" not in path for _, path, _ in server.requests)

        run(story())

    def test_callbacks_say_what_they_say_and_twice_the_same(self, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        assert self.receipts
        for callback, expected in self.receipts:
            assert list(adapter.read_callback(callback)) == list(expected)
            assert list(adapter.read_callback(callback)) == list(expected)
            for one in expected:
                if isinstance(one, Receipt):
                    assert (one.status is ReceiptStatus.UNDELIVERED) is (one.outcome is not None)

    def test_receipts_name_their_message_so_that_early_and_double_ones_do_no_harm(self, tmp_path: Path) -> None:
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        for _, expected in self.receipts:
            for one in expected:
                if isinstance(one, Receipt):
                    assert one.ref or (adapter.receipts_by_provider_ref and one.provider_ref)
        if adapter.receipts_by_provider_ref:
            answers, _ = run(self.sent(self.accepts, tmp_path))
            assert isinstance(answers, list)
            assert all(answer.provider_ref for answer in answers)

    def test_early_and_double_receipts_settle_a_message_once(
        self, app: Flask, now: dt.datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # given a receipt that comes twice, before the answer that brings its id is written down
        adapter = self.make("http://127.0.0.1:1", tmp_path)
        monkeypatch.setattr(accounts, "adapter", lambda _channel_id: adapter)
        callback, items = next(
            (callback, one)
            for callback, expected in self.receipts
            for one in expected
            if isinstance(one, Receipt) and one.status is ReceiptStatus.DELIVERED
        )
        channel_id = builders.channel().id
        run_id, seq = map(int, (items.ref or "7-1").split("-"))
        campaign_id = builders.campaign(channel_id=channel_id).id
        builders.kept(
            Run(
                id=run_id,
                campaign_id=campaign_id,
                slot=now,
                state=RunState.DONE,
                channel_id=channel_id,
                snapshot=RunSnapshot(),
                opened_at=now,
            )
        )
        ensure_partition(current_session(), run_id)
        builders.kept(Message(run_id=run_id, seq=seq, contact_id=1, phone=items.phone or PHONE, status=Status.ACCEPTED))
        callback_inbox.store(channel_id, [callback, callback], now)
        consumer.apply_callbacks(now)
        # when the answer is, and the receipt comes once more
        if not items.ref:
            where = {"channel_id": channel_id, "ref": items.provider_ref, "phone": items.phone or PHONE}
            builders.kept(ProviderRef(**where, run_id=run_id, seq=seq, at=int(now.timestamp())))
            unmatched_retry.retry(now)
        callback_inbox.store(channel_id, [callback], now)
        consumer.apply_callbacks(now)
        # then
        current_session().expire_all()
        assert current_session().get_one(Message, (run_id, seq)).status == Status.DELIVERED
        delivered = sa.select(Tally.n).where(Tally.run_id == run_id, Tally.state == "delivered")
        assert current_session().scalars(delivered).all() == [1]

    def test_a_genuine_callback_is_taken_and_a_forged_one_is_not(self, tmp_path: Path) -> None:
        adapter = self.ready(self.make("http://127.0.0.1:1", tmp_path))
        for callback, _ in self.receipts:
            adapter.verify_callback(callback)
            if type(adapter).verify_callback is not Channel.verify_callback:
                forged = self.forged(callback)
                assert len(forged) > 1
                for one in forged:
                    with pytest.raises(CallbackRefused):
                        adapter.verify_callback(one)

    def test_logs_hold_no_secret_and_no_number(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        for answer in (self.accepts, lambda *_: web.Response(status=500), lambda *_: web.Response(text="<html>")):
            run(self.sent(answer, tmp_path))
        ours = "\n".join(record.getMessage() for record in caplog.records)
        assert PASSWORD not in ours
        assert "13800138" not in ours


def dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
