"""What the form of a Tencent channel takes."""

from __future__ import annotations

import pytest

from smsapp.channels.tencent import Tencent


@pytest.mark.parametrize(
    ("name", "typed", "fits"),
    [
        ("app_id", "14000066zz", False),
        ("app_id", "1400006666", True),
        ("app_id", "1400 006666", False),
        ("extension", "12a", False),
        ("extension", "0012", True),
    ],
)
def test_numbers_of_the_account_are_refused_when_they_are_saved_if_they_are_none(
    name: str, typed: str, fits: bool
) -> None:
    (setting,) = [setting for setting in Tencent.settings if setting.name == name]
    assert (setting.problem(typed) is None) is fits
