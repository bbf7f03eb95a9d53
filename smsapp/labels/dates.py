"""How dates, moments and time zones are written: one way for each language."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

from flask_babel import format_date
from flask_babel import gettext as _

from smsapp.labels import locales

DATES = {"zh": "yyyy-MM-dd", "en": "d MMM yyyy"}


def written_date(date: dt.date) -> str:
    """Return a date as the reader's language writes it: 2026-12-01, 1 Dec 2026."""
    return _date(date.toordinal(), locales.key())


def written_month(date: dt.date) -> str:
    """Return the month of a date: 2026年12月, December 2026."""
    return str(format_date(date, "yyyy年M月" if locales.key()[0] == "zh" else "MMMM yyyy", rebase=False))


def written(local: dt.datetime, seconds: bool | None = False) -> str:
    """Return a moment that is in its zone already; `seconds=None` writes them only where they are not zero."""
    with_seconds = bool(local.second) if seconds is None else seconds
    time = f"{local.hour:02}:{local.minute:02}" + (f":{local.second:02}" if with_seconds else "")
    return f"{written_date(local)} {time}"


def zone_name(zone: str) -> str:
    """Return what a time zone is called for people, with its name: 北京时间（Asia/Shanghai）."""
    return str(_("%(label)s (%(name)s)", label=_("Beijing time"), name=zone)) if zone == "Asia/Shanghai" else zone


@lru_cache(4096)
def _date(ordinal: int, locale: locales.LocaleKey) -> str:
    """Return a date in the current locale, which `locale` names."""
    pattern = DATES.get(locale[0], DATES["en"])
    return str(format_date(dt.date.fromordinal(ordinal), pattern, rebase=False))
