"""The progress of an uploaded file of contacts."""

from __future__ import annotations

import enum


class ImportState(enum.StrEnum):
    """The progress of a file of contacts."""

    RECEIVED = "received"
    """Stored; its format is not recognised yet."""
    UPLOADED = "uploaded"
    """Recognised; a person has to say what its columns mean."""
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
