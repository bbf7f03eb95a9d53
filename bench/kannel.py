"""Kannel from Debian, kept busy by a campaign, by a bare load tool, and by a campaign again, receipts on, in one run.

    python -m bench.kannel [--rows 20000] [--database sqlite|postgresql]

What differs is only who sends. Both send the same text, to the same numbers, over as many connections (the channel's
slots, of each of the two workers), and ask for the same receipts, which Kannel brings to the product's own web server,
where a worker reads and applies them meanwhile. The load tool's are about the first campaign, whose messages are set
back to where they wait for them: receipts of nobody cost more to keep than others to apply. Each begins when all
receipts of what went before are applied. A campaign's time is from its confirmation to its last write-back, so it has a
freeze in it, and lanes that are only beginning.

Skipped, loudly, where Kannel is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import sqlalchemy as sa

from bench import table
from bench.campaign import check
from bench.stage import TEXT, await_end, confirm, draft, fill, stage
from smsapp.channels.gateway import Gateway
from smsapp.channels.gateway.presets import KANNEL
from smsapp.domain.message import Status
from smsapp.services import channels, clock
from smsapp.services.trail import Actor
from smsapp.store.channels import ChannelRow
from smsapp.store.db import session
from smsapp.store.ledger import name
from smsapp.store.runs import Message, Tally
from tests.journey.kannel import BEARERBOX, FAKESMSC, PASSWORD, SENDER, SMSBOX, USERNAME, Kannel, free_ports, running

IN_FLIGHT, WORKERS, LEAST = 50, 2, 0.90
QUIET, PATIENCE = 1.0, 15.0
"""Seconds between one measurement and the next, and without a receipt after which one is missing."""


async def _load(gateway: Kannel, run_id: int, rows: int, callback: str) -> float:
    """Return the messages per second Kannel accepts from bare connections."""
    port = int(urlsplit(gateway.url).port or 0)
    pattern = f"【青禾商城】{TEXT}"
    numbers = iter(range(1, rows + 1))

    async def connection(numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in numbers:
            receipt = quote(f"{callback}?ref={run_id}-{n}&status=%d&code=%A", safe="")
            query = (
                f"username={USERNAME}&password={PASSWORD}&from={SENDER}&to=%2B86{13800000000 + n}"
                f"&text={quote(pattern.replace('${name}', f'客户{n}'))}"
                f"&coding=2&charset=UTF-8&dlr-mask=19&dlr-url={receipt}"
            )
            writer.write(f"GET /cgi-bin/sendsms?{query} HTTP/1.1\r\nHost: kannel\r\n\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 202 " not in answer.split(b"\r\n", 1)[0]:
                raise RuntimeError(answer.decode())
            length = answer.lower().index(b"content-length:") + 15
            await reader.readexactly(int(answer[length : answer.index(b"\r\n", length)]))
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(connection(numbers) for _ in range(IN_FLIGHT * WORKERS)))
    return rows / (time.perf_counter() - begun)


def load(gateway: Kannel, run_id: int, rows: int, callback: str) -> float:
    """Have the load tool send what brings this run's receipts once more; return Kannel's messages per second."""
    current = session()
    current.commit()
    current.execute(sa.update(Message).where(Message.run_id == run_id).values(status=int(Status.ACCEPTED)))
    current.execute(sa.delete(Tally).where(Tally.run_id == run_id))
    current.execute(sa.insert(Tally).values(run_id=run_id, state=name(Status.ACCEPTED), reason="", n=rows))
    current.commit()
    return asyncio.run(_load(gateway, run_id, rows, callback))


def channel_of(gateway: Kannel) -> ChannelRow:
    """Add the gateway as an administrator would, by its preset."""
    values = {one.name: one.default for one in Gateway.settings} | dict(KANNEL.values)
    values |= {"username": USERNAME, "password": PASSWORD, "sender": SENDER, "in_flight": str(IN_FLIGHT)}
    values = {name: value.replace("http://127.0.0.1:13013", gateway.url) for name, value in values.items()}
    wanted = channels.Wanted("Kannel", values, quiet_from="00:00", quiet_until="00:00")
    return channels.row(channels.create("gateway", wanted, Actor("bench"), clock.now()))


def campaign(rows: int, channel: ChannelRow) -> tuple[float, int]:
    """Return the messages per second of a campaign, from its confirmation to its last write-back, and its run."""
    made, template = draft(channel)
    begun = time.perf_counter()
    confirm(made, template)
    run = await_end(made.id)
    seconds = time.perf_counter() - begun
    check(run, rows)
    return rows / seconds, run.id


def await_receipts(run_id: int, rows: int) -> int:
    """Wait until all receipts are in and applied; return how many never came: Kannel tries each only once."""
    chosen = sa.select(sa.func.sum(Tally.n)).where(Tally.run_id == run_id, Tally.state == name(Status.DELIVERED))
    seen, changed_at = -1, time.monotonic()
    while seen < rows:
        found = session().scalar(chosen) or 0
        session().commit()
        if found != seen:
            seen, changed_at = found, time.monotonic()
        if time.monotonic() - changed_at > PATIENCE:
            break
        time.sleep(0.1)
    time.sleep(QUIET)
    return rows - seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    missing = [one for one in (BEARERBOX, SMSBOX, FAKESMSC) if not Path(one).exists()]
    if missing:
        print(f"KANNEL IS NOT INSTALLED (apt install kannel kannel-extras): {', '.join(missing)} missing")
        table.add(given.database, "Kannel kept busy, receipts on", "not measured", "Kannel is not installed")
        return 0
    (port,) = free_ports(1)
    with (
        stage(given.database, WORKERS, PORT=port, PUBLIC_URL=f"http://127.0.0.1:{port}") as found,
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as gateway,
    ):
        found.web(port)
        fill(given.rows)
        channel = channel_of(gateway)
        callback = f"http://127.0.0.1:{port}/callbacks/{channel.callback_token}"
        session().commit()
        before, first = campaign(given.rows, channel)
        lost = await_receipts(first, given.rows)
        alone = load(gateway, first, given.rows, callback)
        lost += await_receipts(first, given.rows)
        after, _run = campaign(given.rows, channel)
    ours = (before + after) / 2
    print(f"campaign before {before:,.0f}/s, after {after:,.0f}/s")
    table.add(
        given.database, "Kannel kept busy, receipts on", f"{ours:,.0f}/s", f"load tool {alone:,.0f}/s", ours / alone,
        least=LEAST,
    )  # fmt: skip
    table.add(given.database, f"receipts lost of {2 * given.rows:,}", f"{lost}", "", lost, most=0)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
