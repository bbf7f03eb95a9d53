"""The edge of the web server: what a request says of itself is believed only from a trusted proxy.

Behind this middleware `request.remote_addr`, `request.host`, `request.scheme` and the request's id are true; headers of
peers that are not trusted are removed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response

from smsapp.domain import log_context
from smsapp.domain.proxies import TrustedProxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER = "X-Request-ID"
BEGUN = "smsapp.begun"
"""In the environment of a request: when it came (time.perf_counter)."""
FORWARDED = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_REQUEST_ID",
)


class Edge:
    """A WSGI application around another one."""

    def __init__(self, app: WSGIApplication, proxies: TrustedProxies) -> None:
        self.app, self.proxies = app, proxies

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[BEGUN] = time.perf_counter()
        forwarded = {name: environ.pop(name) for name in FORWARDED if name in environ}
        request_id = ""
        if forwarded and self.proxies.trusts(environ.get("REMOTE_ADDR", "")):
            request_id = self._believe(environ, forwarded)
        log_context.REQUEST.set(request_id or secrets.token_hex(8))
        return self.app(environ, start_response)

    def _believe(self, environ: WSGIEnvironment, forwarded: dict[str, Any]) -> str:
        """Put what a trusted proxy says into the environment; return the request's id if it has given one."""
        client = self.proxies.client(environ.get("REMOTE_ADDR", ""), forwarded.get("HTTP_X_FORWARDED_FOR", ""))
        environ["REMOTE_ADDR"] = client
        scheme = _last(forwarded.get("HTTP_X_FORWARDED_PROTO", ""))
        if scheme in {"http", "https"}:
            environ["wsgi.url_scheme"] = scheme
        if host := _last(forwarded.get("HTTP_X_FORWARDED_HOST", "")):
            environ["HTTP_HOST"] = host
        request_id: str = forwarded.get("HTTP_X_REQUEST_ID", "")
        return request_id if log_context.is_well_formed(request_id) else ""


def _last(values: str) -> str:
    """Return the value that the nearest proxy has added."""
    return values.rpartition(",")[2].strip()


def init_app(app: Flask, networks: tuple[str, ...]) -> None:
    """Believe proxies of these networks, and give each request its id."""
    app.wsgi_app = Edge(app.wsgi_app, TrustedProxies(networks))  # type: ignore[method-assign]
    app.after_request(_add_request_id)


def _add_request_id(response: Response) -> Response:
    response.headers[HEADER] = log_context.REQUEST.get()
    return response
