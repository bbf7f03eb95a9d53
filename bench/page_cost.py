"""What pages cost: processor time of the web server for each, beside its sign-in page in the same run.

    python -m bench.page_cost [--rows 100000] [--rounds 15] [--database sqlite]

One process of the server that `flask serve` starts, asked over one connection as a browser asks (gzip, signed in).
The processor time is what the kernel counts for all its threads. Pages take turns, so that a busy machine burdens all.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import gzip
import http.client
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bench import campaign_list, stage, table
from config import Config
from smsapp.cli import supervision
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.message import Status
from smsapp.factory import create_app
from smsapp.services.campaigns import rehearsals
from smsapp.services.platform import clock
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import db
from smsapp.store.tags import CampaignTag, Tag
from tests import builders, ledgers, servers
from tests.journey.kannel import free_ports, listens, wait_for
from tests.journey.processes import Processes, family, processes

FEW = 100
FEW_ON_A_PAGE = 33
PER_TURN = 10
OWN_PEOPLE = 10_000
"""More than the sending has; others come after them."""
SIGN_IN = "/sign-in"
KEYWORD = "/campaigns/?q=%E4%BC%9A%E5%91%98"
FREQUENT, RARE = "/campaigns/?tag=frequent", "/campaigns/?tag=rare"
EVERY = {"frequent": 3, "rare": 1000}
"""Tag -> every how many-th campaign has it."""
LIST, FORM, EFFECT = "/campaigns/", "/campaigns/{draft}/edit", "/campaigns/{report}/effect"
GROWING = (
    (LIST, "list"),
    (KEYWORD, "keyword search"),
    (FREQUENT, "list with a tag of every third"),
    (RARE, "list with a tag of a hundred"),
)
"""Pages that are compared at few and at many campaigns."""
MOST = {LIST: 4.0, FORM: 4.0, EFFECT: 7.0}
"""Times the cost of the sign-in page."""
MOST_GROWTH = 1.5
"""Cost with many campaigns beside that with few."""
MOST_BYTES = 40_000
"""On the wire at a second visit of the list, its head included."""
STATIC = re.compile(r'(?:href|src)="(/static/[^"#]+)')


@dataclass
class Served:
    """One running web server over a filled database."""

    pid: int
    port: int
    cookie: str
    places: dict[str, int]
    """Ids that stand in the addresses above."""

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, connection: http.client.HTTPConnection, address: str) -> tuple[http.client.HTTPResponse, bytes]:
        """Ask as a signed-in browser does, except for the sign-in page, which nobody signed in sees."""
        headers = {"Accept-Encoding": "gzip", "Accept-Language": "zh-CN"}
        if address != SIGN_IN:
            headers["Cookie"] = self.cookie
        connection.request("GET", address.format(**self.places), headers=headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, (address, response.status)
        return response, body

    def processor_ms(self) -> float:
        """Return the milliseconds on a processor of the server's process and its threads so far."""
        total = 0
        for pid in family(self.pid):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    total += int((task / "schedstat").read_text().split()[0])
        return total / 1e6

    def turn(self, address: str) -> float:
        """Return the milliseconds that one request for this page costs the server, over a few of them."""
        connection = self.connect()
        begin = self.processor_ms()
        for _ in range(PER_TURN):
            self.get(connection, address)
        cost = (self.processor_ms() - begin) / PER_TURN
        connection.close()
        return cost


def fill(app: Flask, rows: int, people: int) -> dict[str, int]:
    """Add so many campaigns and people, a complete draft for everybody, rehearsed, and a sending to 50 recipients."""
    with app.app_context():
        flask_migrate.upgrade()
        campaign_list.fill(rows, messages=False)
        if db.engine.dialect.name == "postgresql":
            for name in ("campaign", "run", "segment", "channel", "user"):
                db.session.execute(
                    sa.text(f"SELECT setval(pg_get_serial_sequence('\"{name}\"', 'id'), max(id)) FROM \"{name}\"")
                )
            db.session.commit()
        chosen = {"segment_id": builders.segment(name="所有用户").id, "channel_id": 1}
        template = builders.template(1, text="尊敬的${name}，您的积分将于本月底到期，请及时使用。")
        mapping = {"name": {"property": "name", "fallback": "会员"}}
        draft = builders.campaign(name="会员日提醒", template_id=template.id, mapping=mapping, **chosen)
        report = ledgers.campaign(template_id=template.id, **chosen)
        _put_in_order(rows)
        # As with the others: what is new stands on the first page of the list.
        db.session.execute(sa.update(Campaign).where(Campaign.id > rows).values(created_at=dt.datetime.now(dt.UTC)))
        ledgers.run(report, [*ledgers.EVERY_STATE, (Status.DELIVERED, "", "DELIVRD", 15)])
        db.session.commit()
        places = {"report": report.id, "draft": draft.id}
        if people:
            stage.fill(people + OWN_PEOPLE, after=OWN_PEOPLE)
            rehearsals.rehearse_now(draft.id, stage.BY, clock.now)
        return places


def _put_in_order(rows: int) -> None:
    """Tag campaigns, at least a page of them with each tag, and archive every tenth."""
    for tag_id, (name, every) in enumerate(EVERY.items(), 1):
        db.session.execute(sa.insert(Tag), {"id": tag_id, "name": name, "key": name})
        ids = range(1, rows + 1, min(every, rows // FEW_ON_A_PAGE))
        db.session.execute(sa.insert(CampaignTag), [{"tag_id": tag_id, "campaign_id": id_} for id_ in ids])
    tenth = sa.update(Campaign).where(Campaign.id % 10 == 0, Campaign.status == CampaignStatus.SENT)
    db.session.execute(tenth.values(archived_at=dt.datetime.now(dt.UTC)))
    db.session.commit()


def cookie(app: Flask) -> str:
    """Return the cookie of somebody who has just signed in."""
    signed = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    begun = time.time()
    return f"smsapp={signed.dumps({'_user_id': f'1.mark.bench.{begun:.0f}', '_fresh': True})}"


@contextlib.contextmanager
def served(database: str, rows: int, folder: Path, people: int = 0) -> Iterator[Served]:
    """Serve a database with so many campaigns and people while the block lasts."""
    folder.mkdir(mode=0o755)
    environ = {"INSTANCE_DIR": f"{folder}/instance", "SECRET_KEY": "bench", "LOG_LEVEL": "ERROR", "WEB_WORKERS": "1"}
    environ["REDIS_URL"] = f"unix://{folder / 'valkey' / 'valkey.sock'}"
    (folder / "valkey").mkdir()
    if database == "postgresql":
        environ["DATABASE_URL"] = servers.postgres(folder / "pg").format(database="postgres")
    config = dataclasses.replace(Config.read(environ), PORT=free_ports(1)[0])
    with processes(config, folder) as started:
        started.valkey(folder / "valkey" / "valkey.sock")
        app = create_app(config)
        places = fill(app, rows, people)
        yield Served(_serve(started), config.PORT, cookie(app), places)
        with app.app_context():
            db.engine.dispose()


def _serve(started: Processes) -> int:
    process = started.start("web", *supervision.web())
    wait_for(lambda: listens(started.config.PORT), "the web server", 60)
    return process.pid


def wire(server: Served) -> int:
    """Return the bytes that a second visit of the list costs: the page with its head, and what may not be cached."""
    connection = server.connect()
    response, body = server.get(connection, LIST)
    total = len(str(response.headers).encode()) + len(body)
    for address in set(STATIC.findall(gzip.decompress(body).decode())):
        file, content = server.get(connection, address)
        if "immutable" not in file.headers.get("Cache-Control", ""):
            total += len(content)
    connection.close()
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smsapp-bench-") as name, contextlib.ExitStack() as stack:
        Path(name).chmod(0o755)
        few = stack.enter_context(served(options.database, FEW, Path(name) / "few"))
        many = stack.enter_context(served(options.database, options.rows, Path(name) / "many"))
        asked = [
            *((few, address) for address in (SIGN_IN, FORM, EFFECT, *(address for address, _text in GROWING))),
            *((many, address) for address, _text in GROWING),
        ]
        costs: dict[tuple[int, str], list[float]] = {(server.port, address): [] for server, address in asked}
        for server, address in asked:
            server.turn(address)
        for _ in range(options.rounds):
            for server, address in asked:
                costs[server.port, address].append(server.turn(address))
        cost = {key: statistics.median(values) for key, values in costs.items()}
        sign_in = cost[few.port, SIGN_IN]
        for address, text in ((LIST, "list of campaigns"), (FORM, "form"), (EFFECT, "effect of 50 recipients")):
            ours = cost[few.port, address]
            beside = f"sign-in page {sign_in:.2f} ms"
            table.add(
                options.database, text, f"{ours:.2f} ms", beside, ours / sign_in, most=MOST[address], unit="times"
            )
        for address, text in GROWING:
            ours, less = cost[many.port, address], cost[few.port, address]
            what, beside = f"{text} of {options.rows:,} campaigns", f"of {FEW} {less:.2f} ms"
            table.add(options.database, what, f"{ours:.2f} ms", beside, ours / less, most=MOST_GROWTH, unit="times")
        size = wire(many)
        table.add(
            options.database,
            "list at a second visit",
            f"{size:,} bytes",
            "",
            size / 1000,
            most=MOST_BYTES / 1000,
            unit="kB",
        )
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
