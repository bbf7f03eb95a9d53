"""The class and the country of an E.164 number."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Sequence

import phonenumbers
from phonenumbers import PhoneNumberType


class NumberClass(enum.StrEnum):
    """The class of a number: only mobile numbers get texts unless a channel allows other classes."""

    MOBILE = "mobile"
    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    TOLL_FREE = "toll_free"
    SATELLITE = "satellite"
    LANDLINE = "landline"
    VOIP = "voip"
    PAGER = "pager"
    OTHER = "other"
    """Personal numbers, voice mail, company numbers, and numbers whose class the numbering plan does not define."""


SPECIAL = tuple(sorted(set(NumberClass) - {NumberClass.MOBILE}))
"""The classes a channel may allow beside mobile numbers."""

_CLASSES = {
    PhoneNumberType.MOBILE: NumberClass.MOBILE,
    # Countries without separate ranges for the two, such as the United States.
    PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberClass.MOBILE,
    PhoneNumberType.PREMIUM_RATE: NumberClass.PREMIUM,
    PhoneNumberType.SHARED_COST: NumberClass.SHARED_COST,
    PhoneNumberType.TOLL_FREE: NumberClass.TOLL_FREE,
    PhoneNumberType.FIXED_LINE: NumberClass.LANDLINE,
    PhoneNumberType.VOIP: NumberClass.VOIP,
    PhoneNumberType.PAGER: NumberClass.PAGER,
}
_BEYOND = (
    ("+979", NumberClass.PREMIUM),
    ("+870", NumberClass.SATELLITE),
    ("+881", NumberClass.SATELLITE),
    ("+882", NumberClass.SATELLITE),
    ("+861349", NumberClass.SATELLITE),
    ("+86174", NumberClass.SATELLITE),
    ("+861619", NumberClass.SATELLITE),
)
"""Numbers of no country, which libphonenumber classifies as mobile, and China's satellite numbers (MIIT, 2023)."""
_BEYOND_PREFIXES = tuple(prefix for prefix, _ in _BEYOND)
_ORDINARY = re.compile(r"\+86(?!1349|174|1619)1[3-9][0-9]{9}")

_ISLANDS = {
    **{"AG": "268", "AI": "264", "AS": "684", "BB": "246", "BM": "441", "BS": "242", "DM": "767", "GD": "473"},
    **{"GU": "671", "KN": "869", "KY": "345", "LC": "758", "MP": "670", "MS": "664", "SX": "721", "TC": "649"},
    **{"TT": "868", "VC": "784", "VG": "284", "VI": "340", "JM": "658 876", "PR": "787 939", "DO": "809 829 849"},
}
"""Countries that share +1 with the United States and Canada, by their area codes."""
COUNTRIES: dict[str, str] = {
    **{f"+{code}": regions[0] for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()},
    **{f"+1{area}": region for region, areas in _ISLANDS.items() for area in areas.split()},
    **{"+76": "KZ", "+77": "KZ"},
}
"""Prefix of a country's numbers -> region code; the longest prefix counts. "001" are services of no country.

Countries that share a calling code without separate prefixes have one region: US stands for Canada, too.
"""
REGIONS = frozenset(COUNTRIES.values())
_LONGEST = max(map(len, COUNTRIES))


def number_class(e164: str) -> NumberClass:
    """Return the class of a number in the form of `phone.normalise`."""
    if _ORDINARY.fullmatch(e164):
        return NumberClass.MOBILE
    if e164.startswith(_BEYOND_PREFIXES):
        return next(kind for prefix, kind in _BEYOND if e164.startswith(prefix))
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return NumberClass.OTHER
    return _CLASSES.get(phonenumbers.number_type(number), NumberClass.OTHER)


def is_ordinary(e164: str) -> bool:
    """Return whether this is surely a mainland mobile number, as nearly all are; a fast check."""
    return _ORDINARY.fullmatch(e164) is not None


def country(e164: str) -> str:
    """Return the region code of the number's country, "" if it has none."""
    return next((COUNTRIES[e164[:n]] for n in range(_LONGEST, 1, -1) if e164[:n] in COUNTRIES), "")


def calling_code(region: str) -> str:
    """Return the calling code of a region: "+86" of "CN"; "" if there is none."""
    code = phonenumbers.country_code_for_region(region)
    return f"+{code}" if code else ""


def prefixes(countries: Collection[str]) -> tuple[list[str], list[str]]:
    """Return (prefixes of these countries' numbers, longer prefixes among them that belong to other countries)."""
    own = [prefix for prefix, region in COUNTRIES.items() if region in countries]
    foreign = (prefix for prefix, region in COUNTRIES.items() if region not in countries)
    return own, [prefix for prefix in foreign if any(prefix.startswith(begin) for begin in own)]


def read_countries(text: str) -> tuple[list[str], list[str]]:
    """Return (region codes in a text such as "CN HK +1", words that are no country)."""
    regions: set[str] = set()
    unknown: list[str] = []
    for word in re.split(r"[\s,，、;；]+", text.strip()):
        code = word.upper()
        if code.lstrip("+").isascii() and code.lstrip("+").isdigit() and code != "001":
            code = COUNTRIES.get(f"+{code.lstrip('+')}", code)
        if code not in REGIONS and (calling := phonenumbers.country_code_for_region(code)):
            code = COUNTRIES[f"+{calling}"]
        if code in REGIONS:
            regions.add(code)
        elif word:
            unknown.append(word)
    return sorted(regions), unknown


def is_allowed(e164: str, countries: Sequence[str], classes: Collection[str]) -> bool:
    """Return whether a channel with these settings may send to a number; no countries = every country."""
    kind = number_class(e164)
    return (kind is NumberClass.MOBILE or kind in classes) and (not countries or country(e164) in countries)
