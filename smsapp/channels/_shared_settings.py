"""Settings that several kinds of channels ask for in the same words and within the same bounds."""

from __future__ import annotations

from smsapp.channels._setting import Setting, Widget
from smsapp.channels.types import msgid as _l

ACCOUNT, RECEIPT, LIMITS = _l("Account"), _l("Receipts"), _l("Limits")

EXTENSION = Setting(
    "extension",
    _l("Extension number"),
    section=ACCOUNT,
    hint=_l("Digits behind the sender's number, if the provider gave you any; replies bring them back."),
    pattern=r"\d{1,12}",
    example="001",
)
TIMEOUT = Setting(
    "timeout",
    _l("Wait for an answer, seconds"),
    Widget.NUMBER,
    "30",
    True,
    low=1,
    high=300,
    section=LIMITS,
    whole=False,
)
PLAIN_HTTP = Setting(
    "plain_http",
    _l("Allow http:// to a public host"),
    Widget.FLAG,
    hint=_l("Passwords and numbers then travel unencrypted."),
    section=LIMITS,
)


def max_concurrency(default: str) -> Setting:
    """Return the setting of how many requests may wait for an answer at the same time."""
    label = _l("Requests at the same time")
    return Setting("max_concurrency", label, Widget.NUMBER, default, True, low=1, high=500, section=LIMITS)


def per_request(default: str) -> Setting:
    """Return the setting of how many numbers one request carries."""
    label = _l("Numbers per request")
    return Setting("per_request", label, Widget.NUMBER, default, True, low=1, high=1000, section=LIMITS)


def number_format(section: str) -> Setting:
    """Return the setting of how numbers are written in requests, for `format_number`."""
    choices = (("e164", "+8613800138000"), ("digits", "8613800138000"), ("national", "13800138000"))
    return Setting(
        "number_format", _l("Numbers are written"), Widget.CHOICE, "digits", True, choices=choices, section=section
    )


def address(default: str) -> Setting:
    """Return the setting for the address of a provider that has one of its own."""
    hint = _l("Change it for another region or a rehearsal only.")
    return Setting("url", _l("Address"), Widget.URL, default, True, hint, section=ACCOUNT)
