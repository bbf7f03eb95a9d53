"""How the values of settings are read: a wrong one is a ValueError that says what it should look like."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def number(low: int, high: int) -> Callable[[str], int]:
    """Return the reader of a whole number between `low` and `high`."""

    def read(raw: str) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise ValueError(f"must be a whole number, not {raw!r}") from None
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}, not {value}")
        return value

    return read


def flag(raw: str) -> bool:
    """Read a switch."""
    word = raw.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"must be 1 or 0, not {raw!r}")


def zone(raw: str) -> str:
    """Read the name of a time zone."""
    try:
        ZoneInfo(raw)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"must be an IANA zone such as Asia/Shanghai, not {raw!r}") from None
    return raw


def choice(*allowed: str) -> Callable[[str], str]:
    """Return the reader of one of these words."""

    def read(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, not {raw!r}")
        return raw

    return read
