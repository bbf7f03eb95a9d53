"""A complete answer, and the error its HTTP status alone stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smsapp.channels.errors import AccountError, OutcomeUnknown, Throttled
from smsapp.domain.outcome import Outcome


class HttpAnswer:
    """A complete answer: `status`, `headers` (names in any case), `body`."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status} {len(self.body)} bytes>"

    def text(self) -> str:
        """Return the body decoded as UTF-8; invalid bytes are replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body parsed as JSON; raises ValueError."""
        return json.loads(self.body)

    def fields(self) -> dict[str, Any]:
        """Return the body parsed as a JSON object; {} if it is anything else."""
        try:
            parsed = self.json()
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


STATUSES: dict[int, Outcome] = {
    # statuses after which the run is held until a person acts, whatever the body says
    401: Outcome.CREDENTIALS,
    402: Outcome.BALANCE,
    403: Outcome.CREDENTIALS,
    404: Outcome.OUR_FAULT,
    405: Outcome.OUR_FAULT,
    407: Outcome.CREDENTIALS,
    410: Outcome.OUR_FAULT,
    415: Outcome.OUR_FAULT,
}


def retry_after(answer: HttpAnswer) -> float | None:
    """Return the seconds in the Retry-After header, 0..3600; None if there is no number."""
    try:
        return min(max(float(answer.headers.get("Retry-After", "")), 0.0), 3600.0)
    except ValueError:
        return None


def raise_for_status(answer: HttpAnswer, code: str = "") -> None:
    """Raise the ChannelError for the status unless it is 2xx: for answers whose body says nothing beyond `code`."""
    code = code or f"HTTP {answer.status}"
    if answer.status == 429:
        raise Throttled(code, outcome=Outcome.THROTTLED, retry_after=retry_after(answer))
    if answer.status >= 500:
        raise OutcomeUnknown(code, outcome=Outcome.PROVIDER_FAULT)
    if answer.status >= 300:
        raise AccountError(code, outcome=STATUSES.get(answer.status, Outcome.OUR_FAULT))
