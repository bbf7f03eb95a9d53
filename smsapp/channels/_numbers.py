"""Numbers as providers write them in receipts and replies."""

from __future__ import annotations

from functools import cache

import phonenumbers

from smsapp.domain import phone

INTERNATIONAL, NATIONAL = 1, 2
"""Types of number (TON) of SMPP that say which country's number it is; 0 says nothing."""


def format_number(number: str, form: str, country: str) -> str:
    """Return a number (E.164) as a provider wants it: "e164", "digits" (E.164 without its plus) or "national".

    National numbers are those of `country` (region code), without its calling code; any other one is written in digits.
    """
    if form == "e164":
        return number
    calling = calling_code(country)
    return number.removeprefix(calling) if form == "national" and number.startswith(calling) else number[1:]


@cache
def calling_code(country: str) -> str:
    """Return how the numbers of a country (region code) begin, such as +86."""
    return f"+{phonenumbers.country_code_for_region(country)}"


def e164(raw: object, country: str, ton: int = 0) -> str:
    """Return a number a provider wrote as E.164; "" if none can be read.

    `country` is the region code ("CN") whose national numbers the provider writes without their country. With nothing
    to tell them apart a national number of the channel's country comes before a foreign one: 15122345678 is a mobile
    number in China and one in Texas.
    """
    text = str(raw or "").strip()
    is_marked = text.startswith(("+", "＋", "00"))
    national = "" if ton == INTERNATIONAL and not is_marked else phone.normalise(text, country)
    if national or is_marked or ton == NATIONAL:
        return national
    return phone.normalise(f"+{text}", country)
