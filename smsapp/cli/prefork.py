"""supervisord in a process that has loaded the product: its Python programs are forks that share this memory.

supervisord starts, watches, logs and stops them as always. Only where it would start a new Python interpreter,
the forked process plays that interpreter itself, with everything imported already.
"""

from __future__ import annotations

import contextvars
import ctypes
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from setproctitle import setproctitle
from supervisor import supervisord
from supervisor.options import ServerOptions

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)
"""Signals that supervisord handles: a program begins without its handlers."""


def supervise(configuration: Path, *, forks: bool) -> None:
    """Run supervisord with this configuration file until it is stopped; without `forks` programs are started anew."""
    os.setsid()
    os.chdir(configuration.parent)
    end_with_parent()
    restore_signals()
    setproctitle(f"supervisord --configuration {configuration}")
    options = _ForkingOptions() if forks else _Options()
    options.realize(["--configuration", str(configuration)])
    options.first, options.test = True, False
    supervisord.go(options)
    options.close_logger()


class _Options(ServerOptions):  # type: ignore[misc]  # supervisor has no types
    """supervisord's options; programs end with it, however it ends."""

    def execve(self, filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Become the program."""
        end_with_parent()
        super().execve(filename, argv, env)


class _ForkingOptions(_Options):
    """As above; `python SCRIPT ..` and `python -m MODULE ..` run in the forked process itself."""

    def execve(self, filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Become the program."""
        if argv[0] != sys.executable:
            super().execve(filename, argv, env)
        end_with_parent()
        os.environ.clear()
        os.environ.update(env)
        # The command line's application context stays behind.
        contextvars.Context().run(_play, argv[1:])


def _play(arguments: Sequence[str]) -> NoReturn:
    """Do what a new interpreter with these arguments does; end with its exit code."""
    code: object = 1
    try:
        restore_signals()
        setproctitle(" ".join(arguments))
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # this process's own
        if arguments[0] == "-m":
            sys.argv = list(arguments[1:])
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(arguments)
            runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as leaving:
        code = leaving.code or 0
        if not isinstance(code, int):
            sys.stderr.write(f"{code}\n")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def end_with_parent() -> None:
    """Have this process get SIGTERM when its parent dies, where that is possible (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)


def restore_signals() -> None:
    """Give this process the signal handlers of a new interpreter."""
    for number in HANDLED:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
