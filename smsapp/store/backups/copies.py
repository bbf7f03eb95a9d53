"""What both databases have in common: tables that are counted, what a copy says of itself, files still needed."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.import_state import ImportState
from smsapp.store.contacts.imports import Import

COUNTED = ("app_user", "contact", "segment", "campaign", "run", "opt_out")
GENERATION = "SELECT generation FROM ledger_mark"
REVISION = "SELECT version_num FROM alembic_version"


@dataclass(frozen=True)
class CopyFacts:
    """What a copy holds."""

    revision: str
    generation: int
    counts: dict[str, int]


def uploads_needed(session: Session) -> list[str]:
    """Return the names of the uploaded files whose import has not ended."""
    ended = (ImportState.DONE, ImportState.FAILED)
    paths = session.scalars(sa.select(Import.path).where(Import.state.not_in(ended)))
    return [path for path in paths if "/" not in path]
