"""A form that was sent without a session or with an expired token is shown again with what was typed.

`POST address?refill=1` is answered as GET: nothing is changed, and the page's form holds the fields of the body.
The sign-in page carries them along in hidden fields, because nothing may be stored for somebody who is not signed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Flask, current_app, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REFILL = "refill"
CARRIED = "typed:"
"""Prefix of hidden fields that carry what was typed through the sign-in page."""
SECRETS = "secret-field"
"""The name of hidden fields whose values name the password fields of their form: those are never carried."""
DROPPED = frozenset({"csrf_token", SECRETS})

Fields = list[tuple[str, str]]


class Refill:
    """A WSGI middleware that turns `POST ?refill=1` into a GET with a body."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, as a GET if `refill=1` is in its query."""
        query = environ.get("QUERY_STRING", "")
        if environ["REQUEST_METHOD"] == "POST" and REFILL in query and (REFILL, "1") in parse_qsl(query):
            environ["REQUEST_METHOD"] = "GET"
            environ["smsapp.refill"] = True
        return self.app(environ, start_response)


def init_app(app: Flask) -> None:
    """Install the middleware."""
    app.wsgi_app = Refill(app.wsgi_app)  # type: ignore[method-assign]


def is_refill() -> bool:
    """Return whether this GET carries the fields of a form that is to be shown again."""
    return "smsapp.refill" in request.environ


def form_page() -> str:
    """Return the address of the page whose form was just sent here; "" if this address has no page."""
    try:
        current_app.url_map.bind_to_environ(request.environ).match(method="GET")
    except HTTPException:
        return ""
    query = [(name, value) for name, value in request.args.items(multi=True) if name != REFILL]
    return request.path + ("?" + urlencode(query) if query else "")


def sent_fields() -> Fields:
    """Return what this form holds, without its secrets; empty if it is too large, or was sent by another site."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return []
    try:
        fields = [(name, value) for name, value in request.form.items(multi=True)]
    except RequestEntityTooLarge:
        return []
    secrets = {value for name, value in fields if name == SECRETS}
    return [(name, value) for name, value in fields if name not in DROPPED | secrets]


def carried_fields() -> Fields:
    """Return what the sign-in page carries for the form after it."""
    sent = request.form.items(multi=True)
    return [(name.removeprefix(CARRIED), value) for name, value in sent if name.startswith(CARRIED)]


def refill_address(address: str) -> str:
    """Return the address that shows the form of this page again."""
    return f"{address}{'&' if urlsplit(address).query else '?'}{REFILL}=1"


def formdata() -> dict[str, Any]:
    """Return the keyword arguments for a form: `formdata` if it is shown again, else none."""
    return {"formdata": request.form} if is_refill() else {}
