"""A campaign over SMPP to node-smpp, which nobody here wrote, with awkward answers by the number's last two digits."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Config
from smsapp.channels.smpp import Smpp
from smsapp.services.channels import accounts, validation
from smsapp.services.platform import clock, shutdown
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import consumer, unmatched_retry
from smsapp.services.sending import held_connections
from smsapp.services.sending.held_connections import Holder
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Message
from tests import builders
from tests.channels.wire import HERE
from tests.engine import confirmed, funnel, recount, the_run
from tests.journey.kannel import free_ports, listens, wait_for

HOME = Path(__file__).parent / "smsc"
PEOPLE = 2000
WINDOW = 40
PASSWORD = "sesame-1"
SILENT = 3
"""Of a hundred people so many never get a final receipt."""
TEXT = "您的积分将于今晚24点清零"


@pytest.fixture(scope="session")
def smsc_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the server and node-smpp; skipped, loudly, where they cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("NODE OR NPM IS NOT INSTALLED (apt install nodejs npm): SMPP is not tried against node-smpp")
    folder = tmp_path_factory.mktemp("smsc")
    shutil.copytree(HOME, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    npm = ["npm", "ci", "--silent", "--no-audit", "--no-fund"]
    if subprocess.run(npm, cwd=folder, check=False, capture_output=True, timeout=300).returncode:
        pytest.skip("NPM CANNOT GET THE PACKAGE smpp: SMPP is not tried against node-smpp")
    return folder


class NodeSmsc:
    """The running server; `stop` returns what it saw."""

    base: int
    """Of the ids in its receipts."""

    def __init__(self, home: Path, base: int) -> None:
        (self.port,) = free_ports(1)
        command = ["node", "server.js", str(self.port), PASSWORD, str(WINDOW), str(base)]
        self.process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True)
        wait_for(lambda: listens(self.port), "node-smpp")

    def stop(self) -> dict[str, int]:
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=20)
        counts: dict[str, int] = json.loads(output)
        return counts


@pytest.fixture(params=[10, 16], ids=["same-base", "hexadecimal"])
def node_smsc(request: pytest.FixtureRequest, smsc_home: Path) -> Iterator[NodeSmsc]:
    server = NodeSmsc(smsc_home, request.param)
    server.base = request.param
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture
def config(request: pytest.FixtureRequest, node_smsc: NodeSmsc) -> Config:
    """One database per base: SQLite, PostgreSQL."""
    kind = "sqlite" if node_smsc.base == 10 else "postgresql"
    request.getfixturevalue("valkey")
    database_config: Config = request.getfixturevalue(f"{kind}_config")
    return Config.read({}, **{**vars(database_config), "ALLOWED_PRIVATE_HOSTS": HERE})


def test_a_campaign_over_node_smpp_with_every_awkward_answer_adds_up(
    app: Flask, node_smsc: NodeSmsc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_connections, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(Smpp, "back_off", (0.1,))
    # given a channel, 2,000 people of whom twenty each end in the same two digits, and a text of two parts for all
    ids = "same" if node_smsc.base == 10 else "dec-hex"
    text = TEXT if node_smsc.base == 10 else TEXT * 6
    values = {setting.name: setting.default for setting in Smpp.settings} | {
        "address": f"smpp://127.0.0.1:{node_smsc.port}",
        "system_id": "shop",
        "password": PASSWORD,
        "source": "10690001",
        "window": str(WINDOW),
        "timeout": "4",
        "ids": ids,
    }
    channel_id = accounts.create("smpp", validation.ChannelFields("SMSC", values), Actor("test"), clock.now())
    builders.contacts(PEOPLE)
    template = builders.template(channel_id, text=text, purpose="notification")
    _, run_id = confirmed(clock.now(), channel_id=channel_id, template_id=template.id, mapping={})
    current_session().commit()

    # when the process that holds connections has worked until nothing is left, and every receipt has been read
    async def story() -> None:
        process = asyncio.create_task(Holder(app, clock.now).work())
        while the_run(run_id).finished_at is None:
            current_session().commit()
            await asyncio.sleep(0.05)
        for _ in range(200):  # the receipts of the last messages
            consumer.apply_callbacks(clock.now())
            unmatched_retry.retry(clock.now())
            current_session().commit()
            if recount(run_id)["accepted"] <= SILENT * PEOPLE // 100:
                break
            await asyncio.sleep(0.1)
        shutdown.request()
        await process

    try:
        asyncio.run(asyncio.wait_for(story(), 300))
    finally:
        shutdown.request(False)
    saw = node_smsc.stop()

    # then the numbers add up, whatever the connection did
    numbers = funnel(run_id)
    rows = current_session().execute(sa.select(Message.phone, Message.reason).where(Message.run_id == run_id)).all()
    expected = Counter(phone[-2:] for phone, _ in rows)
    states = recount(run_id)
    assert numbers.effective == PEOPLE == sum(states.values())
    lost = states["unconfirmed"] - expected["83"]
    assert 1 <= lost <= WINDOW, "the cut leaves at most a window unconfirmed"
    fates = {
        "refused": expected["82"] + expected["98"],
        "undelivered": expected["92"] + expected["95"],
        "accepted": expected["91"] + expected["93"] + expected["94"],
    }
    fates["delivered"] = PEOPLE - expected["83"] - sum(fates.values())
    for state, planned in fates.items():
        assert states[state] <= planned <= states[state] + lost, (state, states, fates)
    # and nobody got anything twice, the window was kept, everything brought was acknowledged
    assert saw["twice"] == 0
    assert saw["widest"] <= WINDOW
    assert saw["unacknowledged"] == 0
    assert saw["binds"] == 2
    # and what people replied has arrived
    replies = current_session().execute(sa.select(Reply.text, Reply.phone)).all()
    assert {text for text, _ in replies} == {"退订", "谢谢你们，下次再来"}
    refusing = {phone for text, phone in replies if text == "退订"}
    assert len(refusing) >= expected["96"] - lost
    assert set(current_session().scalars(sa.select(OptOut.phone))) == refusing
