"""A provider's call, from its address to the inbox."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping

from smsapp.channels.base import Acknowledgement, Callback, CallbackRefused
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.services import channels, receipts

NOT_KEPT = frozenset({"cookie", "authorization"})

log = logging.getLogger(__name__)


def take(
    token: str, method: str, query: str, headers: Mapping[str, str], body: bytes, url: str, now: dt.datetime
) -> Acknowledgement:
    """Store what a provider says and return what it wants to hear; a call that says nothing is only answered.

    Raises NotFound for an unknown token, and Refusal "callback_refused" if the provider signs and this is not its hand.
    """
    row = channels.by_token(token)
    if row is None:
        raise NotFound("channel")
    kept = {name.lower(): value for name, value in headers.items() if name.lower() not in NOT_KEPT}
    callback = Callback(method, query, kept, body, url)
    adapter = channels.adapter_of(row)
    try:
        adapter.verify_callback(callback)
    except CallbackRefused:
        log.warning("callback.refused channel=%s", row.id)
        raise Refusal(Problem("callback_refused")) from None
    if query or body:
        receipts.store(row.id, callback, now)
    return adapter.acknowledgement()
