"""What a test group gets over a connection that one process holds: over that one, not over a second."""

from __future__ import annotations

from flask import Flask

from smsapp.domain.message import Status
from smsapp.services.campaigns import proofs
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import proof_sending
from smsapp.store.db import current_session
from smsapp.store.runs.proofs import Colleague, ProofMessage
from tests import builders
from tests.channels.smsc import BIND_TRANSCEIVER, smsc
from tests.fakes import FakeClock
from tests.services import test_held_connections as held

config = held.config


def test_a_proof_leaves_over_the_held_connection_and_its_receipt_is_matched_by_the_providers_id(
    app: Flask, clock: FakeClock
) -> None:
    async def story() -> None:
        async with smsc(held.delivers) as server, held.place(app, clock, server) as here:
            # given a proof over a channel whose connection a process holds
            channel_id = held.channel(server, clock)
            template = builders.template(channel_id, text=held.TEXT)
            campaign = builders.campaign(channel_id=channel_id, template_id=template.id)
            builders.kept(Colleague(name="林然", phone="+8613700137001", is_seed=False, created_at=clock.now))
            proofs.send(campaign.id, 0, "key", Actor("test"), clock.now)
            # when ordinary workers look, they leave it alone
            assert await held.apart(lambda: proof_sending.send_due(clock), app) == 0
            # and the process that holds the connection sends it
            await here.up()
            holder = here.holder
            holder.proofs.look({key: each.adapter for key, each in holder.held.items()}, here.http)
            await holder.proofs.leave()
            await server.until(lambda: server.acknowledged)
            assert (server.binds, len(server.submits)) == ([BIND_TRANSCEIVER], 1)

    held.told(story())
    held.read_news(clock)
    (message,) = current_session().query(ProofMessage).all()
    assert message.status == Status.DELIVERED
