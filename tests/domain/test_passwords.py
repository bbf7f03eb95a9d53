"""Rules of passwords: what is guessed first is refused, in English and in Chinese, with the reason."""

from __future__ import annotations

import pytest

from smsapp.domain import passwords
from smsapp.domain.errors import Problem


@pytest.mark.parametrize(
    "password", ["一句只有自己知道的话很好记", "correct horse battery", "x9$kLq2!vB", "xiaomao xihuan chi yu"]
)
def test_good_passwords(password: str) -> None:
    assert passwords.password_problems(password, "wei") == []


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
        ("woaini1314520", "password_common"),
        ("Woaini1314", "password_common"),
        ("5201314520", "password_common"),
        ("52013145201314", "password_common"),
        ("laopowoaini", "password_common"),
        ("zhangwei1988", "password_common"),
        ("liu19880808", "password_common"),
        ("7894561230", "password_common"),
        ("beijing2008", "password_common"),
        ("weixin123456", "password_common"),
        ("wo520aini1314", "password_common"),
    ],
)
def test_bad_passwords_are_refused_with_the_reason(password: str, code: str) -> None:
    assert [problem.code for problem in passwords.password_problems(password, "wei.yang")] == [code]


@pytest.mark.parametrize(
    ("password", "login", "problems"),
    [
        ("x9$kLq2!v", "wei", [Problem("password_short", "password", {"least": 10})]),
        ("x9$kLq2!vB", "wei", []),
        ("x9$kLq2!vB" * 20, "wei", []),
        ("x9$kLq2!vB" * 20 + "1", "wei", [Problem("password_long", "password", {"most": 200})]),
        # what remains beside the login must be five characters at least
        ("Wei.Yang7q4x", "wei.yang", [Problem("password_is_login", "password")]),
        ("wei.yang7q4xzKm", "wei.yang", []),
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
    assert passwords.password_problems(password, login) == problems
