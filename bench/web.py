"""The product's web application, with the kinds of channels and the empty endpoints that only measurements need."""

import marshmallow as ma
from flask import request

import bench.worker  # noqa: F401
from smsapp.api.door import operation
from smsapp.domain.api_key import Scope
from smsapp.web.guard import public


@operation("GET", "/bench-empty", Scope.READ, "bench", answer=ma.Schema)
def empty_with_a_key() -> dict[str, str]:
    """Do nothing for a key that may read: the bound of every operation of the API."""
    return {}


from wsgi import app  # noqa: E402  once the operation is there


@public
def _empty() -> str:
    """Read a request and do nothing: the bound of every other endpoint of this server."""
    request.get_data(cache=False)
    return "{}"


app.add_url_rule("/bench/empty", view_func=_empty, methods=["POST"])
app.extensions["csrf"].exempt(f"{_empty.__module__}.{_empty.__name__}")

__all__ = ["app"]
