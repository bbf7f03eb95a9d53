"""Rules of passwords: long, and not among those that are guessed first (NIST SP 800-63B)."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from smsapp.domain.errors import Problem

SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
MEASURED = 72
"""Characters that zxcvbn reads at most."""
LEAST_SCORE = 3
"""Of zxcvbn's scores 0 to 4; below 3 a password is among the first hundred million guesses."""
OWN_WORDS = ("smsapp", "duanxin", "tuisong")
"""Words that this product suggests to whoever thinks of a password for it."""


def password_problems(password: str, login: str) -> list[Problem]:
    """Return the problems of a password: it must be long, not a mix of characters."""
    if len(password) < SHORTEST_PASSWORD:
        return [Problem("password_short", "password", {"least": SHORTEST_PASSWORD})]
    if len(password) > LONGEST_PASSWORD:
        return [Problem("password_long", "password", {"most": LONGEST_PASSWORD})]
    if login and len(password.lower().replace(login, "")) < SHORTEST_PASSWORD // 2:
        return [Problem("password_is_login", "password")]
    if len(set(password)) < 4 or score(password, login) < LEAST_SCORE:
        return [Problem("password_common", "password")]
    return []


def score(password: str, login: str) -> int:
    """Return zxcvbn's score, 0 to 4: from English lists, keyboards and dates of its own and our Chinese words."""
    return int(_measure()(password[:MEASURED], user_inputs=[login, *OWN_WORDS, *common_words()])["score"])


@cache
def _measure() -> Callable[..., dict[str, Any]]:
    """Return zxcvbn, loaded when a password is first set: that is rare, and its lists take 14 MiB."""
    measure: Callable[..., dict[str, Any]] = importlib.import_module("zxcvbn").zxcvbn
    return measure


@cache
def common_words() -> tuple[str, ...]:
    """Return the words of which people in China make passwords, most common first."""
    lines = Path(__file__).with_name("common_words.txt").read_text(encoding="utf-8").splitlines()
    return tuple(dict.fromkeys(word for line in lines if not line.startswith("#") for word in line.split()))
