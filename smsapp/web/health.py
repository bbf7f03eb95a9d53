"""/healthz and /readyz, for load balancers and supervisors."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from smsapp.services.monitoring import health
from smsapp.web import guard

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@guard.public
def healthz() -> Response:
    """Answer 200 as long as this process answers at all: restart it if not."""
    return jsonify({"alive": True})


@bp.get("/readyz")
@guard.public
def readyz() -> tuple[Response, int]:
    """Answer 200 if pages can be served and jobs be enqueued, else 503; says which part is missing."""
    database, queue, keys = health.database(), health.listeners(), health.keys_are_readable()
    answer = {
        "database": database.answers,
        "schema": database.is_usable,
        "redis": queue.answers,
        "redis_writes": queue.takes_writes,
        "keys": keys,
        "workers": queue.workers,
        "scheduler": queue.scheduler,
    }
    is_ready = database.is_usable and queue.takes_writes and keys
    return jsonify(answer), 200 if is_ready else 503
