"""Labels of properties: one meaning has one property, whatever a column or an app calls it.

`$name`, `name`, a column 姓名 and a column “Full Name” mean the same, so they share one property: the first that
existed. Case, width, spaces and invisible characters are ignored.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping

from smsapp.domain.contact import PHONE

MEANINGS: Mapping[str, tuple[str, ...]] = {
    # property: its labels in both languages; the first of each language is the label of the preset
    "$phone": ("手机号", "Phone number", "手机", "手机号码", "phone", "mobile"),
    "$email": ("邮箱", "Email", "电子邮箱", "电子邮件", "e-mail"),
    "name": ("姓名", "Name", "名字", "客户姓名", "用户姓名", "full name"),
    "nickname": ("昵称", "Nickname"),
    "gender": ("性别", "Gender"),
    "age": ("年龄", "Age"),
    "province": ("省份", "Province"),
    "city": ("城市", "City"),
    "birthday": ("生日", "Birthday", "出生日期"),
    "level": ("等级", "Level", "会员等级"),
    "points": ("积分", "Points"),
    "registered_at": ("注册时间", "Registered at"),
    "tags": ("标签", "Tags"),
}
"""Only unambiguous labels: a column with another name becomes a property of its own."""


def plain(text: str) -> str:
    """Return a label or a name normalised for comparison."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, folded))


_MEANT = {plain(word): name for name, words in MEANINGS.items() for word in (name, *words)}


def meaning(text: str) -> str:
    """Return the property in MEANINGS that a label, heading or name stands for, or else its plain form."""
    return _MEANT.get(plain(text), plain(text))


def laid_to(heading: str, catalogue: Mapping[str, str]) -> str | None:
    """Return the property that a heading or a reported name belongs to; None if there is none yet.

    `catalogue`: property -> label ("" = none). A property with that name comes first, then one with that label, then
    one with the same meaning.
    """
    name = heading.strip().casefold()
    if name in catalogue:
        return name
    key = plain(heading)
    if not key:
        return None
    labelled = [candidate for candidate, label in catalogue.items() if label and plain(label) == key]
    alike = labelled or [
        candidate for candidate, label in catalogue.items() if _means(candidate, label, meaning(heading))
    ]
    return min(alike, key=_rank, default=None)


def _means(name: str, label: str, key: str) -> bool:
    return meaning(label) == key if label else meaning(name) == key


def _rank(name: str) -> tuple[bool, str]:
    return not name.startswith("$"), name


def doubles(catalogue: Mapping[str, str]) -> dict[str, list[str]]:
    """Return {property: other properties with the same meaning}, for properties that have any."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, label in catalogue.items():
        groups[meaning(label or name)].append(name)
    return {
        name: [other for other in group if other != name]
        for key, group in groups.items()
        if key and len(group) > 1
        for name in group
    }


def shown(name: str, label: str, ambiguous: Collection[str] = ()) -> str:
    """Return a property's name for choices: its label, with the technical name if that is ambiguous."""
    if not label:
        return name
    return f"{label} ({name})" if name in ambiguous else label


def names_alike(variable: str, catalogue: Mapping[str, str]) -> str | None:
    """Return the property that fills a template's variable by default; None if none fits or it is a number."""
    return None if variable.isdigit() else laid_to(variable, catalogue)


def reported_as(name: str, catalogue: Mapping[str, str]) -> str | None:
    """Return the existing property with the same plain name or label as a reported name; None if there is none.

    Never the phone: an app's `mobile` may be another number than the one that messages go to.
    """
    key = plain(name)
    alike = [existing for existing, label in catalogue.items() if key and key in (plain(existing), plain(label))]
    return min((existing for existing in alike if existing != PHONE), key=_rank, default=None)
