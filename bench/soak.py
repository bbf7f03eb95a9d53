"""The product under load for minutes, beside a large campaign, while each of its processes is killed once.

    python -m bench.soak [--minutes 10] [--people 1000000] [--database sqlite|postgresql] [--seconds 20]

`flask serve` runs as on a small machine. First each kind of request is timed alone, then it is found what this machine
carries of their mix (pages signed in, `/up`, callbacks), and then 70 % of that arrives at its own pace, whatever the
answers take, while a campaign is sent and one process after the other is killed. What is refused while a killed process
comes back is sent again, as browsers, SDKs and providers do; nothing else may fail. Answers are timed from the moment
they were due: all of them, and apart from that those of the time in which no process was missing and what had waited
for one was worked off. In the end nobody was written to twice, numbers add up, and every callback and upload that was
acknowledged is applied.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from http.cookiejar import CookieJar
from pathlib import Path

import sqlalchemy as sa

from bench import table
from bench.idle import memory, processor, serving
from bench.stage import BY, confirm, draft, fill, sink_process
from bench.up import Client, record, request
from config import Config
from smsapp.channels.gateway import Gateway
from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.roles import Role
from smsapp.domain.trust import KeyKind
from smsapp.factory import create_app
from smsapp.services.apps import app_keys
from smsapp.services.platform import clock, users
from smsapp.services.receipts import callback_inbox
from smsapp.services.reports import verify
from smsapp.store.apps import uploads
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Message, Run
from tests import builders, servers
from tests.journey.processes import family
from tests.journey.served import programs, title

SHARE = 0.7
MOST_RATIO, MOST_GROWTH, MOST_BACK = 5.0, 1.15, 60.0
CONNECTIONS = 24
WORKED_OFF = 15.0
"""Seconds after a killed process is back until what has waited for it is worked off, with 70 % arriving meanwhile."""
RECEIPTS = 60_000
"""People of the campaign before, whose receipts come."""
SENDERS = 2
MENDED_BY_TIME = {429, 502, 503, 504}
PASSWORD = "a sentence nobody guesses"
PAGES = ("/campaigns/", "/contacts/", "/segments/", "/channels/", "/templates/", "/replies/", "/account")
PARTS = ("gunicorn", "rq:worker", "valkey", "schedule", "connect")
"""In the titles of processes."""
MIX = ("page", "up", "up", "up", "callback")
"""One page, three uploads and one callback, again and again."""


class Load:
    """Requests by kind, and what was answered."""

    def __init__(self, port: int, cookie: str, key: str, callback: str, run_id: int, messages: int) -> None:
        self.port, self.cookie, self.key, self.callback, self.run_id = port, cookie, key, callback, run_id
        self.pages = itertools.cycle(PAGES)
        self.kinds = itertools.cycle(MIX)
        self.seqs = iter(range(1, messages + 1))
        self.uploads = itertools.count(1)
        self.took: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        """(moment of the answer, ms since it was due) by kind."""
        self.failed: list[tuple[float, float, str]] = []
        """(last good answer of the connection, moment, what) of each request that was not answered at first."""
        self.used: dict[Client, float] = {}
        """When each connection had its last good answer: whether it was cut meanwhile shows at its next use."""
        self.taken: Counter[str] = Counter()
        self.last_upload = 0

    def next(self, kind: str = "") -> tuple[str, bytes]:
        """Return the next request of this kind, or of the mix; a page where no receipt is left."""
        kind = kind or next(self.kinds)
        if kind == "callback" and (seq := next(self.seqs, 0)):
            form = urllib.parse.urlencode({"ref": f"{self.run_id}-{seq}", "status": "DELIVRD"})
            asked = request(self.callback, form.encode())
            return kind, asked.replace(b"application/json", b"application/x-www-form-urlencoded")
        if kind == "up":
            self.last_upload = next(self.uploads)
            return kind, request("/up", json.dumps(record(self.key, 10**7 + self.last_upload, 1)).encode())
        page = f"GET {next(self.pages)} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {self.cookie}\r\n\r\n"
        return "page", page.encode()

    async def ask(self, client: Client, kind: str, asked: bytes, due: float) -> None:
        """Send until it is answered well; time it from when it was due."""
        since = self.used.setdefault(client, time.monotonic())
        while True:
            try:
                status = await client.ask(asked)
            except (OSError, EOFError, ValueError) as error:
                self.failed.append((since, time.monotonic(), f"{kind} {type(error).__name__}"))
                await asyncio.sleep(0.2)
                await self.reopen(client)
                continue
            if status == 200:
                break
            if status not in MENDED_BY_TIME:
                raise RuntimeError(f"{kind} is answered {status}: {asked[:60]!r}")
            self.failed.append((since, time.monotonic(), f"{kind} {status}"))
            await asyncio.sleep(0.2)
        self.used[client] = time.monotonic()
        self.took[kind].append((time.monotonic(), (time.perf_counter() - due) * 1000))
        self.taken[kind] += 1

    async def reopen(self, client: Client) -> None:
        while True:
            try:
                await client.open()
            except OSError:
                await asyncio.sleep(0.2)
            else:
                return

    async def closed(self, seconds: float, connections: int, kind: str = "") -> float:
        """Ask as fast as answers come; return requests per second."""
        begun, before = time.perf_counter(), self.taken.total()

        async def work() -> None:
            client = Client(self.port)
            await client.open()
            while time.perf_counter() < begun + seconds:
                await self.ask(client, *self.next(kind), time.perf_counter())

        await asyncio.gather(*(work() for _ in range(connections)))
        return (self.taken.total() - before) / (time.perf_counter() - begun)

    async def open(self, seconds: float, per_second: float) -> None:
        """Ask at this pace, whatever the answers take."""
        begun = time.perf_counter() + 0.1
        turns = iter(range(int(seconds * per_second)))

        async def work() -> None:
            client = Client(self.port)
            await client.open()
            for n in turns:
                due = begun + n / per_second
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await self.ask(client, *self.next(), due)

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


class Watch:
    """Kills one process after the other and measures memory meanwhile."""

    def __init__(self, server: int, address: str) -> None:
        self.server, self.address = server, address
        self.killed: list[tuple[float, str, float]] = []
        """(moment, what, seconds until everything was back)."""
        self.samples: list[int] = []
        self.ended = False

    async def run(self, seconds: float) -> None:
        """Kill them evenly spread over the middle of these seconds."""
        victims = [title(pid) for pid in programs(self.server, SENDERS)]
        pause = seconds / (len(victims) + 2)
        await self.sleep(pause)
        for place, name in enumerate(victims):
            members = programs(self.server, SENDERS)
            begun = time.monotonic()
            os.kill(members[place], signal.SIGKILL)
            while not await asyncio.to_thread(self.is_back, members[place]):
                await asyncio.sleep(0.1)
            self.killed.append((begun, name.split(":")[-1].strip()[:30] or name[:30], time.monotonic() - begun))
            await self.sleep(max(0.0, pause - (time.monotonic() - begun)))
        await self.sleep(pause)

    async def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.samples.append(memory(family(self.server)).total())
            await asyncio.sleep(min(2.0, max(0.0, end - time.monotonic())))

    def is_back(self, killed: int) -> bool:
        members = programs(self.server, SENDERS)
        if not members or killed in members:
            return False
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=5) as answer:
                state = json.load(answer)
                return bool(state["workers"] and state["scheduler"])
        except OSError:
            return False

    def is_whole(self, moment: float, ms: float) -> bool:
        """Return whether nothing was missing or worked off while a request waited for this answer."""
        due = moment - ms / 1000
        return not any(begun <= moment and due <= begun + seconds + WORKED_OFF for begun, _name, seconds in self.killed)

    def in_a_kill(self, since: float, moment: float) -> bool:
        """Return whether a kill explains what failed at this moment on a connection that was good `since`."""
        return any(begun <= moment and since <= begun + seconds + 1 for begun, _name, seconds in self.killed)


class Spent:
    """The processor time of each part of the product, and of this process, since this was made."""

    def __init__(self, server: int) -> None:
        self.server, self.begun = server, time.monotonic()
        self.before = self.parts()

    def parts(self) -> dict[str, float]:
        """Return seconds by part; those of a process that was killed since are missing."""
        parts = defaultdict(float, {"load and measuring": time.process_time()})
        for pid, seconds in processor(family(self.server)).items():
            name = title(pid)
            parts[next((part for part in PARTS if part in name), "others")] += seconds
        return parts

    def __str__(self) -> str:
        seconds = time.monotonic() - self.begun
        spent = {part: 100 * (now - self.before.get(part, 0.0)) / seconds for part, now in self.parts().items()}
        return ", ".join(f"{part} {share:.0f} %" for part, share in spent.items() if share >= 1)


def sign_in(address: str) -> str:
    """Return the cookie of an administrator."""
    users.create("soak", "Soak", Role.ADMINISTRATOR, PASSWORD, BY, clock.now())
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))
    page = opener.open(f"{address}/sign-in").read().decode()
    token = re.search(r'name="?csrf_token"?[^>]*value="([^"]+)"', page)
    assert token is not None
    form = urllib.parse.urlencode({"csrf_token": token[1], "login": "soak", "password": PASSWORD})
    assert opener.open(f"{address}/sign-in", form.encode()).status == 200
    cookie = "; ".join(f"{item.name}={item.value}" for item in jar)
    asked = urllib.request.Request(f"{address}/campaigns/", headers={"Cookie": cookie})
    assert opener.open(asked).url.endswith("/campaigns/"), "not signed in"
    return cookie


def gateway(url: str) -> ChannelRow:
    """Add a channel to the sink, one request per message."""
    values = {setting.name: setting.default for setting in Gateway.settings}
    values |= {
        "method": "POST",
        "url": url,
        "body_format": "json",
        "body": '{"to": "{to}", "text": "{text}", "ref": "{ref}"}',
        "number_format": "e164",
        "plain_http": "1",
        "max_concurrency": "32",
    }
    return builders.channel(kind="gateway", settings=values)


def send(channel: ChannelRow, name: str) -> Campaign:
    campaign, template = draft(channel, name=name)
    confirm(campaign, template)
    return campaign


def await_run(campaign: Campaign, patience: float) -> int:
    """Return the campaign's run once it has ended."""
    deadline = time.monotonic() + patience
    query = sa.select(Run.id).where(Run.campaign_id == campaign.id, Run.finished_at.is_not(None))
    while (run_id := current_session().scalar(query)) is None:
        current_session().commit()
        if time.monotonic() > deadline:
            raise TimeoutError("the campaign has not ended")
        time.sleep(0.5)
    current_session().commit()
    return run_id


def settle(patience: float = 300) -> None:
    """Wait until everything that was acknowledged is read."""
    deadline = time.monotonic() + patience
    while (callback_inbox.unread_count(1) or uploads.waiting(1)) and time.monotonic() < deadline:
        current_session().commit()
        time.sleep(0.5)
    current_session().commit()


def faults(load: Load, campaigns: list[int], counts: dict[str, int]) -> list[str]:
    """Return what was lost, doubled or does not add up."""
    wrong = [
        f"run {check.run_id}: {line}"
        for campaign_id in campaigns
        for check in verify.verify(campaign_id)
        for line in check.broken
    ]
    delivered = sa.select(sa.func.count()).where(Message.run_id == load.run_id, Message.status == Status.DELIVERED)
    if (n := current_session().scalar(delivered)) != load.taken["callback"]:
        wrong.append(f"{load.taken['callback']} receipts were acknowledged, {n} are applied")
    names = sa.select(sa.func.count()).where(Contact.xwho.like(f"member1{'_' * 7}"))
    if (n := current_session().scalar(names)) != load.taken["up"]:
        wrong.append(f"{load.taken['up']} uploads were acknowledged, {n} contacts are there")
    accepted = sa.select(sa.func.count()).where(Message.status.in_(sorted(ACCEPTED_STATES)))
    if (n := current_session().scalar(accepted) or 0) > counts["refs"]:
        wrong.append(f"{n} messages are accepted, {counts['refs']} came")
    if counts["repeated"]:
        wrong.append(f"{counts['repeated']} messages came twice")
    return wrong


def counts(sink: int) -> dict[str, int]:
    """Return what the sink has counted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{sink}/counts") as answer:
        counted: dict[str, int] = json.load(answer)
        return counted


def soak(options: argparse.Namespace, load: Load, channel: ChannelRow, watch: Watch) -> Campaign:
    """Time requests alone, find the capacity, and carry the load; print the rows."""
    where = options.database
    alone = {}
    for kind in dict.fromkeys(MIX):
        asyncio.run(load.closed(options.seconds / 4, 1, kind))
        alone[kind] = statistics.median(ms for _moment, ms in load.took.pop(kind))
    carried = asyncio.run(load.closed(options.seconds, CONNECTIONS))
    load.took.clear()
    print(f"alone: {', '.join(f'{kind} {ms:.1f} ms' for kind, ms in alone.items())}; carried {carried:.0f} requests/s")
    campaign = send(channel, "soak")
    seconds = options.minutes * 60

    async def both() -> None:
        await asyncio.gather(load.open(seconds, carried * SHARE), watch.run(seconds))

    spent = Spent(watch.server)
    asyncio.run(both())
    print(f"processors: {spent}")
    if options.timeline:
        options.timeline.write_text(json.dumps({"took": load.took, "killed": watch.killed}))
    for kind, took in sorted(load.took.items()):
        whole = sorted(ms for moment, ms in took if watch.is_whole(moment, ms))
        middle, p99 = whole[len(whole) // 2], whole[int(len(whole) * 0.99)]
        everything = sorted(ms for _moment, ms in took)[int(len(took) * 0.99)]
        print(f"{kind}: {len(took)} answers, p99 {everything:.1f} ms; {len(whole)} while nothing was missing, median "
              f"{middle:.1f} ms")  # fmt: skip
        table.add(where, f"{kind} at 70 % load, p99 to median alone", f"{p99:.1f} ms", f"alone {alone[kind]:.1f} ms",
                  p99 / alone[kind], most=MOST_RATIO)  # fmt: skip
    for _moment, name, back in watch.killed:
        table.add(where, f"killed {name}"[:38], "", "back after", back, most=MOST_BACK, unit="s")
    errors = [what for since, moment, what in load.failed if not watch.in_a_kill(since, moment)]
    repeated = Counter(what for _since, _moment, what in load.failed) - Counter(errors)
    print(f"repeated while a killed process came back: {dict(repeated)}")
    table.add(where, "errors", str(dict(Counter(errors)) or ""), "", len(errors), most=0)
    quarter = max(1, len(watch.samples) // 4)
    first, last = (statistics.median(part) for part in (watch.samples[:quarter], watch.samples[-quarter:]))
    table.add(where, "memory, last quarter to first", f"{last:.0f} MiB", f"{first:.0f} MiB", last / first,
              most=MOST_GROWTH)  # fmt: skip
    return campaign


def environment(folder: Path, database: str) -> dict[str, str]:
    instance = folder / "instance"
    environ = {
        "INSTANCE_DIR": str(instance),
        "ALLOWED_PRIVATE_HOSTS": "127.0.0.0/8",
        "SEND_WORKERS": str(SENDERS),
        "UP_REQUESTS_PER_MINUTE": "10000000",
        "UP_RECORDS_PER_DAY": "1000000000",
        "UP_NEW_CONTACTS_PER_DAY": "1000000000",
        "CALLBACK_BACKLOG": "10000000",
        "LOG_LEVEL": "WARNING",
    }
    if database == "postgresql":
        environ["DATABASE_URL"] = servers.postgres(folder / "pg", changes=()).format(database="postgres")
    return environ


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seconds", type=float, default=20, help="in which it is found what the machine carries")
    parser.add_argument("--timeline", type=Path, help="file for every answer and kill, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smssoak-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        environ = environment(folder, options.database)
        app = create_app(Config.read({**os.environ, **environ}))
        served, sunk = serving(folder / "instance", environ), sink_process(refs=True)
        with served as (server, address), sunk as sink, app.app_context():
            port = int(address.rpartition(":")[2])
            receipts = min(RECEIPTS, options.people)
            fill(receipts)
            channel = gateway(f"http://127.0.0.1:{sink}/")
            before = send(channel, "before")
            run_id = await_run(before, 3600)
            fill(options.people, after=receipts)
            key = app_keys.create("soak", KeyKind.SERVER, BY, clock.now()).key
            path = f"/callbacks/{channel.callback_token}"
            load = Load(port, sign_in(address), key, path, run_id, receipts)
            watch = Watch(server.pid, address)
            campaign = soak(options, load, channel, watch)
            await_run(campaign, 3600)
            settle()
            wrong = faults(load, [before.id, campaign.id], counts(sink))
            for line in wrong:
                print(f"WRONG: {line}")
            table.add(options.database, "lost, doubled or not adding up", "", "", len(wrong), most=0)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
