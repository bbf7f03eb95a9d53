"""The ids that log lines carry: which request, which job and which run they belong to."""

from __future__ import annotations

import re
from contextvars import ContextVar

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""A web request, also in the jobs that it has enqueued and in theirs."""
JOB: ContextVar[str] = ContextVar("job", default="")
RUN: ContextVar[str] = ContextVar("run", default="")

_WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}", re.ASCII)


def is_well_formed(request_id: str) -> bool:
    """Return whether an id from outside may be taken over: 8 to 64 letters, digits, dots, dashes, underscores."""
    return _WELL_FORMED.fullmatch(request_id) is not None


def ids() -> dict[str, str]:
    """Return the ids of the present context that there are: request, job, run."""
    return {variable.name: value for variable in (REQUEST, JOB, RUN) if (value := variable.get())}
