"""What a provider's claims say: the role of a person here, and a login for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from smsapp.domain.roles import RANKS, Role, login_problems, plain_login

LOGIN_CLAIMS = ("preferred_username", "email")
LONGEST_LOGIN = 60
LONGEST_NAME = 60


def read_roles(raw: str) -> tuple[tuple[str, str], ...]:
    """Return the (value, role) pairs of "value=role;value=role"; raises ValueError.

    Semicolons, and the last = of each pair: a value may be a name of a directory, CN=A,OU=B.
    """
    pairs = [pair.rpartition("=") for pair in raw.split(";") if pair.strip()]
    roles = tuple((value.strip(), role.strip()) for value, _equals, role in pairs)
    if any(not value or role not in RANKS for value, role in roles):
        raise ValueError(f"must be value=role pairs separated by semicolons, with the roles {', '.join(RANKS)}")
    return roles


def role_of(claims: Mapping[str, Any], claim: str, roles: Mapping[str, str]) -> Role | None:
    """Return the highest role that a value of this claim stands for; None if none does.

    `claim` may be a path, such as realm_access.roles; `roles` are the values and the roles they stand for.
    """
    granted = [Role(roles[value]) for value in _values(claims, claim) if value in roles]
    return max(granted, key=RANKS.index, default=None)


def _values(claims: Mapping[str, Any], claim: str) -> list[str]:
    """Return the values of a claim: one text, or a list of them. A name with dots is first taken as it is."""
    value: Any = claims.get(claim)
    if value is None and "." in claim:
        value = claims
        for name in claim.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, str)]


def login_of(claims: Mapping[str, Any], subject: str) -> str:
    """Return the login for a new person in its plain form: a claim that is usable as one, else one made up."""
    for claim in LOGIN_CLAIMS:
        login = plain_login(str(claims.get(claim) or ""))
        if not login_problems(login):
            return login
    return "user-" + hashlib.sha256(subject.encode()).hexdigest()[:8]


def other_logins(login: str) -> Iterator[str]:
    """Yield the login with a number behind it, again and again: somebody else may have it already."""
    number = 2
    while True:
        yield f"{login[: LONGEST_LOGIN - 6]}-{number}"
        number += 1


def name_of(claims: Mapping[str, Any], login: str) -> str:
    """Return the name of a new person, on one line."""
    return re.sub(r"\s+", " ", str(claims.get("name") or "")).strip()[:LONGEST_NAME] or login
