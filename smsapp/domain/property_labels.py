"""What people call a property: one meaning has one property, whatever column or app names it.

`$name`, `name`, a column 姓名 and a column “Full Name” mean the same, so they share one property: the first that was
there. Case, width, spaces and invisible characters do not count.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping

from smsapp.domain.contact import PHONE

MEANINGS: Mapping[str, tuple[str, ...]] = {
    # property: what it is called, in both languages; the first word of each is the label of the preset
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
"""Only words that leave no doubt: a column of another name stays a property of its own."""


def plain(text: str) -> str:
    """Return a label or a name in the form in which two of one meaning are equal."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(str.isalnum, folded))


_MEANT = {plain(word): meant for meant, words in MEANINGS.items() for word in (meant, *words)}


def meaning(text: str) -> str:
    """Return what a label, a heading or a property's name stands for."""
    return _MEANT.get(plain(text), plain(text))


def laid_to(heading: str, catalogue: Mapping[str, str]) -> str | None:
    """Return the property that a heading or a reported name belongs to; None if there is none yet.

    `catalogue` holds the label of each property ("" = it has none). A property of that very name comes first, then one
    whose label says so, then one that means the same.
    """
    name = heading.strip().casefold()
    if name in catalogue:
        return name
    wanted = plain(heading)
    if not wanted:
        return None
    labelled = [known for known, label in catalogue.items() if label and plain(label) == wanted]
    alike = labelled or [known for known, label in catalogue.items() if _means(known, label, meaning(heading))]
    return min(alike, key=_rank, default=None)


def _means(name: str, label: str, wanted: str) -> bool:
    return meaning(label) == wanted if label else meaning(name) == wanted


def _rank(name: str) -> tuple[bool, str]:
    return not name.startswith("$"), name


def doubles(catalogue: Mapping[str, str]) -> dict[str, list[str]]:
    """Return, for each property that has another of its meaning beside it, those others."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, label in catalogue.items():
        groups[meaning(label or name)].append(name)
    return {
        name: [other for other in group if other != name]
        for meant, group in groups.items()
        if meant and len(group) > 1
        for name in group
    }


def shown(name: str, label: str, ambiguous: Collection[str] = ()) -> str:
    """Return what a property is called where it can be chosen: its label, the technical name beside it if need be."""
    if not label:
        return name
    return f"{label} ({name})" if name in ambiguous else label


def names_alike(variable: str, catalogue: Mapping[str, str]) -> str | None:
    """Return the property that a template's variable is filled with unless somebody says otherwise; None if none fits.

    A variable that is only a number says nothing.
    """
    return None if variable.isdigit() else laid_to(variable, catalogue)


def reported_as(name: str, catalogue: Mapping[str, str]) -> str | None:
    """Return the property that a name which is new to the catalogue means, by its letters alone; never the phone.

    What an app calls `mobile` may be another number than the one that is written to.
    """
    wanted = plain(name)
    alike = [known for known, label in catalogue.items() if wanted and wanted in (plain(known), plain(label))]
    return min((known for known in alike if known != PHONE), key=_rank, default=None)
