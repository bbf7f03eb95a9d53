"""Through a real gateway: the bytes of a proof and of a seed are those of the run, and their receipts come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import Config
from smsapp.channels.gateway import Gateway
from smsapp.channels.gateway.presets import KANNEL
from smsapp.domain.message import Status
from smsapp.factory import create_app
from smsapp.services.campaigns import proofs
from smsapp.services.channels import accounts, validation
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import consumer
from smsapp.services.sending import colleagues, proof_sending, sender
from smsapp.store.db import current_session, db
from smsapp.store.runs.proofs import ProofMessage
from tests import builders
from tests.engine import confirmed, funnel
from tests.journey.kannel import PASSWORD, SENDER, USERNAME, Kannel, kannel, wait_for
from tests.journey.processes import PATIENCE, Processes, processes

__all__ = ["kannel"]

TEXT = "尊敬的${name}，您的积分将于今晚24点清零，拒收请回复R"


@pytest.fixture
def served(sqlite_config: Config, tmp_path: Path) -> Iterator[Processes]:
    """The web server, which takes the receipts."""
    with processes(dataclasses.replace(sqlite_config, ALLOWED_PRIVATE_HOSTS=("127.0.0.0/8",)), tmp_path) as started:
        yield started


def delivered() -> int:
    consumer.apply_callbacks(clock.now())
    current_session().commit()
    return current_session().query(ProofMessage).filter(ProofMessage.status == int(Status.DELIVERED)).count()


def test_proof_and_seed_have_the_very_bytes_of_the_run(served: Processes, kannel: Kannel) -> None:
    app = create_app(dataclasses.replace(served.config, PUBLIC_URL=served.web()))
    actor = Actor("test")
    with app.app_context():
        # given Kannel as a channel, three people, and a colleague who is a seed
        values = {setting.name: setting.default for setting in Gateway.settings} | dict(KANNEL.values)
        values |= {"username": USERNAME, "password": PASSWORD, "sender": SENDER}
        values = {name: value.replace("http://127.0.0.1:13013", kannel.url) for name, value in values.items()}
        channel_id = accounts.create("gateway", validation.ChannelFields("Kannel", values), actor, clock.now())
        template = builders.template(channel_id, text=TEXT, purpose="notification")
        people = [
            builders.contact(f"u{n}", builders.phone(n), properties={"name": name})
            for n, name in enumerate(("欧阳😀", "O'Brien €", "王伟"), start=1)
        ]
        mapping = {"name": {"property": "name", "fallback": None}}
        draft = builders.campaign(channel_id=channel_id, template_id=template.id, mapping=mapping)
        colleagues.add("林然", "13700137001", actor, clock.now(), is_seed=True)
        # when the texts of all three go to the colleague, and then the campaign to them
        for person in people:
            proofs.send(draft.id, person.id, f"key {person.id}", actor, clock.now())
        assert proof_sending.send_due(clock.now) == 3
        wait_for(lambda: delivered() == 3, "receipts of proofs", PATIENCE)
        _campaign, run_id = confirmed(
            clock.now(), channel_id=channel_id, template_id=template.id, mapping=mapping, segment_id=draft.segment_id
        )
        sender.send(app, clock.now)
        assert proof_sending.send_due(clock.now) == 1
        wait_for(lambda: delivered() == 4, "the receipt of the seed", PATIENCE)
        wait_for(lambda: delivered() == 4 and funnel(run_id).delivered == 3, "receipts of the run", PATIENCE)
        # then the numbers are those of three people
        assert (funnel(run_id).target, funnel(run_id).planned) == (3, 3)
        db.session.remove()
        db.engine.dispose()
    arrived = kannel.arrived()
    ours = [text for number, text in arrived if number == "+8613700137001"]
    theirs = [next(text for number, text in arrived if number == builders.phone(n)) for n in (1, 2, 3)]
    assert ours == [*theirs, theirs[0]]
