"""The web server is killed while programs send single messages: what was answered 202 leaves, once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask

from config import Config
from smsapp.domain.api_key import MOST_PER_MINUTE, Scope
from smsapp.services.campaigns import single_messages
from smsapp.services.platform import api_keys, clock
from smsapp.services.sending import sender
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Message
from tests import builders
from tests.engine import OPERATOR, work
from tests.fakes import FakeChannel, FakeClock
from tests.journey.processes import family, processes

PROGRAMS, ENOUGH = 4, 40


class Program(threading.Thread):
    """Sends one message after the other, each with a key of its own, until the server is gone."""

    def __init__(self, url: str, key: str, user_id: str, template_id: int) -> None:
        super().__init__(daemon=True)
        self.host, self.key = urlsplit(url).netloc, key
        self.body = {"user_id": user_id, "template_id": template_id}
        self.ids: list[int] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            while True:
                connection.request("POST", "/api/v1/messages", json.dumps(self.body), headers)
                answer = connection.getresponse()
                body = json.loads(answer.read())
                assert answer.status == 202, body
                self.ids.append(body["id"])
        except (OSError, http.client.HTTPException, ValueError):
            return


def test_what_was_answered_leaves_once_though_the_server_is_killed(
    app: Flask, config: Config, provider: FakeChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "LINGER_SECONDS", 0)
    template = builders.template(builders.channel().id)
    key = api_keys.create("p", [Scope.CONFIRM], OPERATOR, clock.now(), per_minute=MOST_PER_MINUTE).text
    people = builders.contacts(PROGRAMS)
    current_session().commit()
    with processes(config, tmp_path) as started:
        url = started.web()
        programs = [Program(url, key, who.xwho, template.id) for who in people]
        for program in programs:
            program.start()
        while sum(len(program.ids) for program in programs) < ENOUGH:
            time.sleep(0.01)
        for pid in family(started.running[0].pid):
            os.kill(pid, signal.SIGKILL)
        for program in programs:
            program.join(60)
    ids = [id_ for program in programs for id_ in program.ids]
    for _ in range(len(ids)):
        work(app, FakeClock(clock.now()))
        if current_session().query(Message).count() >= len(ids):
            break
    assert {single_messages.state_of(id_).state for id_ in ids} == {"accepted"}
    assert {*provider.sent.values()} == {1}
    # Beside those a request may have been stored whose answer was cut off
    assert len(ids) <= len(provider.sent) <= len(ids) + PROGRAMS
