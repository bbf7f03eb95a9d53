"""Roles of people and their permissions, and the rules for logins and passwords."""

from __future__ import annotations

import enum
import re

from zxcvbn import zxcvbn

from smsapp.domain.errors import Problem


class Role(enum.StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


RANKS = tuple(Role)
"""In ascending order; a role may do everything that those before it may."""

SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
MEASURED = 72
"""Characters that zxcvbn reads at most."""
LEAST_SCORE = 2
"""Of zxcvbn's scores 0 to 4; below 2 a password is among the first million guesses."""
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,59}")


def reaches(role: Role, needed: Role) -> bool:
    """Return whether a person with `role` may do what requires `needed`."""
    return RANKS.index(role) >= RANKS.index(needed)


def sees_numbers(role: Role, granted: bool) -> bool:
    """Return whether phone numbers are shown in full: to administrators, and to those who were granted it."""
    return granted or role is Role.ADMINISTRATOR


def plain_login(login: str) -> str:
    """Return a login as it is stored and compared: in lower case, without blanks around it."""
    return login.strip().lower()


def login_problems(login: str) -> list[Problem]:
    """Return the problems of a login in its plain form."""
    return [] if _LOGIN.fullmatch(login) else [Problem("login_unusable", "login")]


def password_problems(password: str, login: str) -> list[Problem]:
    """Return the problems of a password: it must be long, not a mix of characters (NIST SP 800-63B)."""
    if len(password) < SHORTEST_PASSWORD:
        return [Problem("password_short", "password", {"least": SHORTEST_PASSWORD})]
    if len(password) > LONGEST_PASSWORD:
        return [Problem("password_long", "password", {"most": LONGEST_PASSWORD})]
    if login and len(password.lower().replace(login, "")) < SHORTEST_PASSWORD // 2:
        return [Problem("password_is_login", "password")]
    if len(set(password)) < 4 or zxcvbn(password[:MEASURED], user_inputs=[login, "smsapp"])["score"] < LEAST_SCORE:
        return [Problem("password_common", "password")]
    return []
