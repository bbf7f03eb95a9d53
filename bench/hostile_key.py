"""A hostile browser key: it floods, redirects, phishes and erases, as much as its quotas let it; then it is undone.

    python -m bench.hostile_key [--database sqlite|postgresql] [--records 1000000] [--people 200000]

The records go over HTTP as fast as they are taken: an hour of them, compressed. Meanwhile pages are read; afterwards
one click (the order that the page's button gives) undoes everything, carried out by the workers. Compared are the
contacts themselves, all of them, before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable

import orjson
import sqlalchemy as sa

from bench import table
from bench.stage import Stage, stage
from bench.up import Client, request
from smsapp.domain import trust
from smsapp.domain.key_undo import UndoState
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, key_undo, key_watch
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps import uploads
from smsapp.store.apps.key_undos import KeyUndo
from smsapp.store.contacts import contacts
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.proposals import Proposal
from smsapp.store.db import as_json, current_session, db, writing
from tests import builders, pages

BY = Actor("bench")
PER_REQUEST, CONNECTIONS = 1000, 4
NEW_SHARE = 50
"""One new contact of so many records is what the quota of a day takes."""
MOST_SLOWER = 5.0
PATIENCE = 3600.0
PAGES = ("/campaigns/", "/contacts/", "/keys/{key_id}/watch", "/segments/")


def record(key: str, n: int, people: int) -> dict[str, object]:
    """The n-th of five kinds of attacks in turn."""
    victim = f"user{n % people + 1}"
    context: dict[str, object] = {"$is_login": True}
    what = "$profile_set"
    match n % 5:
        case 0:
            context["$phone"] = f"+4474{n % 10**8:08d}"
        case 1:
            context["name"] = "账户异常，请立即登录 http://bad.example/x 验证"
        case 2:
            what = "$profile_delete"
        case 3:
            victim = f"bad{n}"
            context |= {"$phone": f"+4474{n % 10**8:08d}", "name": "客服"}
        case 4:
            context["nickname"] = f"假{n}"
    return {"appid": key, "xwho": victim, "xwhat": what, "xwhen": 1795356372998, "xcontext": context}


def members(people: int, source: str) -> None:
    """Add the organisation's contacts, as its server has reported them."""
    for start in range(0, people, PER_REQUEST):
        rows = []
        for n in range(start + 1, min(start + PER_REQUEST, people) + 1):
            phone = f"+86{13_800_000_000 + n}"
            rows.append((f"user{n}", as_json({"name": f"客户{n}", "$phone": phone}), as_json({"$phone": phone})))
        with writing() as session:
            contacts.merge(session, rows, source, builders.LONG_AGO)


def contents() -> tuple[int, str]:
    """Return how many contacts there are, and a digest of all that they hold."""
    current_session().rollback()
    columns = (Contact.xwho, Contact.properties, Contact.phones, Contact.sources)
    digest, n = hashlib.sha256(), 0
    query = sa.select(*columns).order_by(Contact.xwho).execution_options(yield_per=5000)
    for row in current_session().execute(query):
        digest.update(orjson.dumps(list(row), option=orjson.OPT_SORT_KEYS))
        n += 1
    current_session().rollback()
    return n, digest.hexdigest()


async def attack(port: int, key: str, records: int, people: int) -> dict[int, int]:
    """Send all records, then more than a day's; return how many answers of which status there were.

    Once the new contacts of a day are used up every request is refused, too.
    """
    statuses: dict[int, int] = {}
    starts = iter(range(0, records, PER_REQUEST))

    async def work() -> None:
        client = Client(port)
        await client.open()
        for start in starts:
            some = [record(key, n, people) for n in range(start, min(start + PER_REQUEST, records))]
            status = await client.ask(request("/up", json.dumps(some).encode()))
            statuses[status] = statuses.get(status, 0) + 1

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    client = Client(port)
    await client.open()
    await asyncio.sleep(1.0)
    beyond = await client.ask(request("/up", json.dumps([record(key, 3, people)] * PER_REQUEST).encode()))
    statuses[beyond] = statuses.get(beyond, 0) + 1
    return statuses


def session_cookie(product: Stage) -> str:
    """Return the session cookie of an administrator."""
    reader = pages.Pages(product.app).as_("administrator")
    cookie = reader.raw.get_cookie(product.app.config["SESSION_COOKIE_NAME"])
    if cookie is None:
        raise RuntimeError("nobody is signed in")
    return f"{cookie.key}={cookie.value}"


async def read_pages(port: int, cookie: str, key_id: int, goes_on: Callable[[], bool], n: int) -> list[float]:
    """Read pages ten times a second, at least `n`, while something goes on; return the milliseconds of each, sorted."""
    took: list[float] = []
    client = Client(port)
    await client.open()
    while len(took) < n or goes_on():
        path = PAGES[len(took) % len(PAGES)].format(key_id=key_id)
        asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode()
        begun = time.perf_counter()
        status = await client.ask(asked)
        took.append((time.perf_counter() - begun) * 1000)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}")
        await asyncio.sleep(max(0.0, 0.1 - took[-1] / 1000))
    return sorted(took)


def attacked(port: int, key: str, given: argparse.Namespace) -> None:
    """Attack, in a process of its own."""
    statuses = asyncio.run(attack(port, key, given.records, given.people))
    print(f"answers by status: {statuses}", flush=True)
    taken = statuses.get(200, 0) * PER_REQUEST
    if not statuses.keys() <= {200, 429} or not statuses.get(429) or taken > given.records:
        sys.exit(1)


def settled(undo_id: int, state: UndoState) -> float:
    """Wait until the workers have brought an undo to this state; return the seconds it took."""
    watch = table.Stopwatch()
    while current_session().get_one(KeyUndo, undo_id, populate_existing=True).state != state:
        current_session().rollback()
        if watch.seconds() > PATIENCE:
            raise TimeoutError("the undo does not end")
        time.sleep(0.2)
    return watch.seconds()


def report_pages(database: str, alone: list[float], beside: list[float], what: str) -> None:
    """Print how slow pages are meanwhile, beside how they are alone."""
    median, p99 = statistics.median(alone), beside[int(len(beside) * 0.99)]
    print(f"{len(beside)} pages, median {statistics.median(beside):.0f} ms, worst {beside[-1]:.0f} ms")
    table.add(
        database, f"pages while {what}, p99", f"{p99:.0f} ms", f"median alone {median:.0f} ms", p99 / median,
        most=MOST_SLOWER,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=200_000)
    given = parser.parse_args()
    limits = {
        "UP_RECORDS_PER_DAY": given.records,
        "UP_NEW_CONTACTS_PER_DAY": given.records // NEW_SHARE,
        "UP_REQUESTS_PER_MINUTE": 10_000_000,
        "UP_MB_PER_DAY": 10_000_000,
    }
    with stage(given.database, 1, **limits) as product:
        server = app_keys.create("Server", KeyKind.SERVER, BY, clock.now())
        source = trust.of_key(KeyKind.SERVER, server.id, builders.LONG_AGO).as_text()
        members(given.people, source)
        key = app_keys.create("Site", KeyKind.BROWSER, BY, clock.now())
        builders.known_property("name")
        before = contents()
        port, cookie = product.web(), session_cookie(product)
        alone = asyncio.run(read_pages(port, cookie, key.id, lambda: False, 60))
        db.session.remove()
        at_work = multiprocessing.get_context("fork").Process(target=attacked, args=(port, key.key, given))
        watch = table.Stopwatch()
        at_work.start()
        beside = asyncio.run(
            read_pages(port, cookie, key.id, lambda: at_work.is_alive() or bool(uploads.waiting(1)), 60)
        )
        at_work.join()
        if at_work.exitcode:
            raise RuntimeError("the quotas did not answer as they should")
        print(f"{given.records:,} hostile records answered and applied in {watch.seconds():.0f} s")
        report_pages(given.database, alone, beside, "it attacks")
        created = contents()[0] - before[0]
        query = sa.select(sa.func.count()).where(Contact.sources["$phone"].as_string() == source)
        safe = current_session().scalar(query) or 0
        table.add(given.database, "numbers of the server as they were", f"{safe:,}", f"of {given.people:,}",
                  safe / given.people, least=1)  # fmt: skip
        table.add(given.database, "new contacts", f"{created:,}", f"quota {given.records // NEW_SHARE:,}",
                  created / (given.records // NEW_SHARE), most=1)  # fmt: skip
        print("proposals:", current_session().scalar(sa.select(sa.func.count()).select_from(Proposal)))
        key_watch.look(clock.now())
        print("alarms:", sorted(alarm.kind for alarm in key_watch.alarms(key.id)))
        undo = key_undo.count(key.id, key_watch.hours(key.id, clock.now())[-1].at, BY, clock.now())
        counting = settled(undo.id, UndoState.READY)
        key_undo.carry_out(undo.id, key.id, BY, clock.now(), disable=True)
        undoing = settled(undo.id, UndoState.DONE)
        print(f"counted in {counting:.1f} s, undone in {undoing:.1f} s: {undo.counts}")
        after = contents()
        table.add(given.database, "contacts after the undo", f"{after[0]:,}", f"before the attack {before[0]:,}",
                  float(after == before), least=1)  # fmt: skip
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
