"""Opted-out numbers as Amazon's programs print them: with their country code, with or without +.

Sources: AWS End User Messaging SMS API, DescribeOptedOutNumbers (OptedOutNumberInformation); Amazon SNS API,
ListPhoneNumbersOptedOut.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def read(document: Any) -> Iterator[tuple[str, str]]:
    """Yield (number as written, remark) of each number of a document, or of several in a list."""
    parts = [document]
    while parts:
        part = parts.pop()
        if isinstance(part, list):
            parts += reversed(part)
        elif isinstance(part, dict):
            for item in _list(part.get("OptedOutNumbers")):
                yield _item(item)
            for number in _list(part.get("phoneNumbers")):
                yield str(number), ""
            if "OptedOutNumber" in part:
                yield _item(part)
        else:
            yield "" if part is None else str(part), ""


def _item(item: Any) -> tuple[str, str]:
    if not isinstance(item, dict):
        return str(item), ""
    by = "by the person" if item.get("EndUserOptedOut") else "by the account"
    since = item.get("OptedOutTimestamp")
    return str(item.get("OptedOutNumber") or ""), " ".join(["AWS:", *filter(None, (str(since or ""), by))])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
