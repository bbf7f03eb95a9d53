"""What rows with a scope and signatures (domain/scope.py) cover, as conditions of SQL; the same on both databases."""

from __future__ import annotations

from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from smsapp.domain.scope import Scope

Column: TypeAlias = InstrumentedAttribute[str]


def covers(
    scope: Column, signatures: Column, marketing: sa.ColumnElement[bool], signature: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """Return the condition that a row covers a text of this signature (without brackets), marketing or not."""
    return sa.or_(
        scope == Scope.EVERYTHING,
        sa.and_(scope == Scope.MARKETING, marketing),
        includes(signatures, sa.literal("【") + signature + sa.literal("】")),
    )


def includes(signatures: Any, part: Any) -> sa.ColumnElement[bool]:
    """Return the condition that stored signatures hold this part, which is not empty."""
    condition: sa.ColumnElement[bool] = sa.func.replace(signatures, part, "") != signatures
    return condition
