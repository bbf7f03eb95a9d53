"""Who holds a connection, what goes over it and what comes back: the holder against an SMSC on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from config import Config
from smsapp.channels.http import HttpClient
from smsapp.channels.smpp import Smpp
from smsapp.domain.errors import Refusal
from smsapp.domain.outcome import CallResult
from smsapp.domain.run import RunState
from smsapp.services.channels import account_calls, accounts, validation
from smsapp.services.monitoring import health
from smsapp.services.platform import shutdown
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import consumer, unmatched_retry
from smsapp.services.sending import actions, channel_tests, held_connections, result_writer, sender, unfinished
from smsapp.services.sending.channel_tests import TestText
from smsapp.services.sending.held_connections import Holder
from smsapp.store.db import current_session, writing
from smsapp.store.runs import claims
from tests import builders
from tests.channels.smsc import (
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    PASSWORD,
    SYSTEM_ID,
    UNBIND,
    Link,
    Smsc,
    Submit,
    receipt,
    smsc,
)
from tests.channels.wire import HERE
from tests.engine import confirmed, funnel, recount, the_run, work
from tests.fakes import FakeClock

BY = Actor("test")
PEOPLE = 230
TEXT = "您的积分将于今晚24点清零，拒收请回复R"


@pytest.fixture
def config(config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(Smpp, "back_off", (0.01,))
    monkeypatch.setattr(Smpp, "connection_wait", 0.2)
    return Config.read({}, **{**vars(config), "ALLOWED_PRIVATE_HOSTS": HERE})


def wanted(server: Smsc, **values: str) -> validation.ChannelFields:
    known = {setting.name: setting.default for setting in Smpp.settings}
    given = {"address": server.address, "system_id": SYSTEM_ID, "password": PASSWORD, "source": "10690001"}
    return validation.ChannelFields("SMSC", known | given | values)


def channel(server: Smsc, clock: FakeClock, **values: str) -> int:
    return accounts.create("smpp", wanted(server, **values), BY, clock.now)


def campaign(channel_id: int, clock: FakeClock, people: int = PEOPLE, text: str = TEXT) -> int:
    """Return the run of a confirmed campaign to so many people."""
    builders.contacts(people)
    template = builders.template(channel_id, text=text, purpose="notification")
    _, run_id = confirmed(clock.now, channel_id=channel_id, template_id=template.id, mapping={})
    return run_id


class Place:
    """A process that holds connections, look by look."""

    def __init__(self, app: Flask, clock: FakeClock, server: Smsc, http: HttpClient) -> None:
        self.holder = Holder(app, clock)
        self.server = server
        self.http = http

    async def look(self) -> None:
        """Look; the test's own session then sees what was written."""
        current_session().commit()
        await self.holder.look(self.http)
        current_session().commit()

    async def up(self) -> None:
        """Look until what is to be held stands, and once more to write it down."""
        await self.look()
        while not all(one.adapter.is_connected for one in self.holder.held.values()):
            await asyncio.sleep(0.001)
        await self.look()

    async def send(self) -> None:
        current_session().commit()
        await self.holder.send()
        current_session().commit()


@contextlib.asynccontextmanager
async def place(app: Flask, clock: FakeClock, server: Smsc) -> AsyncIterator[Place]:
    async with HttpClient(HERE) as http:
        made = Place(app, clock, server, http)
        try:
            yield made
        finally:
            await made.holder.leave()


def delivers(link: Link, submit: Submit) -> None:
    """Accept, and bring the receipt if one is asked for."""
    link.answer(submit, f"{submit.seq}")
    if submit.receipt:
        link.deliver(receipt(f"{submit.seq}", source=submit.number))


def read_news(clock: FakeClock) -> None:
    consumer.apply_callbacks(clock.now)
    current_session().commit()


def told(story: Coroutine[Any, Any, None]) -> None:
    current_session().commit()
    asyncio.run(asyncio.wait_for(story, 60))


async def apart(step: Any, app: Flask) -> Any:
    """Take a step that runs a loop of its own, as a page does, while this one goes on."""

    def in_context() -> Any:
        with app.app_context():
            return step()

    return await asyncio.to_thread(in_context)


def test_a_campaign_leaves_over_the_held_connection_and_its_receipts_come_back(app: Flask, clock: FakeClock) -> None:
    async def story() -> None:
        async with smsc(delivers) as server, place(app, clock, server) as here:
            run_id = campaign(channel(server, clock, window="20"), clock)
            # when ordinary workers look, they leave it alone
            await apart(lambda: work(app, clock), app)
            assert not unfinished.is_anything_left(None, clock.now)
            assert server.submits == []
            # and the process that holds the connection sends it
            await here.up()
            await here.send()
            await server.until(lambda: len(server.acknowledged) == PEOPLE)
            read_news(clock)
            counts = funnel(run_id)
            assert (counts.effective, counts.accepted, counts.delivered) == (PEOPLE,) * 3
            assert recount(run_id) == {"delivered": PEOPLE}
            assert len(server.submits) == len({submit.number for submit in server.submits}) == PEOPLE
            assert server.binds == [BIND_TRANSCEIVER]
            assert server.widest <= 20

    told(story())


def test_the_process_holds_sends_and_leaves_everything_in_order_when_it_is_stopped(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_connections, "POLL_SECONDS", 0.01)

    async def story() -> None:
        async with smsc(delivers) as server:
            channel_id = channel(server, clock)
            run_id = campaign(channel_id, clock)
            process = asyncio.create_task(Holder(app, clock).work())
            await server.until(lambda: len(server.acknowledged) == PEOPLE)
            shutdown.request()
            try:
                await process
            finally:
                shutdown.request(False)
            assert (UNBIND, 0) in server.others
            current_session().commit()
            assert held_connections.standing(accounts.row(channel_id), clock.now) is None
            assert funnel(run_id).accepted == PEOPLE

    told(story())


def test_a_receipt_that_overtakes_its_answer_and_a_long_text_find_their_message(app: Flask, clock: FakeClock) -> None:
    def early(link: Link, submit: Submit) -> None:
        if submit.receipt:
            link.deliver(receipt(f"{submit.seq}", source=submit.number))
            link.deliver(receipt(f"{submit.seq}", "ENROUTE", source=submit.number))
        link.answer(submit, f"{submit.seq}")

    async def story() -> None:
        async with smsc(early) as server, place(app, clock, server) as here:
            run_id = campaign(channel(server, clock), clock, people=5, text=TEXT * 5)
            await here.up()
            await here.send()
            await server.until(lambda: len(server.acknowledged) == 10)
            read_news(clock)
            unmatched_retry.retry(clock.now)
            assert funnel(run_id).delivered == 5
            assert len(server.submits) == 5 * 2

    told(story())


def test_what_a_cut_left_without_an_answer_is_unconfirmed_and_the_rest_goes_on(app: Flask, clock: FakeClock) -> None:
    def script(link: Link, submit: Submit) -> None:
        if len(link_of) < 7:
            link_of.append(link)
            return
        if link in link_of:
            link.cut()
        else:
            delivers(link, submit)

    link_of: list[Link] = []

    async def story() -> None:
        async with smsc(script) as server, place(app, clock, server) as here:
            run_id = campaign(channel(server, clock, window="8"), clock)
            await here.up()
            await here.send()
            assert the_run(run_id).hold_reason in {"", "unreachable"}
            clock.forward(seconds=5)
            await here.up()
            await here.send()
            await server.until(lambda: len(server.acknowledged) == PEOPLE - 8)
            read_news(clock)
            assert recount(run_id) == {"delivered": PEOPLE - 8, "unconfirmed": 8}
            # nobody got it twice
            assert len(server.submits) == len({submit.number for submit in server.submits}) == PEOPLE

    told(story())


def test_a_process_that_dies_leaves_unconfirmed_little_more_than_what_was_out(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a window of ten, and an SMSC that answers the first hundred and then takes and says nothing
    monkeypatch.setattr("smsapp.services.sending.run_registry.SMALL_CLAIM_SECONDS", 0)
    monkeypatch.setattr(result_writer, "STORE_EVERY", 0)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.01)

    def script(link: Link, submit: Submit) -> None:
        if len(server_of[0].submits) <= 100:
            delivers(link, submit)

    server_of: list[Smsc] = []

    async def story() -> None:
        async with smsc(script) as server, place(app, clock, server) as here:
            server_of.append(server)
            run_id = campaign(channel(server, clock, window="10"), clock)
            await here.up()
            sender = asyncio.create_task(here.holder.send())
            await server.until(lambda: len(server.submits) == 110)
            while funnel(run_id).accepted < 100:
                current_session().commit()
                await asyncio.sleep(0.01)
            # when its lease runs out as if it had been killed now
            with writing() as session:
                claims.expire_leases(session, clock.now + dt.timedelta(hours=1))
            # then what was answered counts, and of the others few had not left
            assert funnel(run_id).accepted == 100
            assert 10 <= funnel(run_id).unconfirmed <= 10 + 2 * 10
            current_session().commit()
            shutdown.request()
            try:
                for link in server.links:
                    link.cut()
                await sender
            finally:
                shutdown.request(False)

    told(story())


def test_receipts_are_applied_while_one_answer_of_their_batch_is_out(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an SMSC that keeps one answer back
    monkeypatch.setattr(result_writer, "STORE_EVERY", 0)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.01)
    late: list[tuple[Link, Submit]] = []

    def script(link: Link, submit: Submit) -> None:
        if late:
            delivers(link, submit)
        else:
            late.append((link, submit))

    async def story() -> None:
        async with smsc(script) as server, place(app, clock, server) as here:
            run_id = campaign(channel(server, clock, window="20"), clock, people=20)
            await here.up()
            sender = asyncio.create_task(here.holder.send())
            await server.until(lambda: len(server.acknowledged) == 19)
            # when its batch is under way, all the others are delivered
            while funnel(run_id).delivered < 19:
                read_news(clock)
                unmatched_retry.retry(clock.now)
                current_session().commit()
                await asyncio.sleep(0.01)
            assert funnel(run_id).in_flight == 1
            # and when it comes at last, so is this one
            delivers(*late[0])
            await sender
            await server.until(lambda: len(server.acknowledged) == 20)
            read_news(clock)
            unmatched_retry.retry(clock.now)
            assert recount(run_id) == {"delivered": 20}
            assert len(server.submits) == 20

    told(story())


def test_too_fast_pauses_the_run_and_nothing_is_lost(app: Flask, clock: FakeClock) -> None:
    def script(link: Link, submit: Submit) -> None:
        taken.append(submit)
        if len(taken) > 10 and too_fast:
            link.answer(submit, status=0x58)
        else:
            delivers(link, submit)

    taken: list[Submit] = []
    too_fast = [True]

    async def story() -> None:
        async with smsc(script) as server, place(app, clock, server) as here:
            run_id = campaign(channel(server, clock, window="5"), clock)
            await here.up()
            await here.send()
            assert (the_run(run_id).state, the_run(run_id).hold_reason) == (RunState.HELD, "throttled")
            assert not unfinished.is_anything_left(here.holder.held.keys(), clock.now)
            too_fast.clear()
            clock.forward(seconds=2)
            assert unfinished.is_anything_left(here.holder.held.keys(), clock.now)
            await here.send()
            assert funnel(run_id).accepted == PEOPLE

    told(story())


def test_a_refused_account_holds_the_run_until_a_person_acts(app: Flask, clock: FakeClock) -> None:
    async def story() -> None:
        async with smsc(bind_status=0x0E) as server, place(app, clock, server) as here:
            channel_id = channel(server, clock)
            run_id = campaign(channel_id, clock, people=3)
            await here.look()
            await server.until(lambda: len(server.binds) > 1)
            await here.look()
            await here.send()
            assert the_run(run_id).hold_reason == "credentials"
            assert server.submits == []
            trial = await apart(lambda: channel_tests.test_credentials(channel_id, BY, clock.now), app)
            assert (trial.result, trial.code) == (CallResult.ACCOUNT_ERROR, "0x0000000e")

    told(story())


def test_one_process_holds_a_channel_and_another_takes_over_when_it_is_gone(app: Flask, clock: FakeClock) -> None:
    async def story() -> None:
        async with smsc(delivers) as server, place(app, clock, server) as first, place(app, clock, server) as second:
            channel_id = channel(server, clock)
            await first.up()
            await second.look()
            assert (list(first.holder.held), list(second.holder.held)) == ([channel_id], [])
            # a proper stop lets go at once
            await first.holder.leave()
            await second.up()
            assert list(second.holder.held) == [channel_id]
            assert len(server.links) == 1
            # a silent process keeps its channels for twenty seconds
            third = Place(app, clock, server, first.http)
            clock.forward(seconds=19)
            await third.look()
            assert list(third.holder.held) == []
            clock.forward(seconds=2)
            await third.up()
            assert list(third.holder.held) == [channel_id]
            # and lets go if it wakes up after all
            await second.look()
            assert list(second.holder.held) == []
            await third.holder.leave()

    told(story())


def test_connections_are_closed_in_time_if_the_lease_cannot_be_renewed(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("the database is away", {}, Exception())

    async def story() -> None:
        async with smsc(delivers) as server, place(app, clock, server) as here:
            channel(server, clock)
            await here.up()
            with monkeypatch.context() as broken:
                broken.setattr(here.holder, "_take", away)
                await here.look()
                assert here.holder.held
                broken.setattr(held_connections, "LEASE_DOUBTFUL_SECONDS", 0)
                await here.look()
                assert not here.holder.held
                await server.until(lambda: not server.links)
            await here.up()
            assert here.holder.held

    told(story())


def test_what_people_change_is_followed(app: Flask, clock: FakeClock) -> None:
    async def story() -> None:
        async with smsc(delivers) as server, place(app, clock, server) as here:
            # given nothing to hold
            await here.look()
            assert server.binds == []
            # when a channel is added
            channel_id = channel(server, clock)
            await here.up()
            assert len(server.links) == 1
            # and edited
            clock.forward(seconds=1)
            accounts.edit(channel_id, wanted(server, connections="2"), BY, clock.now)
            await here.look()
            await server.until(lambda: len(server.binds) == 3 and len(server.links) == 2)
            # and renamed, which is no reason to connect anew
            renamed = validation.ChannelFields("Other", wanted(server, connections="2").values)
            accounts.edit(channel_id, renamed, BY, clock.now)
            await here.look()
            assert len(server.binds) == 3
            # and switched off while a campaign is being sent
            run_id = campaign(channel_id, clock, people=3)
            accounts.set_active(channel_id, False, BY, clock.now)
            await here.look()
            await server.until(lambda: not server.links)
            assert the_run(run_id).hold_reason == "channel_inactive"
            # and on again
            accounts.set_active(channel_id, True, BY, clock.now)
            await here.up()
            actions.resume(run_id, BY, clock.now)
            await here.send()
            assert funnel(run_id).accepted == 3

    told(story())


def test_the_account_test_tells_how_the_held_connection_stands_and_opens_no_second_one(
    app: Flask, clock: FakeClock
) -> None:
    async def story() -> None:
        async with smsc(delivers, permits=1) as server, place(app, clock, server) as here:
            channel_id = channel(server, clock)
            assert [row.id for row in held_connections.unheld(clock.now)] == [channel_id]
            assert health.work(clock.now).unheld_channels == ["SMSC"]

            async def tested() -> account_calls.TestResult:
                trial: account_calls.TestResult = await apart(
                    lambda: channel_tests.test_credentials(channel_id, BY, clock.now), app
                )
                return trial

            # without a holder the test binds itself
            assert (await tested()).ok
            assert server.binds == [BIND_TRANSMITTER]
            await here.up()
            assert held_connections.unheld(clock.now) == []
            assert (await tested()).text == channel_tests.CONNECTED
            assert server.binds == [BIND_TRANSMITTER, BIND_TRANSCEIVER]
            # a test message needs a connection of its own, which this account does not permit
            trial = await apart(
                lambda: channel_tests.test_send(channel_id, "+8613800138000", TestText("hi"), BY, clock.now), app
            )
            assert (trial.result, trial.code) == (CallResult.NOT_SENT, "bound_already")
            server.permits = 2
            trial = await apart(
                lambda: channel_tests.test_send(channel_id, "+8613800138000", TestText("hi"), BY, clock.now), app
            )
            assert trial.ok
            assert trial.provider_ref
            # what is known of the old settings says nothing about the new ones
            clock.forward(seconds=1)
            accounts.edit(channel_id, wanted(server, window="7"), BY, clock.now)
            assert (await tested()).text != channel_tests.CONNECTED

    told(story())


def test_secrets_are_typed_again_for_another_host(app: Flask, clock: FakeClock) -> None:
    server = Smsc(delivers, address="smpps://smpp.example.com:2776")
    channel_id = channel(server, clock)
    moved = validation.ChannelFields("SMSC", wanted(server, address="smpps://evil.example:2776", password="").values)
    with pytest.raises(Refusal) as refused:
        accounts.edit(channel_id, moved, BY, clock.now + dt.timedelta(seconds=1))
    assert [problem.code for problem in refused.value.problems] == ["secret_again"]
