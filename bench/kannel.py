"""Kannel from Debian under a campaign, a bare load tool, and a campaign again, with receipts, in one run.

    python -m bench.kannel [--rows 20000] [--database sqlite|postgresql]

Only the senders differ. Both send the same text, to the same numbers, over as many connections (the channel's slots, of
each of the two workers), and request the same receipts, which Kannel sends to the product's own web server, where a
worker reads and applies them meanwhile. The load tool's receipts are about the first campaign, whose messages are reset
to accepted: storing unmatched receipts costs more than applying others. Each part begins when all receipts of the
previous one are applied. A campaign's time is from its confirmation to its last write-back, so it includes the freeze
and the start of the senders. The load tool sends in a burst, before most receipts are back; so the second comparison is
until the last receipt is applied: the rate that both can sustain.

Skipped, with a message, where Kannel is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import sqlalchemy as sa

from bench import table
from bench.campaign import check
from bench.stage import TEXT, await_end, confirm, draft, fill, stage
from smsapp.channels.gateway import Gateway
from smsapp.channels.gateway.presets import KANNEL
from smsapp.domain.message import Status
from smsapp.services.channels import accounts, validation
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Message
from smsapp.store.runs.tallies import Tally, tally_key
from tests.journey.kannel import BEARERBOX, FAKESMSC, PASSWORD, SENDER, SMSBOX, USERNAME, Kannel, free_ports, running

IN_FLIGHT, WORKERS, LEAST = 50, 2, 0.90
LOOK = 0.05
"""Seconds between polls: polling takes its share of the two cores."""
QUIET, PATIENCE = 1.0, 15.0
"""Seconds between two measurements; seconds without a receipt after which the rest counts as lost."""


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


@dataclass(frozen=True)
class Pace:
    """Messages per second: until Kannel has accepted the last one, and until the last receipt is applied."""

    accepted: float
    back: float
    lost: int
    """Receipts that never came."""


def load(gateway: Kannel, run_id: int, rows: int, callback: str) -> Pace:
    """Send with the load tool the messages whose receipts are those of this run."""
    session = current_session()
    session.commit()
    session.execute(sa.update(Message).where(Message.run_id == run_id).values(status=int(Status.ACCEPTED)))
    session.execute(sa.delete(Tally).where(Tally.run_id == run_id))
    session.execute(sa.insert(Tally).values(run_id=run_id, state=tally_key(Status.ACCEPTED), reason="", n=rows))
    session.commit()
    begun = time.monotonic()
    accepted = asyncio.run(_load(gateway, run_id, rows, callback))
    return _pace(run_id, rows, begun, accepted)


def channel_of(gateway: Kannel) -> ChannelRow:
    """Add the gateway as an administrator would, by its preset."""
    values = {setting.name: setting.default for setting in Gateway.settings} | dict(KANNEL.values)
    values |= {"username": USERNAME, "password": PASSWORD, "sender": SENDER, "max_concurrency": str(IN_FLIGHT)}
    values = {name: value.replace("http://127.0.0.1:13013", gateway.url) for name, value in values.items()}
    fields = validation.ChannelFields("Kannel", values, quiet_from="00:00", quiet_until="00:00")
    return accounts.row(accounts.create("gateway", fields, Actor("bench"), clock.now()))


def campaign(rows: int, channel: ChannelRow) -> tuple[int, Pace]:
    """Send a campaign; return its run and its pace, from its confirmation to its last write-back and receipt."""
    draft_, template = draft(channel)
    begun = time.monotonic()
    confirm(draft_, template)
    run = await_end(draft_.id, LOOK)
    accepted = rows / (time.monotonic() - begun)
    check(run, rows)
    return run.id, _pace(run.id, rows, begun, accepted)


def _pace(run_id: int, rows: int, begun: float, accepted: float) -> Pace:
    """Wait until all receipts are applied, or until none has come for PATIENCE: Kannel sends each only once."""
    query = sa.select(sa.func.sum(Tally.n)).where(Tally.run_id == run_id, Tally.state == tally_key(Status.DELIVERED))
    delivered, changed_at = -1, time.monotonic()
    while delivered < rows and time.monotonic() - changed_at < PATIENCE:
        time.sleep(LOOK)
        n = current_session().scalar(query) or 0
        current_session().commit()
        if n != delivered:
            delivered, changed_at = n, time.monotonic()
    time.sleep(QUIET)
    return Pace(accepted, rows / (changed_at - begun), rows - delivered)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    missing = [program for program in (BEARERBOX, SMSBOX, FAKESMSC) if not Path(program).exists()]
    if missing:
        print(f"KANNEL IS NOT INSTALLED (apt install kannel kannel-extras): {', '.join(missing)} missing")
        table.add(options.database, "Kannel kept busy, receipts on", "not measured", "Kannel is not installed")
        return 0
    (port,) = free_ports(1)
    with (
        stage(options.database, WORKERS, PORT=port, PUBLIC_URL=f"http://127.0.0.1:{port}") as product,
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as gateway,
    ):
        product.web(port)
        fill(options.rows)
        channel = channel_of(gateway)
        callback = f"http://127.0.0.1:{port}/callbacks/{channel.callback_token}"
        current_session().commit()
        run_id, before = campaign(options.rows, channel)
        alone = load(gateway, run_id, options.rows, callback)
        _second, after = campaign(options.rows, channel)
    for what, campaign_rate, tool_rate in (
        ("Kannel kept busy, receipts on", (before.accepted + after.accepted) / 2, alone.accepted),
        ("the same until the last receipt is back", (before.back + after.back) / 2, alone.back),
    ):
        table.add(
            options.database,
            what,
            f"{campaign_rate:,.0f}/s",
            f"load tool {tool_rate:,.0f}/s",
            campaign_rate / tool_rate,
            least=LEAST,
        )
    lost = before.lost + alone.lost + after.lost
    table.add(options.database, f"receipts lost of {3 * options.rows:,}", f"{lost}", "", lost, most=0)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
