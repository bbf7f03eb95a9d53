"""Roles of people, and the rules for logins."""

from __future__ import annotations

import enum
import re

from smsapp.domain.errors import Problem


class Role(enum.StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    """An operator who also takes the second look: at texts typed in, and at runs that were held for a change."""
    ADMINISTRATOR = "administrator"


RANKS = tuple(Role)
"""In ascending order; a role may do everything that those before it may (domain/rights.py)."""

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,59}")


def reaches(role: Role, needed: Role) -> bool:
    """Return whether a person with `role` may do what requires `needed`."""
    return RANKS.index(role) >= RANKS.index(needed)


def plain_login(login: str) -> str:
    """Return a login as it is stored and compared: in lower case, without blanks around it."""
    return login.strip().lower()


def login_problems(login: str) -> list[Problem]:
    """Return the problems of a login in its plain form."""
    return [] if _LOGIN.fullmatch(login) else [Problem("login_unusable", "login")]
