"""The HTTP API from outside: many confirmations with one Idempotency-Key while a web process is killed make one run,
and what was answered 202 is in the ledger; a client generated from the document goes from contact to funnel.

    python -m bench.api --confirms 10000 --connections 20
    python -m bench.api --client    (needs the command openapi-python-client)
    python -m bench.api --messages 60 [--database postgresql]    (single messages beside a campaign: bench/messages.py)
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask

from bench import messages
from smsapp.domain.api_key import Scope
from smsapp.factory import create_app
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from tests import builders, servers
from tests.conftest import migrate, settings
from tests.engine import work
from tests.fakes import FakeClock
from tests.journey.processes import Processes, family, processes

LONGEST_WAIT = 120.0
"""Seconds."""
CLIENT = "openapi-python-client"

Answers = collections.Counter[tuple[int, str]]


class Caller:
    """One connection that sends requests with a key, and connects again when it breaks."""

    def __init__(self, url: str, key: str) -> None:
        self.host, self.key = urlsplit(url).netloc, key
        self.connection = http.client.HTTPConnection(self.host, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, once: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": once} if once else {}
        self.connection.request(method, f"/api/v1{path}", json.dumps(body) if body is not None else None, headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def again(self) -> None:
        self.connection.close()
        self.connection = http.client.HTTPConnection(self.host, timeout=60)


@contextmanager
def served(folder: Path, database: str = "sqlite") -> Iterator[tuple[Flask, Processes, str, str]]:
    """Serve an empty product with a channel, a template and a key; yield (application, processes, address, key)."""
    with servers.valkey(folder / "v", "v") as valkey:
        folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        address = servers.postgres(folder / "pg").format(database="postgres") if database == "postgresql" else ""
        config = settings(folder, DATABASE_URL=address, REDIS_URL=valkey, LOG_LEVEL="WARNING", REQUEST_SECONDS=10)
        migrate(config)
        app = create_app(config)
        with app.app_context():
            builders.known_property("$phone")
            channel = builders.channel()
            builders.template(channel.id)
            key = api_keys.create("bench", [*Scope], Actor("bench"), clock.now(), per_minute=60_000).text
            with processes(config, folder) as started:
                yield app, started, started.web(), key


def confirms(n: int, connections: int, database: str) -> None:
    """Send n confirmations with one key over so many connections, and kill the web process in the middle."""
    with tempfile.TemporaryDirectory() as raw, served(Path(raw), database) as (_, started, url, key):
        first = Caller(url, key)
        people = [{"user_id": f"u{i}", "properties": {"$phone": f"1380000{i:04}"}} for i in range(100)]
        first.ask("POST", "/contacts", {"contacts": people})
        segment = first.ask("POST", "/segments", {"name": "All", "kind": "static", "rule": {}})[1]["id"]
        draft = {"name": "Once", "audience": {"include": [segment]}, "channel_id": 1, "template_id": 1}
        campaign = first.ask("POST", "/campaigns", draft)[1]["id"]
        digest = first.ask("GET", f"/campaigns/{campaign}/estimate")[1]["digest"]
        once, answers, lock = secrets.token_hex(16), Answers(), threading.Lock()

        def send(share: int) -> None:
            caller = Caller(url, key)
            for _ in range(share):
                try:
                    status, answer = caller.ask("POST", f"/campaigns/{campaign}/confirm", {"digest": digest}, once)
                    outcome = (status, answer.get("code", answer.get("status", "")))
                except (OSError, http.client.HTTPException):
                    caller.again()
                    outcome = (0, "broken")
                with lock:
                    answers[outcome] += 1

        threads = [threading.Thread(target=send, args=(n // connections,)) for _ in range(connections)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        killed = 0
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05 if not killed else 1.5)
            if killed < 4:
                for pid in family(started.running[0].pid)[1:]:  # the workers; their master makes new ones
                    os.kill(pid, signal.SIGKILL)
                killed += 1
        seconds = time.monotonic() - begun
        # Whoever was killed before the effect holds the key until the time limit of a request is over.
        while not answers[202, "sending"] and time.monotonic() - begun < LONGEST_WAIT:
            time.sleep(1)
            send(1)
        runs = current_session().query(Run).count()
        print(f"{sum(answers.values())} confirmations over {connections} connections in {seconds:.0f} s")
        print(f"web workers killed {killed} times; answers: {dict(answers)}; runs: {runs}")
        assert runs == 1
        assert answers[202, "sending"] > 0


def generate(command: str, document: str, folder: Path) -> tuple[str, str]:
    """Generate a client from a document (its path or address) into a folder; return what runs the journey with it."""
    options = (
        "--url" if document.startswith("http") else "--path",
        document,
        "--output-path",
        str(folder / "generated"),
        "--meta",
        "none",
    )
    subprocess.run([command, "generate", *options], check=True, stdout=subprocess.DEVNULL)
    script = Path(__file__).with_name("api_client_journey.py")
    return str(Path(command).resolve().with_name("python")), str(script)


def client() -> None:
    """Generate a client from the served document and let it go the way of docs/api.md."""
    command = shutil.which(CLIENT)
    if command is None:
        sys.exit(f"{CLIENT} is not in PATH")
    with tempfile.TemporaryDirectory() as raw, served(Path(raw)) as (app, _, url, key):
        python, script = generate(command, f"{url}/api/openapi.json", Path(raw))
        environment = {**os.environ, "PYTHONPATH": raw}
        asked = [python, script, url, key]
        campaign = int(subprocess.run(asked, env=environment, check=True, capture_output=True, text=True).stdout)
        work(app, FakeClock(clock.now()))
        second = subprocess.run([*asked, str(campaign)], env=environment, check=True, capture_output=True, text=True)
        print(second.stdout.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--confirms", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--client", action="store_true")
    parser.add_argument("--messages", type=int, metavar="SECONDS", help="measure single messages for so long")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    if options.messages:
        sys.exit(messages.measure(options.messages, options.database))
    elif options.client:
        client()
    else:
        confirms(options.confirms, options.connections, options.database)


if __name__ == "__main__":
    main()
