"""How the Redis server is set up, for `flask doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from smsapp.store.queue import QueueDown, connection


@dataclass(frozen=True)
class RedisServer:
    """Settings that decide whether jobs may be lost."""

    keeps_on_disk: bool
    may_evict: bool
    """It has a memory limit and removes keys, jobs among them, when it is reached."""


def redis_server() -> RedisServer | None:
    """Return how the server is set up; None if it does not answer or does not say."""
    try:
        facts = connection().info()
        saves = connection().config_get("save").get("save", "") if not facts.get("aof_enabled") else ""
    except QueueDown:
        return None
    policy = str(facts.get("maxmemory_policy", "noeviction"))
    return RedisServer(
        keeps_on_disk=bool(facts.get("aof_enabled") or saves),
        may_evict=bool(facts.get("maxmemory")) and policy != "noeviction",
    )
