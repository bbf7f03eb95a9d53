"""How dates, moments and time zones are written: one way for each language."""

from __future__ import annotations

import datetime as dt

from flask_babel import format_date, get_locale
from flask_babel import format_datetime as localised
from flask_babel import gettext as _

DATES = {"zh": "yyyy-MM-dd", "en": "d MMM yyyy"}
TIMES = " HH:mm"
SECONDS = ":ss"


def written_date(date: dt.date) -> str:
    """Return a date as the reader's language writes it: 2026-12-01, 1 Dec 2026."""
    return str(format_date(date, _pattern(), rebase=False))


def written(local: dt.datetime, seconds: bool | None = False) -> str:
    """Return a moment that is in its zone already; `seconds=None` writes them only where they are not zero."""
    with_seconds = bool(local.second) if seconds is None else seconds
    return str(localised(local, _pattern() + TIMES + (SECONDS if with_seconds else ""), rebase=False))


def zone_name(zone: str) -> str:
    """Return what a time zone is called for people, with its name: 北京时间（Asia/Shanghai）."""
    return str(_("%(label)s (%(name)s)", label=_("Beijing time"), name=zone)) if zone == "Asia/Shanghai" else zone


def _pattern() -> str:
    return DATES.get(get_locale().language, DATES["en"])
