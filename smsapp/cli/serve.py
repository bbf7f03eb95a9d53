"""flask serve: the whole product under one supervisor, until Ctrl-C."""

from __future__ import annotations

import dataclasses
import fcntl
import gc
import importlib.util
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import FrameType
from typing import IO

import click

from config import Config
from smsapp.cli import prefork, supervision
from smsapp.cli.output import echo, failure
from smsapp.labels import sentence
from smsapp.services.monitoring import health
from smsapp.services.platform import clock, forking, login_links

PORTS_TRIED = 50
PATIENCE = 300
"""Seconds until the pages must answer."""


@click.command("serve")
@click.option("--reload", is_flag=True, help="For developers: restart pages and workers when the code changes.")
@click.option("--no-send", is_flag=True, help="Pages only: nothing is sent or started; what is due waits.")
def command(*, reload: bool, no_send: bool) -> None:
    """Bring up Valkey, the web server, the workers and the scheduler; Ctrl-C stops them all.

    A REDIS_URL in the environment is used instead of the embedded Valkey. If PORT is taken, the next free one is.
    With --no-send there are neither workers nor a scheduler: look at a restored database before anything leaves.
    Callbacks and reports of apps are taken and wait. With --reload the pages have Flask's debugger and answer on
    127.0.0.1 only.

    \b
    Example: PORT=9000 flask serve
    """
    config = Config.read(os.environ)
    if no_send and not config.NO_SEND:
        # Anew, because the pages are forked from this process, which has read its settings already.
        os.environ["NO_SEND"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 -- this very command
    if reload:
        if not importlib.util.find_spec("watchfiles"):
            raise failure("--reload needs the tools of requirements-dev.lock; `make dev` installs them.")
        config = dataclasses.replace(config, HOST=supervision.LOOPBACK)
    database = health.database()
    if not database.answers:
        raise failure(f"The database does not answer ({database.trouble}); look at DATABASE_URL.")
    if database.problem is not None:
        raise failure(sentence(database.problem))
    with only_one(config):
        port = _free_port(config)
        if config.PORT not in {0, port}:
            echo(f"Port {config.PORT} is taken; using {port} instead.")
        sys.exit(_serve(config, port, reload=reload))


def only_one(config: Config) -> IO[str]:
    """Return the open lock file of the instance folder; raise ClickException if another `flask serve` holds it."""
    file = (config.INSTANCE_DIR / "serve.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        who = file.read().strip()
        raise failure(
            f"Another `flask serve` runs on {config.INSTANCE_DIR} (process {who}). "
            "Stop it first, or give this one its own INSTANCE_DIR."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _end_orphan(pid_file: Path) -> None:
    """End a Valkey that a killed supervisor left behind: two on the same files would corrupt them."""
    try:
        pid = int(pid_file.read_text())
        name = Path(f"/proc/{pid}/comm").read_text()
    except (OSError, ValueError):
        return
    if name.startswith("valkey"):
        echo("Ending a Valkey that was left over.")
        os.kill(pid, signal.SIGTERM)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.05)


def _free_port(config: Config) -> int:
    """Return PORT or the next free port; PORT 0 lets the system choose."""
    last = min(config.PORT + PORTS_TRIED, 65535)
    for port in range(config.PORT, last + 1):
        try:
            family, _, _, _, address = socket.getaddrinfo(config.HOST, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return int(probe.getsockname()[1])
        except socket.gaierror:
            raise failure(f"HOST {config.HOST!r} is not an address of this machine.") from None
        except PermissionError:
            raise failure(f"This user may not listen on port {port}; choose a PORT above 1023.") from None
        except OSError:
            continue
    raise failure(f"No free port for {config.HOST} between {config.PORT} and {last}; choose another PORT.")


def _serve(config: Config, port: int, *, reload: bool) -> int:
    """Run the supervisor until it is stopped; return the exit code. A supervisor that is killed is started again."""
    logs = config.INSTANCE_DIR / supervision.LOGS
    logs.mkdir(exist_ok=True)
    file = config.INSTANCE_DIR / "supervisor.conf"
    file.write_text(supervision.configuration(config, port, reload=reload))
    os.environ |= {"INSTANCE_DIR": str(config.INSTANCE_DIR), "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    supervisor = _supervisor(config, file, reload=reload)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        echo("\nStopping; jobs under way are put in order first.")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.terminate()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    address = f"http://{_reachable(config.HOST)}:{port}"
    if _wait_for_pages(address, supervisor, with_workers=not config.NO_SEND):
        _welcome(address, logs)
        if config.NO_SEND:
            echo("  Pages only: nothing is sent until it is started without --no-send.\n")
    elif supervisor.is_alive() and signal.getsignal(signal.SIGTERM) is stop:
        echo(f"The pages do not answer after {PATIENCE} seconds; {logs} says why.", err=True)
        supervisor.terminate()
        supervisor.join()
        return 1
    supervisor.join()
    while (supervisor.exitcode or 0) < 0 and signal.getsignal(signal.SIGTERM) is stop:
        echo("The supervisor was killed; starting it again.", err=True)
        supervisor = _supervisor(config, file, reload=reload)
        supervisor.join()
    echo("Stopped.")
    return supervisor.exitcode or 0


def _supervisor(config: Config, file: Path, *, reload: bool) -> ForkProcess:
    """Return a running supervisor: a fork of this process, so that its own forks share what is loaded here."""
    _end_orphan(config.INSTANCE_DIR / "valkey.pid")
    forking.disconnect()
    # What is loaded by now is exempt from garbage collection, which would write to every page that forks share.
    gc.collect()
    gc.freeze()
    context = multiprocessing.get_context("fork")
    supervisor = context.Process(target=prefork.supervise, args=(file,), kwargs={"forks": not reload})
    supervisor.start()
    return supervisor


def _reachable(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 # nosec B104 - not bound here, only shown
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _wait_for_pages(address: str, supervisor: ForkProcess, *, with_workers: bool) -> bool:
    """Return True when pages and Redis answer, `with_workers` also a worker and the scheduler.

    False if the supervisor ends or time is up.
    """
    # Not through a proxy of the environment: the address is local.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # nosemgrep: http-past-the-guarded-client
    deadline = time.monotonic() + PATIENCE
    while supervisor.is_alive() and time.monotonic() < deadline:
        try:
            with opener.open(f"{address}/readyz", timeout=5) as answer:
                state = json.load(answer)
            if not with_workers or (state["workers"] and state["scheduler"]):
                return True
        except (OSError, ValueError, urllib.error.URLError):
            pass
        time.sleep(0.2)
    return False


def _welcome(address: str, logs: Path) -> None:
    echo(lead=f"\n  Open {click.style(address, bold=True)}")
    link = login_links.first_link(clock.now())
    if link:
        echo("  Nobody can sign in yet. This link makes the first administrator, once, within a day:")
        echo(f"  {address}{link}")
    else:
        echo("  Sign in with your login and password (forgotten: flask users link LOGIN).")
    echo(f"  Logs are in {logs}. Ctrl-C stops everything.\n")
