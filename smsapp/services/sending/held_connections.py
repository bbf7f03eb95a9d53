"""Held connections: one process per channel keeps its connection, sends over it and stores what comes in.

A lease in the database says which process holds a channel, so two processes on two machines never hold the same one:
the second waits, and takes over when the lease has expired. Each poll renews the lease and applies changes of channels,
so an added, edited or deactivated channel is noticed within seconds. Messages are sent by an ordinary sender, for these
channels only.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask
from sqlalchemy.exc import DBAPIError

from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback
from smsapp.domain.errors import Refusal
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.run import HoldReason
from smsapp.services.channels import accounts, registry
from smsapp.services.platform import shutdown
from smsapp.services.platform.app_thread import AppThread
from smsapp.services.platform.clock import Clock
from smsapp.services.receipts import callback_inbox
from smsapp.services.sending import unfinished
from smsapp.services.sending.held_proofs import HeldProofs
from smsapp.services.sending.sender import Sender
from smsapp.store.channels import held_connections
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.channels.held_connections import Connection
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Seconds between polls."""
LEASE = dt.timedelta(seconds=20)
"""How long a lease lasts after its last renewal."""
LEASE_DOUBTFUL_SECONDS = 12.0
"""Seconds after the last renewal at which connections are closed: well before another process may open them."""


@dataclass
class HeldConnection:
    """A connection that this process holds; `task` keeps it up."""

    adapter: Channel
    task: asyncio.Task[None]
    renewed: float


class Holder:
    """See the module. `work` returns once a shutdown is requested."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app = app
        self.clock = clock
        self.name = secrets.token_hex(8)
        self.held: dict[int, HeldConnection] = {}
        self.database = AppThread(app, "connections-database")
        self.leaving: set[asyncio.Task[None]] = set()
        self.proofs = HeldProofs(app, clock)

    async def work(self) -> None:
        """Hold the connections and send over them until a shutdown is requested; then close them and the leases."""
        sender: asyncio.Task[bool] | None = None
        async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
            try:
                while not shutdown.requested():
                    await self.look(http)
                    if sender is not None and sender.done():
                        _log_error(sender)
                        sender = None
                    if sender is None and self.held and await self.database.run(self._is_anything_left):
                        sender = asyncio.create_task(self.send())
                    self.proofs.look({key: each.adapter for key, each in self.held.items()}, http)
                    await asyncio.sleep(POLL_SECONDS)
            finally:
                if sender is not None:
                    await asyncio.wait([sender])
                    _log_error(sender)
                await self.proofs.leave()
                await self.leave()
                self.database.close()

    async def send(self) -> bool:
        """Run one sender over the held connections; True if something is left."""
        return await Sender(self.app, self.clock, self._ids).run(settings().SENDER_SECONDS)

    async def look(self, http: HttpClient) -> None:
        """Renew the leases; open, reopen and close connections as the channels require now."""
        now = asyncio.get_running_loop().time()
        try:
            adapters = await self.database.run(self._take)
        except DBAPIError:
            log.exception("connections.look")
            adapters = {
                key: connection.adapter
                for key, connection in self.held.items()
                if now - connection.renewed < LEASE_DOUBTFUL_SECONDS
            }
        else:
            for key in adapters.keys() & self.held.keys():
                self.held[key].renewed = now
        for key, connection in list(self.held.items()):
            if adapters.get(key) is not connection.adapter or connection.task.done():
                self._close(key)
        for key, adapter in adapters.items():
            if key not in self.held:
                log.info("connection.opening channel=%s", key)
                task = asyncio.create_task(adapter.hold(http, partial(self._keep, key)))
                self.held[key] = HeldConnection(adapter, task, now)

    async def leave(self) -> None:
        """Close all connections and release their leases."""
        for key in list(self.held):
            self._close(key)
        if self.leaving:
            await asyncio.wait(self.leaving)
        try:
            await self.database.run(self._give_up)
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
        _log_error(task)

    def _ids(self) -> set[int]:
        return set(self.held)

    async def _keep(self, channel_id: int, callbacks: Sequence[Callback]) -> None:
        """Store a provider's callbacks; once this returns they may be acknowledged."""
        await self.database.run(callback_inbox.store, channel_id, callbacks, self.clock())

    # -- database steps, on their thread --------------------------------------------------------------------------

    def _is_anything_left(self) -> bool:
        return unfinished.is_anything_left(self._ids(), self.clock())

    def _take(self) -> dict[int, Channel]:
        """Take or renew the leases that no other process has; return the adapters of the held channels."""
        of_such_kinds = accounts.held_elsewhere()
        if not of_such_kinds and not self.held:
            return {}
        rows = [row for row in accounts.choices() if registry.needs_holder(row)]
        off = of_such_kinds - {row.id for row in rows}
        adapters = {row.id: adapter for row in rows if (adapter := self._adapter(row)) is not None}
        now = self.clock()
        with writing() as session:
            held_ids = {
                row.id
                for row in rows
                if row.id in adapters
                and held_connections.acquire(
                    session, row.id, self.name, now, now + LEASE, row.updated_at, **self._stands(row.id, adapters)
                )
            }
            held_connections.release(session, self.name, held_ids)
            for run in runs.unfinished(session):
                if run.channel_id in off:
                    runs.hold(session, run.id, HoldReason.CHANNEL_INACTIVE, None, now)
        return {key: adapters[key] for key in held_ids}

    def _adapter(self, row: ChannelRow) -> Channel | None:
        try:
            return registry.adapter_of(row)
        except Refusal:
            return None

    def _stands(self, channel_id: int, adapters: dict[int, Channel]) -> dict[str, Any]:
        """Return the state of a connection, for the pages."""
        connection = self.held.get(channel_id)
        if connection is None or connection.adapter is not adapters[channel_id]:
            return {"up": False, "outcome": "", "code": ""}
        up, trouble = connection.adapter.is_connected, connection.adapter.connection_error
        if up or trouble is None:
            return {"up": up, "outcome": "", "code": ""}
        return {"up": False, "outcome": trouble.outcome or "", "code": trouble.code}

    def _give_up(self) -> None:
        with writing() as session:
            held_connections.release(session, self.name)


def _log_error(task: asyncio.Task[Any]) -> None:
    """Log a task's error, if it ended with one."""
    if not task.cancelled() and task.exception() is not None:
        log.error("connections.fault", exc_info=task.exception())


def hold(app: Flask, clock: Clock) -> None:
    """Hold connections until a shutdown is requested."""
    with app.app_context():
        asyncio.run(_hold(app, clock))


async def _hold(app: Flask, clock: Clock) -> None:
    await Holder(app, clock).work()


def standing(row: ChannelRow, now: dt.datetime) -> Connection | None:
    """Return the state of this channel's connection with its present settings; None if no process holds it."""
    connection = held_connections.find(current_session(), row.id, now)
    return connection if connection is not None and connection.made_for == row.updated_at else None


def check(connection: Connection) -> CallResult:
    """Return a connection's state as the result of a check."""
    if connection.up:
        return CallResult.OK
    account = connection.outcome in {Outcome.CREDENTIALS, Outcome.OUR_FAULT}
    return CallResult.ACCOUNT_ERROR if account else CallResult.NOT_SENT


def unheld(now: dt.datetime) -> list[ChannelRow]:
    """Return the active channels whose connection a process should hold and none does."""
    rows = [row for row in accounts.choices() if registry.needs_holder(row)]
    return [row for row in rows if held_connections.find(current_session(), row.id, now) is None]
