"""Words of the HTTP API: its keys, and what it says of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smsapp.domain.api_key import KeyState, Scope
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "api_key_name": _l("Give the key a name of at most %(most)s characters."),
    "api_key_scopes": _l("Choose what the key may do."),
    "api_key_days": _l("A key expires after 1 to %(most)s days, or never."),
    "api_key_per_minute": _l("Allow 1 to %(most)s requests a minute."),
    "api_key_exists": _l("“%(name)s” is the name of another key. Choose another one."),
    "key_missing": _l("Send an API key, as Authorization: Bearer sms_live_…"),
    "key_unknown": _l("This API key does not count: it is not known, was revoked, or has expired."),
    "scope_missing": _l("This API key may not do that. It needs the scope “%(scope)s”."),
    "test_key": _l("This is a test key: it reaches channels of the simulator only."),
    "too_many_requests": _l("This key may make %(limit)s requests a minute. Wait %(seconds)s seconds."),
    "idempotency_runs": _l("A request with this Idempotency-Key is going on. Send it again in a moment."),
    "idempotency_other": _l("This Idempotency-Key was used for another request. Choose a new one."),
    "idempotency_done": _l("This was done before; the answer of that time is lost. Look at what there is."),
    "request_invalid": _l("The request does not fit its description. The errors name each place."),
    "review_stale": _l("What was reviewed has changed since. Get the estimate again and confirm its digest."),
    "contacts_refused": _l("Nothing of this contact could be kept: %(reason)s."),
    "single_marketing": _l("Marketing goes out as a campaign. Choose a template for notifications or verification."),
}

STATUS_TITLES = {
    400: _l("This request could not be read"),
    401: _l("An API key is needed"),
    403: _l("This API key may not do that"),
    404: _l("It is not there"),
    405: _l("This address does not take this method"),
    409: _l("This was not done"),
    413: _l("This request is too large"),
    415: _l("Send JSON"),
    422: _l("This was not done"),
    429: _l("Too many requests"),
    500: _l("Something went wrong here"),
    503: _l("Try again in a minute"),
}
"""Status -> the title of a problem document."""

LABELS = {
    Scope.READ: _l("Read"),
    Scope.DRAFT: _l("Draft only"),
    Scope.WRITE: _l("Write"),
    Scope.CONFIRM: _l("Confirm"),
    KeyState.ACTIVE: _l("Active"),
    KeyState.EXPIRED: _l("Expired"),
    KeyState.REVOKED: _l("Revoked"),
}


def problem_document(
    status: int, code: str, detail: str, request: str, errors: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return a problem as RFC 9457 describes it; `code` never changes its meaning, the sentences may."""
    title = STATUS_TITLES.get(status, STATUS_TITLES[400 if status < 500 else 500])
    return {
        "type": f"/api/#{code}",
        "title": str(title),
        "status": status,
        "code": code,
        "detail": detail or str(title),
        "request": request,
        "errors": [dict(error) for error in errors],
    }
