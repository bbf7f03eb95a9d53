"""The column type of a run's snapshot."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.store.db import Json


class SnapshotJson(sa.types.TypeDecorator[RunSnapshot]):
    """A run's snapshot, stored as JSON."""

    impl = Json
    cache_ok = True

    def process_bind_param(self, value: RunSnapshot | None, dialect: sa.Dialect) -> dict[str, Any]:
        return (value or RunSnapshot()).as_json()

    def process_result_value(self, value: dict[str, Any] | None, dialect: sa.Dialect) -> RunSnapshot:
        return RunSnapshot() if value is None else RunSnapshot.from_json(value)
