"""Attempts to sign in are counted before a password or code is looked at, and wait longer and longer."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import math
from dataclasses import dataclass

from smsapp.domain import throttle
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.throttle import Counter, Level
from smsapp.store.db import writing
from smsapp.store.settings import secret_key, settings
from smsapp.store.sign_in import attempts

FORGOTTEN_AFTER = dt.timedelta(days=2)
"""Longer than any counter takes to leak from its highest level."""


class TooManyAttempts(Refusal):
    """An attempt that came too early; it was not looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__(Problem("too_many_attempts", facts={"seconds": seconds}))
        self.seconds = seconds


@dataclass(frozen=True)
class Client:
    """Who tries: the address, and the id of a device on which this login has signed in before ("" if it has not)."""

    address: str
    device: str = ""


def take(login: str, client: Client, now: dt.datetime) -> None:
    """Count an attempt for this login in its plain form; raises TooManyAttempts if it comes too early.

    Every counter that would let it through counts it, also if another one does not: asking again and again for the
    moment in which a counter is free has its price.
    """
    keys = _keys(login, client)
    with writing() as session:
        levels = attempts.lock(session, keys.values(), now)
        waits = {counter: throttle.free_at(counter, levels.get(key)) for counter, key in keys.items()}
        is_early = {counter: moment is not None and moment > now for counter, moment in waits.items()}
        counted = {
            key: throttle.after_attempt(counter, levels.get(key), now)
            for counter, key in keys.items()
            if not is_early[counter]
        }
        attempts.store(session, counted)
    free = max((moment for moment in waits.values() if moment is not None), default=now)
    if any(is_early.values()):
        raise TooManyAttempts(max(1, math.ceil((free - now).total_seconds())))


def give_back(login: str, client: Client, now: dt.datetime, *, signed_in: bool) -> None:
    """Take back what a right password has counted; `signed_in`: nothing more is asked, so guesses are forgiven."""
    keys = _keys(login, client)
    forgiven = {counter: key for counter, key in keys.items() if signed_in and counter in throttle.FORGIVEN}
    with writing() as session:
        levels = attempts.lock(session, keys.values(), now)
        lowered = {
            key: Level(max(0.0, throttle.level_now(counter, levels.get(key), now) - 1), now)
            for counter, key in keys.items()
            if counter not in forgiven
        }
        attempts.store(session, lowered)
        attempts.forget(session, forgiven.values(), now - FORGOTTEN_AFTER)


def _keys(login: str, client: Client) -> dict[Counter, str]:
    """Return the counters of this attempt and their keys."""
    network = throttle.network_of(client.address)
    counted = {
        Counter.DEVICE: client.device,
        Counter.LOGIN_AT_ADDRESS: f"{login} {network}",
        Counter.ADDRESS: network,
        Counter.LOGIN: login,
    }
    counters = throttle.KNOWN_DEVICE if client.device else throttle.STRANGE_DEVICE
    return {counter: _digest(f"{counter} {counted[counter]}") for counter in counters}


def _digest(text: str) -> str:
    return hmac.new(secret_key(settings()).encode(), text.encode(), hashlib.sha256).hexdigest()
