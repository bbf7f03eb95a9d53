"""What waits for the test group of channels whose connection this process holds: sent over that connection."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from flask import Flask

from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpClient
from smsapp.domain.outcome import CallResult
from smsapp.services.channels import account_calls
from smsapp.services.channels.account_calls import TestResult
from smsapp.services.platform import shutdown
from smsapp.services.platform.app_thread import AppThread
from smsapp.services.platform.clock import Clock
from smsapp.services.sending import proof_sending
from smsapp.services.sending.proof_sending import Claimed, Turns

log = logging.getLogger(__name__)


class HeldProofs:
    """Sends texts one by one; the database is asked on a thread of its own, because turns are waited for on it."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.clock = clock
        self.thread = AppThread(app, "connections-proofs")
        self.task: asyncio.Task[None] | None = None

    def look(self, held: Mapping[int, Channel], http: HttpClient) -> None:
        """Begin to send what waits for these channels, unless that is going on."""
        if self.task is not None and not self.task.done():
            return
        if self.task is not None and self.task.exception() is not None:
            log.error("proofs.fault", exc_info=self.task.exception())
        self.task = asyncio.create_task(self._send(held, http)) if held else None

    async def leave(self) -> None:
        """Finish the text that is being sent."""
        if self.task is not None:
            await asyncio.wait([self.task])
        self.thread.close()

    async def _send(self, held: Mapping[int, Channel], http: HttpClient) -> None:
        turns = Turns(time.sleep)
        while not shutdown.requested():
            claimed = await self.thread.run(proof_sending.claim_next, turns, self.clock, held)
            if claimed is None:
                return
            trial = await self._call(claimed, http)
            await self.thread.run(proof_sending.store_result, claimed, trial, self.clock())
            await self.thread.run(turns.answered, claimed.channel.id)

    async def _call(self, claimed: Claimed, http: HttpClient) -> TestResult:
        async def ask(adapter: Channel, http: HttpClient) -> TestResult:
            return await account_calls.sent_over(adapter, claimed.submission, http)

        try:
            return await account_calls.result_of(claimed.adapter, ask, http)
        except Exception:
            # A fault of ours in the adapter: it may have left.
            log.exception("adapter.fault channel=%s", claimed.channel.id)
            return TestResult(CallResult.OUTCOME_UNKNOWN, code="adapter_fault", begun=time.monotonic())
