"""SMPP: a scripted SMSC gives every awkward answer; what comes in is kept before it is acknowledged."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.smpp import Smpp
from smsapp.channels.smpp.codes import SUBMITS
from smsapp.channels.types import SubmitResult
from smsapp.domain.outcome import Outcome
from tests.channels.contract import Contract, is_whole, submission
from tests.channels.smsc import (
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    ENQUIRE,
    NACK,
    PASSWORD,
    UNBIND,
    Link,
    Smsc,
    Submit,
    accept,
    pdu,
    smsc,
)
from tests.channels.transceiver import Inbox, held, made, one, refuses, sent, to, up
from tests.channels.wire import HERE, closed_port, run


class TestSmpp(Contract):
    def make(self, url: str, folder: Path, **values: str) -> Channel:
        return made(url.replace("http://", "smpp://"), folder, **values)

    def test_there_is_one_answer_per_message_in_order(self, tmp_path: Path) -> None:
        async def story() -> None:
            async with smsc() as server, held(server, tmp_path) as (adapter, http):
                answers = await adapter.send(submission(3), http)
                is_whole(answers, 3)
                assert [answer.provider_ref for answer in answers] == [f"{submit.seq}" for submit in server.submits]
                assert [submit.number for submit in server.submits] == [f"86138001380{i:02}" for i in (1, 2, 3)]

        run(story())

    def test_errors_and_logs_hold_no_secret_and_no_number(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)

        async def story(script: Any) -> str:
            async with smsc(script) as server:
                result = await one(server, tmp_path, timeout="0.2")
                return f"{result} {result!r}"

        shown = "".join(
            run(story(script)) for script in (accept, refuses(0x0B), refuses(0x0F), lambda link, _: link.cut())
        )
        shown += "\n".join(record.getMessage() for record in caplog.records)
        assert PASSWORD not in shown
        assert "13800138" not in shown


# -- binding --------------------------------------------------------------------------------------------------------


def test_it_binds_as_transceiver_and_says_goodbye(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc() as server:
            async with held(server, tmp_path) as (adapter, _):
                assert adapter.is_connected
            assert server.binds == [BIND_TRANSCEIVER]
            assert (UNBIND, 0) in server.others

    run(story())


@pytest.mark.parametrize("status", [0x0D, 0x0E, 0x0F, 0x53, 0x401])
def test_a_refused_account_waits_for_a_person(status: int, tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc(bind_status=status) as server, HttpClient(HERE) as http:
            adapter = made(server.address, tmp_path)
            task = asyncio.create_task(adapter.hold(http, Inbox()))
            await server.until(lambda: len(server.binds) > 1)
            with pytest.raises(AccountError) as caught:
                await adapter.send(to(), http)
            assert caught.value.outcome is Outcome.CREDENTIALS
            assert caught.value.code == f"0x{status:08x}"
            # and as soon as the provider lets it in, it goes on
            server.bind_status = 0
            await server.until(lambda: server.links)
            await up(adapter)
            assert (await adapter.send(to(), http))[0].accepted
            task.cancel()

    run(story())


def test_a_wrong_password_is_refused_credentials(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc() as server, HttpClient(HERE) as http:
            with pytest.raises(AccountError) as caught:
                await made(server.address, tmp_path, password="wrong").test_credentials(http)
            assert caught.value.code == "0x0000000e"

    run(story())


@pytest.mark.parametrize(("status", "code"), [(0x05, "bound_already"), (0x08, "0x00000008"), (0x58, "0x00000058")])
def test_a_bind_refused_for_a_while_is_unreachable(status: int, code: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc(bind_status=status) as server, HttpClient(HERE) as http:
            with pytest.raises(NotSent) as caught:
                await made(server.address, tmp_path).test_credentials(http)
            assert caught.value.code == code

    run(story())


def test_a_bind_without_an_answer_is_unreachable(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc(answers_bind=False) as server, HttpClient(HERE) as http:
            with pytest.raises(NotSent):
                await made(server.address, tmp_path, timeout="0.1").test_credentials(http)

    run(story())


def test_a_refused_connection_is_unreachable_and_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        port = closed_port()
        async with HttpClient(HERE) as http:
            adapter = made(f"smpp://127.0.0.1:{port}", tmp_path)
            adapter.connection_wait = 0.1
            task = asyncio.create_task(adapter.hold(http, Inbox()))
            with pytest.raises(NotSent) as caught:
                await adapter.send(to(), http)
            assert caught.value.code == "connect"
            assert isinstance(adapter.connection_error, NotSent)
            server = Smsc(accept)
            listening = await asyncio.start_server(server.serve, "127.0.0.1", port)
            await server.until(lambda: server.links)
            adapter.connection_wait = 5
            assert (await adapter.send(to(), http))[0].accepted
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            listening.close()

    run(story())


def test_a_private_address_nobody_named_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with HttpClient() as http:
            for address in ("smpps://127.0.0.1:2775", "smpps://localhost:2775", "smpps://10.1.2.3:2775"):
                with pytest.raises(AccountError) as caught:
                    await made(address, tmp_path).test_credentials(http)
                assert caught.value.code == "address_not_allowed"
            with pytest.raises(AccountError) as caught:
                await made("smpp://smpp.example.com:2775", tmp_path).test_credentials(http)
            assert caught.value.code == "plain_connection"

    run(story())


def test_what_does_not_speak_tls_is_no_encrypted_connection(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc() as server, HttpClient(HERE) as http:
            with pytest.raises(NotSent):
                await made(server.address.replace("smpp:", "smpps:"), tmp_path).test_credentials(http)
            assert server.binds == []

    run(story())


def test_a_test_binds_for_a_moment_as_transmitter_so_that_no_receipt_goes_astray(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc() as server, HttpClient(HERE) as http:
            adapter = made(server.address, tmp_path)
            assert await adapter.test_credentials(http)
            async with adapter.open_connection(http):
                assert (await adapter.send(to(), http))[0].accepted
            assert server.binds == [BIND_TRANSMITTER] * 2
            assert server.others == [(UNBIND, 0)] * 2

    run(story())


def test_several_connections_share_the_work(tmp_path: Path) -> None:
    async def story() -> None:
        links = set()

        def script(link: Link, submit: Submit) -> None:
            links.add(link)
            asyncio.get_running_loop().call_later(0.01, accept, link, submit)

        async with smsc(script) as server, held(server, tmp_path, connections="3", window="2") as (adapter, http):
            await up(adapter, 3)
            assert adapter.max_concurrency == 6
            answers = await sent(adapter, http, *["hello"] * 30)
            assert all(isinstance(answer, SubmitResult) and answer.accepted for answer in answers)
            assert len(links) == 3
            assert server.widest == 2

    run(story())


# -- sending --------------------------------------------------------------------------------------------------------


def test_settings_reach_the_submit(tmp_path: Path) -> None:
    async def story() -> None:
        values = {"source_ton": "5", "source_npi": "0", "destination_ton": "2", "destination_npi": "8"}
        values |= {"validity": "30", "receipt": "2", "service_type": "CMT", "number_format": "national"}
        async with smsc() as server:
            await one(server, tmp_path, **values)
            (submit,) = server.submits
            assert submit.head == b"CMT|\x05\x00\x02\x08"
            assert (submit.source, submit.number) == ("10690001", "13800138000")
            assert submit.validity == "000001060000000R"
            assert submit.receipt == 2

    run(story())


def test_the_window_is_never_exceeded_and_answers_may_come_in_any_order(tmp_path: Path) -> None:
    async def story() -> None:
        waiting: list[tuple[Link, Submit]] = []

        def script(link: Link, submit: Submit) -> None:
            waiting.append((link, submit))
            if len(waiting) == 5:
                while waiting:
                    accept(*waiting.pop())

        async with smsc(script) as server, held(server, tmp_path, window="5") as (adapter, http):
            answers = await sent(adapter, http, *["hello"] * 100)
            assert all(isinstance(answer, SubmitResult) and answer.accepted for answer in answers)
            assert server.widest == 5

    run(story())


@pytest.mark.parametrize("status", sorted({*SUBMITS, 0x401, 0xFF, 0x12345678}))
def test_every_status_means_what_the_table_says(status: int, tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc(refuses(status)) as server:
            result = await one(server, tmp_path)
        assert len(server.submits) == 1
        code = f"0x{status:08x}"
        if status in {0x58, 0x14, 0x64}:
            assert isinstance(result, Throttled)
            assert 0.9 < (result.retry_after or 0) <= 1.0
        elif status == 0x08:
            assert isinstance(result, OutcomeUnknown)
        elif status in {0x01, 0x0B, 0x45, 0x65, 0x66, 0xFE, 0x401, 0xFF, 0x12345678}:
            assert isinstance(result, SubmitResult)
            assert not result.accepted
            assert not result.unconfirmed
            assert result.code == code
            assert (result.outcome is Outcome.BAD_NUMBER) is (status == 0x0B)
        else:
            assert isinstance(result, AccountError)
            assert result.outcome in {Outcome.OUR_FAULT, Outcome.SIGNATURE_REFUSED}
        if isinstance(result, ChannelError):
            assert result.code == code

    run(story())


def test_it_waits_longer_each_time_it_is_too_fast_and_begins_anew_when_it_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc(refuses(0x58)) as server, held(server, tmp_path) as (adapter, http):
            waits = []
            for _ in range(7):
                with pytest.raises(Throttled) as caught:
                    await adapter.send(to(), http)
                waits.append(round(caught.value.retry_after or 0))
                adapter._pause_over = 0  # that time has passed
            assert waits == [1, 2, 4, 8, 16, 30, 30]
            server.script = accept
            await adapter.send(to(), http)
            server.script = refuses(0x14)
            with pytest.raises(Throttled) as caught:
                await adapter.send(to(), http)
            assert round(caught.value.retry_after or 0) == 1

    run(story())


def test_a_cut_leaves_what_was_sent_unconfirmed_and_what_was_not_unsent(tmp_path: Path) -> None:
    async def story() -> None:
        def script(link: Link, submit: Submit) -> None:
            if len(server.submits) == 2:
                link.cut()

        async with smsc(script) as server, held(server, tmp_path, window="2") as (adapter, http):
            adapter.back_off = (60,)
            results = await sent(adapter, http, *["hello"] * 5)
            assert [type(result) for result in results] == [OutcomeUnknown] * 2 + [NotSent] * 3
            assert len(server.submits) == 2

    run(story())


def test_after_a_cut_it_connects_again_by_itself(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc(lambda link, _: link.cut()) as server, held(server, tmp_path) as (adapter, http):
            (result,) = await sent(adapter, http)
            assert isinstance(result, OutcomeUnknown)
            server.script = accept
            await server.until(lambda: len(server.binds) == 2)
            (result,) = await sent(adapter, http)
            assert isinstance(result, SubmitResult)
            assert result.accepted
            assert len(server.submits) == 2

    run(story())


def test_a_submit_without_an_answer_is_unconfirmed_and_the_others_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        def script(link: Link, submit: Submit) -> None:
            if len(server.submits) > 1:
                accept(link, submit)

        async with smsc(script) as server, held(server, tmp_path, timeout="0.2", window="1") as (adapter, http):
            first, second = await sent(adapter, http, "hello", "hello")
            assert isinstance(first, OutcomeUnknown)
            assert first.code == "timeout"
            assert isinstance(second, SubmitResult)
            assert second.accepted

    run(story())


def test_a_dead_connection_is_noticed_and_made_anew(tmp_path: Path) -> None:
    async def story() -> None:
        values = {"enquire": "0.05", "timeout": "0.1"}
        async with smsc(answers_enquire=False) as server, held(server, tmp_path, **values):
            await server.until(lambda: len(server.binds) > 1)
            assert (ENQUIRE, 0) in server.others

    run(story())


def test_a_quiet_connection_that_answers_stays(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc() as server, held(server, tmp_path, enquire="0.02", timeout="0.2"):
            await server.until(lambda: server.others.count((ENQUIRE, 0)) == 5)
            assert len(server.binds) == 1

    run(story())


@pytest.mark.parametrize("raw", [b"HTTP/1.1 400 Bad Request\r\n\r\n", pdu(0, 0, 1)[:3] + b"\x02" + b"\0" * 12])
def test_what_is_no_smpp_ends_the_connection(raw: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc(lambda link, _: link.writer.write(raw)) as server, held(server, tmp_path) as (adapter, http):
            (result,) = await sent(adapter, http)
            assert isinstance(result, OutcomeUnknown)

    run(story())


def test_pdus_may_come_in_any_pieces(tmp_path: Path) -> None:
    async def story() -> None:
        async def trickle(link: Link, raw: bytes) -> None:
            for at in range(len(raw)):
                link.writer.write(raw[at : at + 1])
                await link.writer.drain()
                await asyncio.sleep(0)

        def script(link: Link, submit: Submit) -> None:
            raw = pdu(0x80000004, 0, submit.seq, b"abc\0") + pdu(0x15, 0, 99)
            tasks.append(asyncio.create_task(trickle(link, raw)))

        tasks: list[asyncio.Task[None]] = []
        async with smsc(script) as server, held(server, tmp_path) as (adapter, http):
            (result,) = await sent(adapter, http)
            assert isinstance(result, SubmitResult)
            assert result.provider_ref == "abc"
            await server.until(lambda: (ENQUIRE | NACK, 0) in server.others)

    run(story())


def test_requests_nobody_here_knows_are_refused_and_an_unbind_is_answered(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc() as server, held(server, tmp_path):
            server.links[0].say(0x103, 0, 5, b"data_sm")
            await server.until(lambda: (NACK, 3) in server.others)
            server.links[0].say(UNBIND, 0, 6)
            await server.until(lambda: (UNBIND | NACK, 0) in server.others)
            await server.until(lambda: len(server.binds) == 2)

    run(story())


# -- settings ----------


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("smpp://smpp.example.com:2775", True),
        ("smpps://[2001:db8::1]:3550", True),
        ("smpp.example.com:2775", False),
        ("https://smpp.example.com:2775", False),
        ("smpp://smpp.example.com", False),
        ("smpp://:2775", False),
        ("smpp://user:pass@smpp.example.com:2775", False),
        ("smpp://smpp.example.com:99999", False),
    ],
)
def test_an_address_names_scheme_host_and_port(address: str, fine: bool) -> None:
    values = {setting.name: setting.default for setting in Smpp.settings} | {"address": address}
    assert [problem.code for problem in Smpp.check(values)] == ([] if fine else ["setting_host_and_port"])


def test_a_line_about_codes_that_cannot_be_read_is_shown() -> None:
    values = {setting.name: setting.default for setting in Smpp.settings}
    values |= {"address": "smpp://h:1", "own_codes": "0x411 = balance\n0xZZ = balance\n5 = nonsense\nno sign"}
    assert [problem.facts["line"] for problem in Smpp.check(values)] == ["0xZZ = balance", "5 = nonsense", "no sign"]
