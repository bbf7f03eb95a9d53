"""flask serve: everything comes up together, says where, and leaves nothing behind. One real start tells the story."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import HERE, LONGEST_SOCKET, Config
from smsapp.cli import serve, supervision
from tests.conftest import FERNET_KEY
from tests.journey.kannel import wait_for
from tests.journey.processes import PATIENCE, family
from tests.journey.served import alive, programs

FLASK = [sys.executable, "-m", "flask", "--app", "wsgi"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An instance folder with a path too long for a socket, a percent sign and a space."""
    folder = tmp_path / "100 % ours" / ("x" * LONGEST_SOCKET)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    variables = {"INSTANCE_DIR": str(folder), "SECRET_KEY": "x", "ENCRYPTION_KEY": FERNET_KEY, "SEND_WORKERS": "1"}
    return os.environ | variables | {"WEB_WORKERS": "1", "LOG_LEVEL": "WARNING"}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def refused(environment: dict[str, str]) -> str:
    """Return what `flask serve` says when it does not want to."""
    done = subprocess.run(
        [*FLASK, "serve"], cwd=HERE, env=environment, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stdout
    return done.stderr


def are_gone(members: list[int]) -> bool:
    return not alive(members[1:])


def answers(address: str) -> bool:
    """Return whether pages, a worker and the scheduler are there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/readyz", timeout=5) as answer:
            state = json.load(answer)
            return bool(answer.status == 200 and state["workers"] and state["scheduler"])
    except OSError:
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to count processes")


@pytest.fixture
def served(environment: dict[str, str], taken_port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`flask serve` on a new database, and what it has said."""
    environment["PORT"] = str(taken_port)
    subprocess.run([*FLASK, "db", "upgrade"], cwd=HERE, env=environment, check=True, capture_output=True)
    serving = subprocess.Popen(
        [*FLASK, "serve"], cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert serving.stdout is not None
        output = ""
        for line in serving.stdout:
            output += line
            if "Ctrl-C stops everything" in line:
                break
        yield serving, output
    finally:
        members = family(serving.pid)
        if serving.poll() is None:
            serving.send_signal(signal.SIGINT)
            serving.communicate(timeout=120)
        assert alive(members) == []


@needs_proc
def test_it_comes_up_serves_refuses_a_second_one_and_leaves_nothing_behind(
    folder: Path, environment: dict[str, str], taken_port: int, served: tuple[subprocess.Popen[str], str]
) -> None:
    serving, output = served
    assert f"Port {taken_port} is taken; using " in output
    address = re.search(r"Open (http://127\.0\.0\.1:\d+)", output)
    assert address, output
    assert f"{address[1]}/welcome/" in output
    assert answers(address[1])
    wait_for(lambda: bool(programs(serving.pid, senders=1)), "every program", PATIENCE)
    assert f"Another `flask serve` runs on {folder}" in refused(environment)
    members = family(serving.pid)
    serving.send_signal(signal.SIGINT)
    last_output, _ = serving.communicate(timeout=120)
    assert "Stopped." in last_output
    assert serving.returncode == 0
    assert alive(members) == []


@needs_proc
def test_every_process_that_is_killed_comes_back(served: tuple[subprocess.Popen[str], str]) -> None:
    serving, output = served
    address = output.partition("Open ")[2].split()[0]
    for of_these in (slice(1, None), slice(1)):  # the programs, and then the supervisor, whose programs end with it
        wait_for(lambda: bool(programs(serving.pid, senders=1)), "every program", PATIENCE)
        before = programs(serving.pid, senders=1)
        for victim in before[of_these]:
            os.kill(victim, signal.SIGKILL)
        wait_for(functools.partial(are_gone, before), "their end", PATIENCE)
        wait_for(lambda: bool(programs(serving.pid, senders=1)) and answers(address), "every program again", PATIENCE)


def test_an_older_schema_is_refused_in_words(environment: dict[str, str]) -> None:
    assert "run: flask db upgrade" in refused(environment)


def test_a_wrong_setting_stops_the_start_with_a_sentence(environment: dict[str, str]) -> None:
    environment["PORT"] = "eighty"
    assert refused(environment).strip() == "PORT must be a whole number, not 'eighty'."


def test_with_a_redis_of_its_own_no_valkey_is_started(tmp_path: Path) -> None:
    own = supervision.configuration(Config.read({"INSTANCE_DIR": str(tmp_path)}), 8000)
    assert "[program:valkey]" in own
    other = Config.read({"INSTANCE_DIR": str(tmp_path), "REDIS_URL": "redis://h/0"})
    assert "[program:valkey]" not in supervision.configuration(other, 8000)


def test_what_runs_makes_files_for_its_own_user_and_reads_no_endless_line(tmp_path: Path) -> None:
    written = supervision.configuration(Config.read({"INSTANCE_DIR": str(tmp_path)}), 8000)
    assert "\numask=077\n" in written
    assert "\nlimit_request_line = 8190\n" in (HERE / "gunicorn.conf.py").read_text()


def test_without_sending_there_are_pages_and_nothing_else(tmp_path: Path) -> None:
    written = supervision.configuration(Config.read({"INSTANCE_DIR": str(tmp_path), "NO_SEND": "1"}), 8000)
    assert re.findall(r"\[program:(\w+)\]", written) == ["valkey", "web"]


def test_no_worker_starts_where_nothing_is_to_be_sent(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "worker.py", "work"],
        cwd=HERE,
        env=environment | {"NO_SEND": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "NO_SEND is set" in done.stderr


def test_for_developers_every_process_of_ours_restarts_when_the_code_changes(tmp_path: Path) -> None:
    config = Config.read({"INSTANCE_DIR": str(tmp_path), "HOST": "0.0.0.0"})
    written = supervision.configuration(config, 8000, reload=True)
    commands = dict(re.findall(r"\[program:(\w+)\]\ncommand=(.*)", written))
    workers = {name: command for name, command in commands.items() if name not in {"valkey", "web"}}
    assert commands["web"].endswith("-m flask --app wsgi.py --debug run --host 127.0.0.1 --port 8000")
    assert workers.keys() == {"schedule", "receipts", "connect", "work"}
    assert all("-m watchfiles" in command and "worker.py" in command for command in workers.values())
    assert "watchfiles" not in supervision.configuration(config, 8000)


def test_a_free_port_is_taken_as_it_is(taken_port: int) -> None:
    assert serve._free_port(Config.read({"PORT": "0"})) > 0
    assert serve._free_port(Config.read({"PORT": str(taken_port)})) > taken_port
