"""Kannel from Debian, kept busy by a bare load tool and then by a campaign, receipts on, in the same run.

    python -m bench.kannel [--rows 10000] [--database sqlite|postgresql]

Both ask for receipts, which Kannel brings to the product's own web server. Skipped, loudly, where Kannel is missing.
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
from smsapp.services import channels, clock
from smsapp.services.trail import Actor
from smsapp.store import inbox
from smsapp.store.channels import ChannelRow
from smsapp.store.db import session
from tests.journey.kannel import BEARERBOX, FAKESMSC, PASSWORD, SENDER, SMSBOX, USERNAME, Kannel, free_ports, running

IN_FLIGHT, LEAST = 50, 0.90
QUIET = 2.0
"""Seconds without a receipt after which all of them are in."""


async def _load(gateway: Kannel, rows: int, callback: str) -> float:
    """Return the messages per second Kannel accepts from bare connections."""
    port = int(urlsplit(gateway.url).port or 0)
    text = quote(f"【青禾商城】{TEXT}")
    numbers = iter(range(rows))

    async def connection(numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in numbers:
            receipt = quote(f"{callback}?ref=0-{n}&status=%d&code=%A", safe="")
            query = (
                f"username={USERNAME}&password={PASSWORD}&from={SENDER}&to=%2B86138{n:08d}&text={text}"
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
    await asyncio.gather(*(connection(numbers) for _ in range(IN_FLIGHT)))
    return rows / (time.perf_counter() - begun)


def channel_of(gateway: Kannel) -> ChannelRow:
    """Add the gateway as an administrator would, by its preset."""
    values = {one.name: one.default for one in Gateway.settings} | dict(KANNEL.values)
    values |= {"username": USERNAME, "password": PASSWORD, "sender": SENDER, "in_flight": str(IN_FLIGHT)}
    values = {name: value.replace("http://127.0.0.1:13013", gateway.url) for name, value in values.items()}
    wanted = channels.Wanted("Kannel", values, quiet_from="00:00", quiet_until="00:00")
    return channels.row(channels.create("gateway", wanted, Actor("bench"), clock.now()))


def campaign(rows: int, channel: ChannelRow) -> float:
    """Return the messages per second of a campaign, from its confirmation to its last write-back."""
    made, template = draft(channel)
    begun = time.perf_counter()
    confirm(made, template)
    run = await_end(made.id)
    seconds = time.perf_counter() - begun
    check(run, rows)
    return rows / seconds


def await_quiet() -> None:
    """Wait until Kannel has brought the receipts of what went before: it takes messages no faster while it does."""
    seen, last = -1, 0
    while seen != last:
        time.sleep(QUIET)
        with inbox.engine().connect() as connection:
            seen, last = last, connection.scalar(sa.select(sa.func.max(inbox.INBOX.c.id))) or 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    missing = [one for one in (BEARERBOX, SMSBOX, FAKESMSC) if not Path(one).exists()]
    if missing:
        print(f"KANNEL IS NOT INSTALLED (apt install kannel kannel-extras): {', '.join(missing)} missing")
        table.add(given.database, "Kannel kept busy, receipts on", "not measured", "Kannel is not installed")
        return 0
    (port,) = free_ports(1)
    with (
        stage(given.database, 2, PORT=port, PUBLIC_URL=f"http://127.0.0.1:{port}") as found,
        tempfile.TemporaryDirectory() as name,
        running(Path(name)) as gateway,
    ):
        found.web(port)
        fill(given.rows)
        channel = channel_of(gateway)
        callback = f"http://127.0.0.1:{port}/callbacks/{channel.callback_token}"
        session().commit()
        before = asyncio.run(_load(gateway, given.rows, callback))
        await_quiet()
        ours = campaign(given.rows, channel)
        await_quiet()
        after = asyncio.run(_load(gateway, given.rows, callback))
    alone = (before + after) / 2
    table.add(
        given.database, "Kannel kept busy, receipts on", f"{ours:,.0f}/s", f"load tool {alone:,.0f}/s", ours / alone,
        least=LEAST,
    )  # fmt: skip
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
