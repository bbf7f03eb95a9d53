"""flask serve: the whole product under one supervisor, until Ctrl-C."""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

import click

from config import Config
from smsapp.cli import supervision
from smsapp.cli.output import echo, failure
from smsapp.services import health
from smsapp.services.platform import clock, login_links

PORTS_TRIED = 50
PATIENCE = 300
"""Seconds until the pages must answer."""
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@click.command("serve")
@click.option("--reload", is_flag=True, help="For developers: restart pages and workers when the code changes.")
def command(*, reload: bool) -> None:
    """Bring up Valkey, the web server, the workers and the scheduler; Ctrl-C stops them all.

    A REDIS_URL in the environment is used instead of the embedded Valkey. If PORT is taken, the next free one is.
    With --reload the pages have Flask's debugger and answer on 127.0.0.1 only.

    \b
    Example: PORT=9000 flask serve
    """
    config = Config.read(os.environ)
    if reload:
        if not importlib.util.find_spec("watchfiles"):
            raise failure("--reload needs the tools of requirements-dev.lock; `make dev` installs them.")
        config = dataclasses.replace(config, HOST=supervision.LOOPBACK)
    if not health.database().up_to_date:
        raise failure("The database is not up to date; run: flask db upgrade")
    with _only_one(config):
        _end_orphan(config.INSTANCE_DIR / "valkey.pid")
        port = _free_port(config)
        if config.PORT not in {0, port}:
            echo(f"Port {config.PORT} is taken; using {port} instead.")
        sys.exit(_serve(config, port, reload=reload))


def _only_one(config: Config) -> IO[str]:
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
    """Run the supervisor until it ends; return the exit code."""
    logs = config.INSTANCE_DIR / supervision.LOGS
    logs.mkdir(exist_ok=True)
    file = config.INSTANCE_DIR / "supervisor.conf"
    file.write_text(supervision.configuration(config, port, reload=reload))
    environment = os.environ | {"INSTANCE_DIR": str(config.INSTANCE_DIR), "PYTHONUNBUFFERED": "1"}
    supervisor = subprocess.Popen(  # noqa: S603 -- our own interpreter and file
        [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(file)],
        cwd=config.INSTANCE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_tied_to_parent(),  # noqa: PLW1509 -- this process has no threads
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        echo("\nStopping; jobs under way are put in order first.")
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.terminate()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    address = f"http://{_reachable(config.HOST)}:{port}"
    if _wait_for_pages(address, supervisor):
        _welcome(address, logs)
    elif supervisor.poll() is None and signal.getsignal(signal.SIGTERM) is stop:
        echo(f"The pages do not answer after {PATIENCE} seconds; {logs} says why.", err=True)
        supervisor.terminate()
        supervisor.wait()
        return 1
    code = supervisor.wait()
    echo("Stopped.")
    return code


def _tied_to_parent() -> Callable[[], None] | None:
    """Return a `preexec_fn`: the supervisor gets SIGTERM when this process dies. None if this is not Linux."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(DIE_WITH_PARENT, signal.SIGTERM)


def _reachable(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104 -- not bound here, only shown
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _wait_for_pages(address: str, supervisor: subprocess.Popen[bytes]) -> bool:
    """Return True when pages, Redis, a worker and the scheduler answer; False if the supervisor ends or time is up."""
    # Not through a proxy of the environment: the address is local.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE
    while supervisor.poll() is None and time.monotonic() < deadline:
        try:
            with opener.open(f"{address}/healthz", timeout=5) as answer:
                state = json.load(answer)
            if state["workers"] and state["scheduler"]:
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
