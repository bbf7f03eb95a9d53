"""/healthz, for load balancers and supervisors: whether pages can be served and jobs be enqueued."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from smsapp.services import health
from smsapp.web import guard

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@guard.public
def healthz() -> tuple[Response, int]:
    """Answer 200 if the database has this code's schema and Redis takes writes, else 503; says which one it is."""
    database, queue = health.database(), health.listeners()
    answer = {
        "database": database.answers,
        "schema": database.up_to_date,
        "redis": queue.answers,
        "redis_writes": queue.takes_writes,
        "workers": queue.workers,
        "scheduler": queue.scheduler,
    }
    ready = database.up_to_date and queue.takes_writes
    return jsonify(answer), 200 if ready else 503
