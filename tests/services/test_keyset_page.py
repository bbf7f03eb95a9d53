"""A keyset page: as many rows as fit, and where the next page begins."""

from __future__ import annotations

import pytest

from smsapp.services.platform import keyset_page
from smsapp.services.platform.keyset_page import KeysetPage


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], KeysetPage([])),
        ([9], KeysetPage([9])),
        ([9, 7], KeysetPage([9, 7])),
        ([9, 7, 5], KeysetPage([9, 7], "7")),
        ([9, 7, 5, 3], KeysetPage([9, 7], "7")),
    ],
    ids=["no row", "fewer than a page", "exactly a page", "one more", "many more"],
)
def test_the_next_page_begins_behind_the_last_row_if_there_is_another(
    rows: list[int], expected: KeysetPage[int, str]
) -> None:
    assert keyset_page.cut(rows, 2, str) == expected
