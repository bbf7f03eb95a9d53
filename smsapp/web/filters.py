"""The filters of the templates: codes, moments and numbers as the reader's language writes them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.units import format_unit
from flask import url_for
from flask_babel import format_decimal, format_percent, format_timedelta, get_locale, get_timezone, gettext
from flask_login import current_user
from markupsafe import Markup, escape

from smsapp import labels
from smsapp.domain import phone
from smsapp.domain.rights import sees_numbers
from smsapp.labels import general, locales, registrations, reports
from smsapp.labels.dates import written, zone_name
from smsapp.services.platform import clock

NOTHING = "–"
PERCENT = "0.0%"
LEAST_SHARE = 0.0005
"""Half of the smallest percentage that is written."""
CODES = {"audit": "Audit", "result": "CallResult", "role": "Role"}
"""Details of the audit log that hold a code, and the enum it is of."""
PAGES = {
    "campaign": ("campaigns.show", "campaign_id"),
    "segment": ("segments.show", "segment_id"),
    "channel": ("channels.show", "channel_id"),
    "sms_template": ("sms_templates.show", "template_id"),
    "template": ("sms_templates.show", "template_id"),
    "person": ("users.show", "user_id"),
}
"""Endpoint and argument of the page that shows the object of an audit log entry, by its noun."""
WORDS: dict[str, dict[str, Any]] = {"cause": reports.UNCONFIRMED, "group": reports.GROUPS}


def when(moment: dt.datetime | None, zone: str | None = None, seconds: bool | None = False) -> str:
    """Return a moment in the reader's zone (or `zone`) as <time>; its tooltip names the zone.

    `seconds=None` writes seconds only where they are not zero, as a person chose them.
    """
    if moment is None:
        return NOTHING
    local = moment.astimezone(ZoneInfo(zone) if zone else get_timezone())
    return _time(moment, written(local, seconds), f"{written(local, True)} {local.tzname()}")


def written_value(value: Any) -> Any:
    """Return a stored value of any type for a table: moments in the reader's zone, lists with commas."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, dt.datetime):
        return when(value, seconds=True)
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NOTHING
    return str(value)


def ago(moment: dt.datetime | None) -> str:
    """Return how long ago (or how soon) a moment is, as <time> with the exact moment in the tooltip."""
    if moment is None:
        return NOTHING
    local = moment.astimezone(get_timezone())
    words_for_it = _apart(format_timedelta(moment - clock.now(), granularity="second", add_direction=True))
    return _time(moment, words_for_it, f"{written(local, True)} {local.tzname()}")


def duration(length: dt.timedelta | float | None) -> str:
    """Return a length of time (seconds or timedelta) in its two largest units: "2 min 5 s"."""
    if length is None:
        return NOTHING
    seconds = round(length.total_seconds() if isinstance(length, dt.timedelta) else length)
    parts = []
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(_unit(count, unit, locales.key()))
    return " ".join(parts[:2]) or _unit(0, "second", locales.key())


@lru_cache(4096)
def _unit(count: int, unit: str, _locale: locales.LocaleKey) -> str:
    return _apart(format_unit(count, f"duration-{unit}", length="short", locale=get_locale()))


def _apart(text: str) -> str:
    """Return the text with a space between digits and Chinese, as our own sentences have it; CLDR has none."""
    return re.sub(r"(?<=[0-9])(?=[一-鿿])", " ", text).replace("秒钟", "秒")


def number(count: float | None) -> str:
    """Return a number with the reader's separators."""
    return NOTHING if count is None else _decimal(count, locales.key())


@lru_cache(16_384)
def _decimal(count: float, _locale: locales.LocaleKey) -> str:
    return str(format_decimal(count))


def audit_value(value: Any, name: str = "") -> str:
    """Return a detail of the audit log: a moment, a code in words, the names of fields, or as it is."""
    if isinstance(value, dict):
        return str(gettext(", ")).join(f"{general.fact(key)} {audit_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        return str(gettext(", ")).join(general.fact(str(item)) for item in value)
    if value is None or isinstance(value, bool):
        return NOTHING if value is None else str(gettext("yes") if value else gettext("no"))
    if (name, value) in general.VALUES:
        return str(general.VALUES[name, value])
    if name.endswith("_at"):
        return when(dt.datetime.fromisoformat(value))
    return labels.label(value, CODES[name]) if name in CODES else str(WORDS.get(name, {}).get(value, value))


def percent(part: float | None, total: float | None) -> str:
    """Return part of total as a percentage with one decimal; a dash if there is no total.

    A share above 0 is never written as 0.0 %, one below 1 never as 100.0 %.
    """
    if not total or part is None:
        return NOTHING
    share = part / total
    if 0 < share < LEAST_SHARE:
        return "<" + _share(LEAST_SHARE * 2, locales.key())
    if 1 - LEAST_SHARE <= share < 1:
        return ">" + _share(1 - LEAST_SHARE * 2, locales.key())
    return _share(share, locales.key())


@lru_cache(4096)
def _share(share: float, _locale: locales.LocaleKey) -> str:
    return str(format_percent(share, PERCENT))


def figure(value: float) -> str:
    """Return the number a contact's property holds, with separators; masked where it looks like a phone number."""
    plain = str(value)
    return number(value) if mask_numbers_in(plain) == plain else mask_numbers_in(plain)


def masked(number_e164: str | None) -> str:
    """Return a phone number, masked unless the person who reads this page may see numbers."""
    if not number_e164:
        return NOTHING
    return number_e164 if sees_full_numbers() else phone.mask(number_e164)


def mask_numbers_in(text: str) -> str:
    """Return the text, its phone numbers masked unless the reader may see them."""
    return text if sees_full_numbers() else phone.mask_inside(text)


def sees_full_numbers() -> bool:
    """Return whether the person who reads this page may see phone numbers."""
    person = current_user._get_current_object()  # once: each use of the proxy searches for the person
    return person.is_authenticated and sees_numbers(person.role, person.sees_numbers)


def iso(moment: dt.datetime) -> str:
    """Return a moment in UTC as ISO 8601, for the attribute `datetime`."""
    return f"{moment.astimezone(dt.UTC).replace(tzinfo=None, microsecond=0).isoformat()}Z"


def local_time(value: str) -> str:
    """Return a date and time that names no zone (a property of a contact) as the reader's language writes it."""
    try:
        return written(dt.datetime.fromisoformat(value), seconds=None)
    except ValueError:
        return value


def handle(address: str) -> str:
    """Return a stable element id for a link to this address: htmx restores the focus by it."""
    return re.sub(r"[^a-z0-9]+", "-", address.lower()).strip("-")


def joined_labels(codes: Iterable[Any], enum: str) -> str:
    """Return several codes in words, joined by the reader's comma."""
    return str(gettext(", ")).join(labels.label(code, enum) for code in codes)


def audited(line: Any) -> str:
    """Return the address of the object of an audit log entry; "" if it has none or is deleted."""
    page = PAGES.get(line.noun)
    if page is None or line.action == "delete" or not line.noun_id.isdigit():
        return ""
    endpoint, argument = page
    values: dict[str, Any] = {argument: int(line.noun_id)}
    return url_for(endpoint, **values)


def _time(moment: dt.datetime, text: str, title: str) -> Markup:
    # nosemgrep: markup-from-a-value -- each value is escaped; Markup.format takes ten times as long, fifty times a page
    return Markup(f'<time datetime="{iso(moment)}" title="{escape(title)}">{escape(text)}</time>')  # noqa: S704 # nosec B704


FILTERS = {
    "audited": audited,
    "by": general.by,
    "label": labels.label,
    "sentence": labels.sentence,
    "when": when,
    "ago": ago,
    "duration": duration,
    "number": number,
    "percent": percent,
    "masked": masked,
    "mask_numbers_in": mask_numbers_in,
    "figure": figure,
    "did": general.did,
    "fact": general.fact,
    "audit_value": audit_value,
    "noun": general.noun,
    "handle": handle,
    "iso": iso,
    "labels": joined_labels,
    "light_colour": registrations.light_colour,
    "registration_reason": registrations.reason,
    "local": local_time,
    "written": written,
    "zone": zone_name,
}
