"""Claims of a provider: the role they stand for, and a login and name for a new person."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from smsapp.domain import provider_claims
from smsapp.domain.roles import Role

ROLES = {"sms-admins": "administrator", "sms-team": "operator", "CN=Marketing,OU=Groups": "viewer"}


@pytest.mark.parametrize(
    ("claims", "claim", "role"),
    [
        ({"groups": ["sms-team"]}, "groups", Role.OPERATOR),
        ({"groups": ["sms-team", "sms-admins", "others"]}, "groups", Role.ADMINISTRATOR),
        ({"groups": "sms-team"}, "groups", Role.OPERATOR),
        ({"groups": ["CN=Marketing,OU=Groups"]}, "groups", Role.VIEWER),
        ({"realm_access": {"roles": ["sms-admins"]}}, "realm_access.roles", Role.ADMINISTRATOR),
        ({"https://example.com/roles": ["sms-team"]}, "https://example.com/roles", Role.OPERATOR),
        ({"groups": ["SMS-ADMINS"]}, "groups", None),
        ({"groups": ["administrator"]}, "groups", None),
        ({"groups": []}, "groups", None),
        ({"groups": None}, "groups", None),
        ({"groups": [{"name": "sms-admins"}, 7]}, "groups", None),
        ({"groups": {"sms-admins": True}}, "groups", None),
        ({"realm_access": "sms-admins"}, "realm_access.roles", None),
        ({}, "groups", None),
    ],
)
def test_the_highest_role_that_a_claim_stands_for(claims: dict[str, Any], claim: str, role: Role | None) -> None:
    assert provider_claims.role_of(claims, claim, ROLES) is role


@pytest.mark.parametrize(
    ("claims", "login"),
    [
        ({"preferred_username": "Wei.Yang", "email": "x@example.com"}, "wei.yang"),
        ({"preferred_username": "杨伟", "email": "Wei@Example.com"}, "wei@example.com"),
        ({}, "user-ef2d127d"),
        ({"preferred_username": "a b", "email": ""}, "user-ef2d127d"),
    ],
)
def test_a_new_person_gets_a_login_that_is_one(claims: dict[str, Any], login: str) -> None:
    assert provider_claims.login_of(claims, "5") == login


def test_a_login_that_is_taken_gets_a_number() -> None:
    assert list(islice(provider_claims.other_logins("wei"), 2)) == ["wei-2", "wei-3"]
    assert len(next(provider_claims.other_logins("x" * 60))) <= provider_claims.LONGEST_LOGIN


def test_a_name_stands_on_one_line() -> None:
    assert provider_claims.name_of({"name": " Olga \n B. "}, "olga") == "Olga B."
    assert provider_claims.name_of({"name": ""}, "olga") == "olga"
    assert len(provider_claims.name_of({"name": "x" * 500}, "olga")) == 60
