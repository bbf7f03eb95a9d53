"""Roles, logins and passwords."""

from __future__ import annotations

import pytest

from smsapp.domain import roles
from smsapp.domain.errors import Problem
from smsapp.domain.roles import Role


def test_a_role_may_do_what_lesser_ones_may() -> None:
    allowed = {(a, b) for a in Role for b in Role if roles.reaches(a, b)}
    assert allowed == {
        (Role.VIEWER, Role.VIEWER),
        (Role.OPERATOR, Role.VIEWER),
        (Role.OPERATOR, Role.OPERATOR),
        (Role.ADMINISTRATOR, Role.VIEWER),
        (Role.ADMINISTRATOR, Role.OPERATOR),
        (Role.ADMINISTRATOR, Role.ADMINISTRATOR),
    }


def test_numbers_are_whole_for_administrators_and_whom_they_trust() -> None:
    assert roles.sees_numbers(Role.ADMINISTRATOR, False)
    assert roles.sees_numbers(Role.VIEWER, True)
    assert not roles.sees_numbers(Role.OPERATOR, False)


@pytest.mark.parametrize("login", ["wei", "wei@example.com", "a.b-c_d+e", "42", "x" * 60])
def test_usable_logins(login: str) -> None:
    assert roles.login_problems(login) == []


@pytest.mark.parametrize("login", ["", "a", "Wei", "with blank", "小伟", "-wei", "x" * 61, "wei\n"])
def test_unusable_logins(login: str) -> None:
    assert roles.login_problems(login) == [Problem("login_unusable", "login")]


def test_a_login_is_compared_without_case_and_blanks() -> None:
    assert roles.plain_login("  WEI@Example.com ") == "wei@example.com"


@pytest.mark.parametrize("password", ["一句只有自己知道的话很好记", "correct horse battery", "x9$kLq2!vB"])
def test_good_passwords(password: str) -> None:
    assert roles.password_problems(password, "wei") == []


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_short"),
        ("x1" * 101, "password_long"),
        ("wei.yang12wei.yang", "password_is_login"),
        ("abababababab", "password_common"),
        ("1234567890", "password_common"),
        ("password123", "password_common"),
        ("1234567890a", "password_common"),
        ("qwertyuiop", "password_common"),
        ("administrator", "password_common"),
        ("iloveyou123", "password_common"),
        ("smsappsmsapp", "password_common"),
    ],
)
def test_bad_passwords_are_refused_with_the_reason(password: str, code: str) -> None:
    assert [problem.code for problem in roles.password_problems(password, "wei.yang")] == [code]


@pytest.mark.parametrize(
    ("password", "login", "problems"),
    [
        ("x9$kLq2!v", "wei", [Problem("password_short", "password", {"least": 10})]),
        ("x9$kLq2!vB", "wei", []),
        ("x9$kLq2!vB" * 20, "wei", []),
        ("x9$kLq2!vB" * 20 + "1", "wei", [Problem("password_long", "password", {"most": 200})]),
        # what remains beside the login must be five characters at least
        ("Wei.Yang7q4x", "wei.yang", [Problem("password_is_login", "password")]),
        ("wei.yang7q4xz", "wei.yang", []),
        ("wei.yang7q4x", "", []),
        ("aaabbbcccaaabbbccc", "wei", [Problem("password_common", "password")]),
        ("password12", "wei", [Problem("password_common", "password")]),
        # a login is guessed first, and so is the name of the product
        ("smsapp2026", "wei", [Problem("password_common", "password")]),
    ],
)
def test_what_is_wrong_with_a_password_is_said_with_the_limits(
    password: str, login: str, problems: list[Problem]
) -> None:
    assert roles.password_problems(password, login) == problems
