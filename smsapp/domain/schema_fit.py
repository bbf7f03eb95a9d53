"""Whether code may run with the schema it finds: old and new processes run side by side for one version."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence


class SchemaFit(enum.StrEnum):
    """How the schema of a database fits this code."""

    SAME = "same"
    COMPATIBLE = "compatible"
    """It is newer, and declared to work with this code."""
    EMPTY = "empty"
    HALF = "half"
    """An upgrade has changed one of the database's two files only."""
    OLDER = "older"
    NEWER = "newer"
    """It is newer, and not declared to work with this code."""

    @property
    def usable(self) -> bool:
        """Whether this code may run with it."""
        return self in {SchemaFit.SAME, SchemaFit.COMPATIBLE}


def schema_fit(revisions: Collection[str], known: Sequence[str], oldest_code: str) -> SchemaFit:
    """Return how the schema fits.

    `revisions`: the revision of each file of the database, "" if it has none. `known`: the revisions of this code,
    oldest first. `oldest_code`: the newest revision of the oldest code that may run with this schema; the schema says.
    """
    if set(revisions) == {""}:
        return SchemaFit.EMPTY
    if len(set(revisions)) > 1:
        return SchemaFit.HALF
    (revision,) = set(revisions)
    if revision == known[-1]:
        return SchemaFit.SAME
    if revision in known:
        return SchemaFit.OLDER
    return SchemaFit.COMPATIBLE if oldest_code in known else SchemaFit.NEWER
