"""The product's web application, with the kinds of channels and the empty endpoint that only measurements need."""

from flask import request

import bench.worker  # noqa: F401
from smsapp.web.guard import public
from wsgi import app


@public
def _empty() -> str:
    """Read a request and do nothing: the bound of every other endpoint of this server."""
    request.get_data(cache=False)
    return "{}"


app.add_url_rule("/bench/empty", view_func=_empty, methods=["POST"])
app.extensions["csrf"].exempt(f"{_empty.__module__}.{_empty.__name__}")

__all__ = ["app"]
