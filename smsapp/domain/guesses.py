"""Guesses what the columns of an uploaded table are, from their headings and first values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from smsapp.domain import phone
from smsapp.domain.cells import NUMBER, PLAIN_NUMBER, as_moment, json_items, whole_number
from smsapp.domain.contact import PHONE, Type, property_name
from smsapp.domain.invisible import trimmed
from smsapp.domain.property_labels import MEANINGS, laid_to, meaning
from smsapp.domain.rejection import Unfit


@dataclass(frozen=True)
class Guess:
    """The guess for a column: role "id", "phone", "id_phone", "property" or "ignore", property name and type."""

    role: str
    name: str
    type: Type


NOTE_MARK = "✗"
"""Prefix of the headings of our notes in files of refused rows; such columns are ignored."""
IDS = frozenset(
    {
        "xwho",
        "user_id",
        "userid",
        "uid",
        "id",
        "openid",
        "distinct_id",
        "member_id",
        "customer_id",
        "用户id",
        "用户编号",
        "用户标识",
        "会员号",
        "会员编号",
        "会员id",
        "客户编号",
        "客户id",
        "账号",
        "编号",
    }
)
PHONES = frozenset(
    {
        "$phone",
        "phone",
        "mobile",
        "tel",
        "telephone",
        "phonenumber",
        "phone_number",
        "cellphone",
        "mobile_phone",
        "手机",
        "手机号",
        "手机号码",
        "电话",
        "电话号码",
        "联系电话",
        "移动电话",
        "联系方式",
    }
)


def guesses(
    header: Sequence[str],
    samples: Sequence[Sequence[str]],
    types: Mapping[str, Type],
    labels: Mapping[str, str] | None = None,
) -> list[Guess]:
    """Return a guess for each column from its heading and its first values (`samples`, row by row).

    A column whose heading means an existing property (`types`, `labels`: by property name) becomes that property.
    """
    catalogue = dict.fromkeys(types, "") | dict(labels or {})
    columns: list[Guess] = []
    roles: set[str] = set()
    names: set[str] = set()
    for index, heading in enumerate(header):
        values = [text for row in samples if index < len(row) and (text := trimmed(row[index]))]
        plain = trimmed(heading).lower().replace(" ", "_")
        if plain.startswith(NOTE_MARK):
            columns.append(Guess("ignore", f"column_{index + 1}", Type.STRING))
            continue
        if plain in IDS and "id" not in roles:
            roles.add("id")
            columns.append(Guess("id", "", Type.STRING))
            continue
        if "phone" not in roles and (plain in PHONES or (not plain and _mostly_phones(values))):
            roles.add("phone")
            columns.append(Guess("phone", PHONE, Type.STRING))
            continue
        meaning_key = meaning(heading)
        name_wanted = laid_to(heading, catalogue) or (meaning_key if meaning_key in MEANINGS else plain)
        name = _free_name(plain if name_wanted in names else name_wanted, index, names)
        names.add(name)
        columns.append(Guess("property" if plain or values else "ignore", name, types.get(name) or _type_of(values)))
    if "id" not in roles:
        _guess_id(columns)
    return columns


def _guess_id(columns: list[Guess]) -> None:
    """Make the phone column, if there is one, the id as well: for tables without a column that looks like an id."""
    for index, guess in enumerate(columns):
        if guess.role == "phone":
            columns[index] = Guess("id_phone", PHONE, Type.STRING)
            return


def _free_name(name_hint: str, index: int, names: Collection[str]) -> str:
    try:
        name = property_name(re.sub(r"[^\w$]+", "_", name_hint).strip("_"))
    except Unfit:
        name = f"column_{index + 1}"
    return name if name not in names else f"{name}_{index + 1}"


def _mostly_phones(values: Sequence[str]) -> bool:
    return bool(values) and sum(bool(phone.normalise(whole_number(value))) for value in values) * 2 > len(values)


def _type_of(values: Sequence[str]) -> Type:
    """Return the narrowest type that fits all values; digits with a leading zero, or more than 15, are text."""
    if not values:
        return Type.STRING
    if all(PLAIN_NUMBER.fullmatch(value) or (NUMBER.fullmatch(value) and value[:1] != "0") for value in values):
        return Type.STRING if _mostly_phones(values) or any(len(value) > 15 for value in values) else Type.NUMBER
    if all(value.lower() in {"true", "false", "是", "否"} for value in values):
        return Type.BOOL
    if all(map(as_moment, values)):
        return Type.DATETIME
    if all(json_items(value) is not None for value in values):
        return Type.LIST
    return Type.STRING


def has_header(first: Sequence[str]) -> bool:
    """Return whether the first row of a file looks like headings: words, each once, no numbers, no phones."""
    cells = [trimmed(cell) for cell in first]
    words = [cell for cell in cells if cell]
    if not words:
        return False
    if any(_is_heading(cell) for cell in words):
        return True
    if len(set(words)) < len(words):
        return False
    return not any(any(map(str.isdigit, cell[:1])) or phone.normalise(cell) or as_moment(cell) for cell in words)


def _is_heading(cell: str) -> bool:
    return cell.lower() in IDS | PHONES or meaning(cell) in MEANINGS or cell.startswith(NOTE_MARK)
