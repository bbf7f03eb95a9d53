"""Roles, logins and passwords."""

from __future__ import annotations

import pytest

from smsapp.domain import roles
from smsapp.domain.errors import Problem


@pytest.mark.parametrize("login", ["wei", "wei@example.com", "a.b-c_d+e", "42", "x" * 60])
def test_usable_logins(login: str) -> None:
    assert roles.login_problems(login) == []


@pytest.mark.parametrize("login", ["", "a", "Wei", "with blank", "小伟", "-wei", "x" * 61, "wei\n"])
def test_unusable_logins(login: str) -> None:
    assert roles.login_problems(login) == [Problem("login_unusable", "login")]


def test_a_login_is_compared_without_case_and_blanks() -> None:
    assert roles.plain_login("  WEI@Example.com ") == "wei@example.com"
