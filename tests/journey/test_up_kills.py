"""Uploads while web server, database and workers are killed: nothing acknowledged is lost or counted twice."""

from __future__ import annotations

import http.client
import json
import random
import tempfile
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from bench.chaos.system import System
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, applying
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps import uploads as store
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests.conftest import DATABASES

PEOPLE, KILLS = 6, 6


class App(threading.Thread):
    """An app that reports about one person, one request after the other, until it is told to stop.

    Each request counts one up and says which one it is. One that was not acknowledged may have been taken or not.
    """

    def __init__(self, system: System, key: str, person: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.system, self.key, self.person, self.stop = system, key, person, stop
        self.sent = self.acknowledged = self.last = 0

    def run(self) -> None:
        while not self.stop.is_set():
            self.report()
        while not self.report():  # the last word is acknowledged
            time.sleep(0.05)

    def report(self) -> bool:
        self.sent += 1
        about = {"appid": self.key, "xwho": self.person}
        records = [
            about | {"xwhat": "$profile_increment", "xcontext": {"n": 1}},
            about | {"xwhat": "$profile_set", "xcontext": {"last": self.sent}},
        ]
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.system.web_port, timeout=30)
            connection.request("POST", f"/up?appid={self.key}", json.dumps(records))
            accepted = connection.getresponse().read() == b'{"code":200}'
            connection.close()
        except (OSError, http.client.HTTPException):
            accepted = False
        if accepted:
            self.acknowledged += 1
            self.last = self.sent
        else:
            time.sleep(0.05)
        return accepted


@pytest.mark.parametrize("kind", DATABASES)
def test_what_was_acknowledged_is_applied_once_and_in_order_whatever_is_killed(kind: str) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    with tempfile.TemporaryDirectory(prefix="up") as name:
        folder = Path(name)
        folder.chmod(0o755)
        system = System(folder, kind, seed, workers=1)
        try:
            _reported_and_killed(system, seed)
        finally:
            system.stop()


def _reported_and_killed(system: System, seed: int) -> None:
    # given apps that report without a pause
    system.start()
    with system.app.app_context():
        key = app_keys.create("App", KeyKind.SERVER, Actor("test"), clock.now()).key
        current_session().rollback()
    stop = threading.Event()
    apps = [App(system, key, f"person{n}", stop) for n in range(PEOPLE)]
    for app in apps:
        app.start()

    # when whatever keeps or applies their records is killed again and again
    victims = ["web", system.workers[0]] + ["postgres"] * (system.postgres is not None)
    for n in range(KILLS):
        before = sum(app.acknowledged for app in apps)
        system.strike(victims[n % len(victims)])
        while system.back_at or sum(app.acknowledged for app in apps) < before + 3 * PEOPLE:
            system.tend()
            time.sleep(0.05)
    stop.set()
    for app in apps:
        while app.is_alive():
            system.tend()
            app.join(0.1)

    # then nothing that was acknowledged is missing, nothing is counted twice, and the last word is the last one
    with system.app.app_context():
        while _waiting():
            _apply_too()
            time.sleep(0.05)
        current_session().rollback()
        for app in apps:
            properties = current_session().query(Contact.properties).filter_by(xwho=app.person).scalar()
            assert app.acknowledged <= properties["n"] <= app.sent, f"seed {seed}"
            assert properties["last"] == app.last == app.sent, f"seed {seed}"
        assert sum(app.acknowledged for app in apps) >= KILLS * PEOPLE
        current_session().rollback()


def _waiting() -> bool:
    return bool(store.waiting(1))


def _apply_too() -> None:
    """Apply as a worker would, beside the worker that may be at it too."""
    try:
        applying.apply_some(clock.now())
    except DBAPIError:
        current_session().rollback()
