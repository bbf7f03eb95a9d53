"""Who calls: the key, asked anew at every call for its state, its rate and its scope."""

from __future__ import annotations

from dataclasses import dataclass

from smsapp.domain.api_key import Scope, covers
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.provenance import Door
from smsapp.services.channels import accounts
from smsapp.services.platform import api_keys, api_rates, clock
from smsapp.services.platform.api_keys import KeyHolder
from smsapp.services.platform.audit_log import Actor


class NotAdmitted(Refusal):
    """The key does not count, has called too often, or lacks the scope; `status` is that of the HTTP API."""

    def __init__(self, status: int, code: str, **facts: object) -> None:
        super().__init__(Problem(code, facts=facts))
        self.status = status


@dataclass(frozen=True)
class Caller:
    """A program as one call knows it. Whatever its key may see, numbers are masked."""

    holder: KeyHolder

    @property
    def actor(self) -> Actor:
        return self.holder.actor(Door.MCP)

    def refuse_real_channels(self, *channel_ids: int | None) -> None:
        """Raise RealChannelRefused if this is a test key and one of the channels is no simulator."""
        if self.holder.is_test:
            accounts.refuse_real(channel_ids)


def admit(text: str, scope: Scope | None) -> Caller:
    """Return who calls with this key, and count the call; raises NotAdmitted. `scope`: what the call needs."""
    now = clock.now()
    holder = api_keys.recognise(text, now)
    if holder is None:
        raise NotAdmitted(401, "key_unknown")
    rate = api_rates.take(holder.key_id, holder.per_minute, now)
    if rate.is_exceeded:
        raise NotAdmitted(429, "too_many_requests", limit=rate.limit, seconds=rate.seconds)
    if scope is not None and not covers(holder.scopes, scope):
        raise NotAdmitted(403, "scope_missing", scope=scope.value)
    return Caller(holder)
