"""Tags: free words on campaigns, segments and templates; and what can have them and be archived."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping

from smsapp.domain import invisible
from smsapp.domain.errors import Problem
from smsapp.domain.rights import Right
from smsapp.domain.storable import storable

LONGEST = 30
"""Characters of one tag."""
MOST = 20
"""Tags of one campaign, segment or template."""
LONGEST_KEY = 120
_SEPARATOR = re.compile(r"[,，、;；\n]")


class Item(enum.StrEnum):
    """What can have tags and be archived; the values are the nouns of the audit log."""

    CAMPAIGN = "campaign"
    SEGMENT = "segment"
    TEMPLATE = "sms_template"


RIGHTS: Mapping[Item, Right] = {
    Item.CAMPAIGN: Right.CAMPAIGNS_WRITE,
    Item.SEGMENT: Right.SEGMENTS_WRITE,
    Item.TEMPLATE: Right.TEMPLATES_WRITE,
}
"""Item -> the right to tag and to archive it."""


def tidy(name: str) -> str:
    """Return a tag as it is stored and shown: no invisible characters, single spaces."""
    return " ".join(invisible.visible(unicodedata.normalize("NFC", storable(name, len(name)))).split())


def key(name: str) -> str:
    """Return what makes two tags the same one: full-width = half-width, upper case = lower case."""
    return " ".join(unicodedata.normalize("NFKC", tidy(name)).casefold().split())


def split(text: str) -> list[str]:
    """Return the tags in what a person typed, between commas of any kind, 、 or line ends; each once."""
    return once(_SEPARATOR.split(text))


def once(names: Iterable[str]) -> list[str]:
    """Return the tidy tags, each once, the first spelling of it."""
    name_by_key: dict[str, str] = {}
    for name in map(tidy, names):
        if name:
            name_by_key.setdefault(key(name), name)
    return list(name_by_key.values())


def problems(names: Collection[str]) -> list[Problem]:
    """Return what keeps these tags from being stored."""
    wrong = [
        Problem("tag_too_long", "tags", {"name": name[:LONGEST] + "…", "most": LONGEST})
        for name in names
        if len(name) > LONGEST or len(key(name)) > LONGEST_KEY
    ]
    if len(names) > MOST:
        wrong.append(Problem("too_many_tags", "tags", {"most": MOST}))
    return wrong
