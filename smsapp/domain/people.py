"""People and their roles: who may do what."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


RANKS = tuple(Role)
"""From the least to the most; a role may do everything that those before it may."""


def reaches(role: Role, needed: Role) -> bool:
    """Return whether a person with `role` may do what asks for `needed`."""
    return RANKS.index(role) >= RANKS.index(needed)


def sees_numbers(role: Role, granted: bool) -> bool:
    """Return whether phone numbers are shown in full: to administrators, and to those who were granted it."""
    return granted or role is Role.ADMINISTRATOR
