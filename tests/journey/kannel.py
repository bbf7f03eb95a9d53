"""A real Kannel on this machine: bearerbox, smsbox and fakesmsc from Debian's packages, for the time of a test module.

`from tests.journey.kannel import kannel` brings the fixture. Every text is one GET request to smsbox; fakesmsc, the far
end, logs each text it got, and its side of the gateway returns the receipts.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

USERNAME, PASSWORD = "tester", "sesame-4711"
SENDER = "10690001"
WAIT = 20.0
BEARERBOX, SMSBOX = "/usr/sbin/bearerbox", "/usr/sbin/smsbox"
FAKESMSC = "/usr/lib/kannel/test/fakesmsc"

CONFIG = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {password}
status-password = {password}
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
dlr-storage = internal
log-level = 1

group = smsc
smsc = fake
smsc-id = fake
port = {smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {boxes}
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-level = 1

group = sendsms-user
username = {username}
password = {password}
max-messages = 10
concatenation = true

group = sms-service
keyword = default
text = ""
"""


@dataclass
class Kannel:
    """The running gateway."""

    url: str
    """http://127.0.0.1:PORT of smsbox: what the preset has before /cgi-bin/sendsms."""
    admin_url: str
    folder: Path

    def arrived(self) -> list[tuple[str, str]]:
        """Return (number, text) of everything the far end got so far, in its order; a long text part by part."""
        return [
            (match[1].decode(), unquote_to_bytes(match[2].replace(b"+", b" ")).decode("utf-16-be", "replace"))
            for match in ARRIVED.finditer((self.folder / "fakesmsc.log").read_bytes())
        ]

    def command(self, name: str, query: str = "") -> str:
        """Send a command to bearerbox: status.txt, suspend, stop-smsc."""
        with urllib.request.urlopen(f"{self.admin_url}/{name}?password={PASSWORD}&{query}", timeout=5) as answer:
            return str(answer.read().decode())


ARRIVED = re.compile(rb"Got message \d+: <\S+ (\S+) (?:ucs-2|udh \S+ data) ([^>]*)>")
"""A line of fakesmsc about a text, or about one part of a long one."""


@pytest.fixture(scope="module")
def kannel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kannel]:
    """A running gateway whose far end takes everything; skipped, loudly, where Kannel is not installed."""
    with running(installed(tmp_path_factory.mktemp("kannel"))) as gateway:
        yield gateway


def installed(folder: Path) -> Path:
    """Return `folder` if Kannel is installed, else skip the test, loudly."""
    missing = [path for path in (BEARERBOX, SMSBOX, FAKESMSC) if not Path(path).exists()]
    if missing:
        pytest.skip(f"KANNEL IS NOT INSTALLED (apt install kannel kannel-extras): {', '.join(missing)} missing")
    return folder


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Kannel]:
    """Run the three programs on ports of their own while the block lasts."""
    admin, boxes, smsc, sendsms = free_ports(4)
    config = folder / "kannel.conf"
    config.write_text(
        CONFIG.format(
            admin=admin,
            boxes=boxes,
            smsc=smsc,
            sendsms=sendsms,
            folder=folder,
            username=USERNAME,
            password=PASSWORD,
        )
    )
    with contextlib.ExitStack() as stack:

        def start(name: str, *command: str, stdin: int = subprocess.DEVNULL) -> None:
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            started = subprocess.Popen(command, stdin=stdin, stdout=log, stderr=log, cwd=folder)
            stack.callback(stop, started)

        start("bearerbox", BEARERBOX, str(config))
        wait_for(lambda: listens(admin) and listens(boxes), "bearerbox")
        start("smsbox", SMSBOX, str(config))
        wait_for(lambda: listens(sendsms), "smsbox")
        # fakesmsc stops at the end of its input, so its input is a pipe that is never written to.
        silence, kept_open = os.pipe()
        stack.callback(os.close, kept_open)
        where = ("-H", "127.0.0.1", "-r", str(smsc), "-i", "1000000", "-m", "0")
        start("fakesmsc", FAKESMSC, *where, "100 200 text nop", stdin=silence)
        os.close(silence)
        gateway = Kannel(f"http://127.0.0.1:{sendsms}", f"http://127.0.0.1:{admin}", folder)
        wait_for(lambda: "online" in gateway.command("status.txt"), "fakesmsc")
        yield gateway


def stop(program: subprocess.Popen[bytes]) -> None:
    program.terminate()
    try:
        program.wait(5)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def free_ports(count: int) -> list[int]:
    """Return ports nobody uses, below the range the kernel hands out for outgoing connections."""
    ports: list[int] = []
    candidates = list(range(21100, 21999))
    random.shuffle(candidates)
    for port in candidates:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("no free ports")


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(ready: Callable[[], bool], what: str, seconds: float = WAIT) -> None:
    """Return once `ready()`; raise after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready in {seconds:g} s")
        time.sleep(0.02)
