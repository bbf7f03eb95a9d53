"""A channel's rate, shared by all workers on all hosts: one Lua call books the departure of one request."""

from __future__ import annotations

import time

import redis
from flask import current_app

from smsapp.store.queue import Away, connection

WINDOW = 1.1
"""Seconds a second's worth of messages is spread over: slack for a busy worker and the way to the provider. Departures
that are late by more than it can still meet in one second: 105 of 100 with four workers on two overloaded cores."""
AHEAD = 2.0
"""Departures are booked this many seconds ahead at most, so that a pause never waits for one."""

LOOKED_BACK = 5
"""Whole seconds over which the rate in use is measured."""

BOOK = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local next = tonumber(redis.call('GET', KEYS[1]) or '0')
if next < now then next = now end
if next - now > tonumber(ARGV[2]) then return tostring(now - next) end
redis.call('SET', KEYS[1], string.format('%.0f', next + ARGV[1]), 'PX', 60000)
local pace = KEYS[2] .. string.format('%.0f', math.floor(next / 1000000))
redis.call('INCRBY', pace, ARGV[3])
redis.call('EXPIRE', pace, 15)
return tostring(next - now)
"""
SCRIPT, SILENT = "smsapp.rate.script", "smsapp.rate.silent"
ASK_AGAIN = 10.0
"""Seconds before a Redis that did not answer in time is asked again: on a dead line every question takes seconds, and a
lane that waits for answers cannot say meanwhile that it is alive."""


def book(channel_id: int, messages: int, rate: int) -> tuple[bool, float]:
    """Book a departure for this many messages, at most a second's worth of them.

    Returns (True, seconds to wait until it), or (False, seconds) if departures are booked too far ahead already.
    Departures are evenly spaced, without bursts. Raises RateUnknown if there is nobody to ask.
    """
    script = current_app.extensions.get(SCRIPT)
    if script is None:
        script = current_app.extensions[SCRIPT] = connection().register_script(BOOK)
    spacing = round(messages * WINDOW * 1_000_000 / rate)
    keys = [f"smsapp:rate:{channel_id}", _pace(channel_id)]
    if time.monotonic() < current_app.extensions.get(SILENT, 0.0):
        raise redis.TimeoutError("it did not answer a moment ago")
    try:
        wait = float(script(keys=keys, args=[spacing, round(AHEAD * 1_000_000), messages])) / 1_000_000
    except redis.TimeoutError:
        current_app.extensions[SILENT] = time.monotonic() + ASK_AGAIN
        raise
    return (True, wait) if wait >= 0 else (False, -wait - AHEAD)


def _pace(channel_id: int) -> str:
    """Return what the keys begin with that count a channel's departures second by second."""
    return f"smsapp:pace:{channel_id}:"


def in_use(channel_id: int) -> float:
    """Return the messages per second that left lately, over all workers. Raises RateUnknown if nobody can be asked."""
    second, _ = connection().time()
    counts = connection().mget([f"{_pace(channel_id)}{second - ago}" for ago in range(1, LOOKED_BACK + 1)])
    return sum(int(count or 0) for count in counts) / LOOKED_BACK


def paced(messages: int, rate: int, lanes: int) -> float:
    """Return the seconds one lane of `lanes` spends on these messages if it has to keep the rate without Redis."""
    return messages * WINDOW * lanes / rate


RateUnknown = Away
