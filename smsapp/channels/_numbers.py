"""Numbers as providers write them in receipts and replies."""

from __future__ import annotations

from smsapp.domain import phone

INTERNATIONAL, NATIONAL = 1, 2
"""Types of number (TON) of SMPP that say which country's number it is; 0 says nothing."""


def e164(written: object, country: str, ton: int = 0) -> str:
    """Return a number a provider wrote as E.164; "" if none can be read.

    `country` is the region code ("CN") whose national numbers the provider writes without their country. With nothing
    to tell them apart a national number of the channel's country comes before a foreign one: 15122345678 is a mobile
    number in China and one in Texas.
    """
    text = str(written or "").strip()
    is_marked = text.startswith(("+", "＋", "00"))
    national = "" if ton == INTERNATIONAL and not is_marked else phone.normalise(text, country)
    if national or is_marked or ton == NATIONAL:
        return national
    return phone.normalise(f"+{text}", country)
