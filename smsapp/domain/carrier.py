"""The codes of China's carriers, whichever provider passes them on, and their hours for marketing texts."""

from __future__ import annotations

import datetime as dt
import re

from smsapp.domain.outcome import Outcome

ARRIVED = frozenset({"DELIVRD", "DELIVERED"})
CHINA = dt.timezone(dt.timedelta(hours=8))
OPENS, CLOSES = 8, 22
"""Marketing texts are accepted between these hours, Chinese time."""
ASK_AGAIN = 600.0
"""Seconds to wait when a provider says that it is out of hours although the usual hours say otherwise."""

OUTCOMES: dict[str, Outcome] = {
    "MK:0001": Outcome.NO_SUCH_SUBSCRIBER,
    "MI:0210": Outcome.NO_SUCH_SUBSCRIBER,
    "CB:0001": Outcome.NO_SUCH_SUBSCRIBER,
    "DB:0102": Outcome.SUSPENDED,
    "MK:0005": Outcome.SUSPENDED,
    "MK:0013": Outcome.SUSPENDED,
    "MK:0010": Outcome.SWITCHED_OFF,
    "MK:0023": Outcome.SWITCHED_OFF,
    "MBBLACK": Outcome.OPTED_OUT,
    "DBBLACK": Outcome.OPTED_OUT,
    "TDBLACK": Outcome.OPTED_OUT,
    "BLACK": Outcome.OPTED_OUT,
    "DB:0144": Outcome.OPTED_OUT,
    "KEYWORD": Outcome.CONTENT_REFUSED,
    "IB:0008": Outcome.THROTTLED,
    "MI:0061": Outcome.THROTTLED,
    "EXPIRED": Outcome.EXPIRED,
    "REJECTD": Outcome.BLOCKED_BY_CARRIER,
    # What is not registered (报备), in the codes of gateways and platforms that pass it on.
    "MX:0005": Outcome.SIGNATURE_UNREGISTERED,
    "EM:102": Outcome.SIGNATURE_UNREGISTERED,
    "SC:0018": Outcome.SIGNATURE_UNREGISTERED,
    "CR:0215": Outcome.SIGNATURE_UNREGISTERED,
    "SC:0017": Outcome.TEMPLATE_UNREGISTERED,
    "CR:0217": Outcome.CONTACT_BLOCKED,
}
WORDS: tuple[tuple[re.Pattern[str], Outcome], ...] = (
    (re.compile("签名.{0,4}(?:未|没有?|非)(?:实名)?报备|(?:未|非)报备.{0,2}签名"), Outcome.SIGNATURE_UNREGISTERED),
    (re.compile("模[板版].{0,4}(?:未|没有?|非)报备|(?:未|非)报备.{0,2}模[板版]"), Outcome.TEMPLATE_UNREGISTERED),
    (re.compile("引流|(?:链接|网址|号码|联系方式).{0,4}(?:未|非)报备"), Outcome.CONTACT_BLOCKED),
)
"""What gateways write instead of a code, or into it."""


def outcome(code: str) -> Outcome:
    """Return why a message did not arrive; Outcome.UNKNOWN for an unknown code."""
    known_outcome = OUTCOMES.get(code.strip().upper())
    if known_outcome is not None:
        return known_outcome
    for words, meant in WORDS:
        if words.search(code):
            return meant
    return Outcome.PROVIDER_FAULT if code.upper().startswith("NP:") else Outcome.UNKNOWN


def seconds_until_open(now: dt.datetime) -> float:
    """Return the seconds to wait after a refusal for being outside the hours for marketing; `now` is aware."""
    here = now.astimezone(CHINA)
    if OPENS <= here.hour < CLOSES:
        return ASK_AGAIN
    opens = here.replace(hour=OPENS, minute=0, second=0, microsecond=0)
    return (opens + dt.timedelta(days=here.hour >= CLOSES) - here).total_seconds()


def national(phone: str) -> str:
    """Return a number as Chinese providers write it: eleven digits in China, else digits with the country code."""
    return phone[3:] if phone.startswith("+86") else phone[1:]
