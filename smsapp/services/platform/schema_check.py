"""Whether this code may run with the schema of the database: asked before anything else, by every process."""

from __future__ import annotations

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.schema_fit import SchemaFit, schema_fit
from smsapp.store import schema


def problem() -> Problem | None:
    """Return why this code cannot run with the schema, or None. Raises SQLAlchemyError if the database is silent."""
    revisions, known = schema.found_revisions(), schema.known_revisions()
    fit = schema_fit(revisions, known, schema.oldest_code())
    if fit.usable:
        return None
    facts = {"found": next(iter(sorted(filter(None, revisions))), ""), "known": known[-1]}
    return Problem(f"schema_{fit}", facts={} if fit is SchemaFit.EMPTY else facts)


def check() -> None:
    """Raise Refusal if this code cannot run with the schema."""
    if (wrong := problem()) is not None:
        raise Refusal(wrong)
