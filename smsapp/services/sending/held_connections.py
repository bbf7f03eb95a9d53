"""Connections that are held: one process per channel keeps them up, sends over them and takes what comes in.

Who holds a channel is a lease in the database, so that two processes on two machines never hold the same one: the
second waits, and takes over when the first is gone. Each look renews the lease and follows what people changed: a
channel added, edited or switched off is noticed within seconds. Sending is a sender like any other, for these channels
only.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy.exc import DBAPIError

from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback
from smsapp.domain.errors import Refusal
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.run import HoldReason
from smsapp.services.channels import channels
from smsapp.services.platform import shutdown
from smsapp.services.receipts import callback_inbox
from smsapp.services.sending import lifecycle
from smsapp.services.sending.sender import Clock, Sender
from smsapp.store.channels import held_connections
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.channels.held_connections import Connection
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.settings import settings

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK = 1.0
"""Seconds between looks."""
LEASE = dt.timedelta(seconds=20)
"""How long a process that is silent keeps its channels from others."""
DOUBTFUL = 12.0
"""Seconds after the last renewal at which connections are closed: well before somebody else may open them."""


@dataclass
class HeldConnection:
    """A connection in our hands; `task` keeps it up."""

    adapter: Channel
    task: asyncio.Task[None]
    renewed: float


class Holder:
    """See the module. `work` returns when a stop is wanted."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app = app
        self.clock = clock
        self.name = secrets.token_hex(8)
        self.held: dict[int, HeldConnection] = {}
        self.desk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="connections")
        self.leaving: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Hold what is to be held and send over it until a stop is wanted; leave everything in order."""
        sender: asyncio.Task[bool] | None = None
        async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
            try:
                while not shutdown.requested():
                    await self.look(http)
                    if sender is not None and sender.done():
                        _tell(sender)
                        sender = None
                    if sender is None and self.held and await self._at_desk(self._is_something_left):
                        sender = asyncio.create_task(self.send())
                    await asyncio.sleep(LOOK)
            finally:
                if sender is not None:
                    await asyncio.wait([sender])
                    _tell(sender)
                await self.leave()
                self.desk.shutdown()

    async def send(self) -> bool:
        """Work one sender over the connections in our hands; True if something is left."""
        return await Sender(self.app, self.clock, self._ids).work(settings().SENDER_SECONDS)

    async def look(self, http: HttpClient) -> None:
        """Renew the leases; open, reopen and close connections as the channels are now."""
        now = asyncio.get_running_loop().time()
        try:
            wanted = await self._at_desk(self._take)
        except DBAPIError:
            log.exception("connections.look")
            wanted = {key: one.adapter for key, one in self.held.items() if now - one.renewed < DOUBTFUL}
        else:
            for key in wanted.keys() & self.held.keys():
                self.held[key].renewed = now
        for key, one in list(self.held.items()):
            if wanted.get(key) is not one.adapter or one.task.done():
                self._close(key)
        for key, adapter in wanted.items():
            if key not in self.held:
                log.info("connection.opening channel=%s", key)
                task = asyncio.create_task(adapter.hold(http, partial(self._keep, key)))
                self.held[key] = HeldConnection(adapter, task, now)

    async def leave(self) -> None:
        """Close all connections and let others take them."""
        for key in list(self.held):
            self._close(key)
        if self.leaving:
            await asyncio.wait(self.leaving)
        try:
            await self._at_desk(self._give_up)
        except DBAPIError:
            log.exception("connections.leave")

    def _close(self, channel_id: int) -> None:
        log.info("connection.closing channel=%s", channel_id)
        task = self.held.pop(channel_id).task
        task.cancel()
        self.leaving.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self.leaving.discard(task)
        _tell(task)

    def _ids(self) -> set[int]:
        return set(self.held)

    async def _keep(self, channel_id: int, said: Sequence[Callback]) -> None:
        """Store what a provider said; once this returns it may be acknowledged."""
        await self._at_desk(partial(callback_inbox.store, channel_id, said, self.clock()))

    # -- at the desk: database steps ------------------------------------------------------------------------------

    async def _at_desk(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.desk, self._in_context, step)

    def _in_context(self, step: Callable[[], T]) -> T:
        with self.app.app_context():
            return step()

    def _is_something_left(self) -> bool:
        return lifecycle.is_something_left(self._ids(), self.clock())

    def _take(self) -> dict[int, Channel]:
        """Take or keep what is to be held, as far as nobody else has it; return the adapters."""
        rows = [row for row in channels.choices() if channels.needs_holder(row)]
        off = channels.held_elsewhere() - {row.id for row in rows}
        if not rows and not self.held and not off:
            return {}
        adapters = {row.id: adapter for row in rows if (adapter := self._adapter(row)) is not None}
        now = self.clock()
        with writing() as session:
            mine = {
                row.id
                for row in rows
                if row.id in adapters
                and held_connections.take(
                    session, row.id, self.name, now, now + LEASE, row.updated_at, **self._stands(row.id, adapters)
                )
            }
            held_connections.give_up(session, self.name, mine)
            for run in runs.unfinished(session):
                if run.channel_id in off:
                    runs.hold(session, run.id, HoldReason.CHANNEL_INACTIVE, None, now)
        return {key: adapters[key] for key in mine}

    def _adapter(self, row: ChannelRow) -> Channel | None:
        try:
            return channels.adapter_of(row)
        except Refusal:
            return None

    def _stands(self, channel_id: int, adapters: dict[int, Channel]) -> dict[str, Any]:
        """Return what is known about a connection, for the pages."""
        held = self.held.get(channel_id)
        if held is None or held.adapter is not adapters[channel_id]:
            return {"up": False, "outcome": "", "code": ""}
        up, trouble = held.adapter.is_connected, held.adapter.connection_error
        if up or trouble is None:
            return {"up": up, "outcome": "", "code": ""}
        return {"up": False, "outcome": trouble.outcome or "", "code": trouble.code}

    def _give_up(self) -> None:
        with writing() as session:
            held_connections.give_up(session, self.name)


def _tell(task: asyncio.Task[Any]) -> None:
    """Log what a task ended with, if it ended with an error."""
    if not task.cancelled() and task.exception() is not None:
        log.error("connections.fault", exc_info=task.exception())


def hold(app: Flask, clock: Clock) -> None:
    """Hold connections until a stop is wanted."""
    with app.app_context():
        asyncio.run(_hold(app, clock))


async def _hold(app: Flask, clock: Clock) -> None:
    await Holder(app, clock).work()


def standing(row: ChannelRow, now: dt.datetime) -> Connection | None:
    """Return how the connection of this channel stands with its present settings; None if nobody holds it."""
    found = held_connections.standing(current_session(), row.id, now)
    return found if found is not None and found.made_for == row.updated_at else None


def check(held: Connection) -> CallResult:
    """Return the word for how a connection stands."""
    if held.up:
        return CallResult.OK
    account = held.outcome in {Outcome.CREDENTIALS, Outcome.OUR_FAULT}
    return CallResult.ACCOUNT_ERROR if account else CallResult.NOT_SENT


def unheld(now: dt.datetime) -> list[ChannelRow]:
    """Return the active channels whose connection ought to be held by a process and is not."""
    rows = [row for row in channels.choices() if channels.needs_holder(row)]
    return [row for row in rows if held_connections.standing(current_session(), row.id, now) is None]
