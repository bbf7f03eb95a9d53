"""Errors of the API as problem documents (RFC 9457): the sentences of the pages, and codes that do not change."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import marshmallow as ma
from flask import Blueprint, Response, request
from marshmallow import fields
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout
from werkzeug.exceptions import HTTPException

from smsapp import labels
from smsapp.domain import log_context
from smsapp.domain.errors import OutOfTime, Problem, Refusal
from smsapp.labels.api import problem_document
from smsapp.shapes.problems import places, refused, status_of

MIMETYPE = "application/problem+json"
RETRY_SECONDS = 30

log = logging.getLogger(__name__)


class ErrorSchema(ma.Schema):
    """One thing that is wrong, and where."""

    code = fields.String(required=True)
    detail = fields.String(required=True)
    field = fields.String(required=True, metadata={"description": "Place in the request; empty for all of it."})


class ProblemSchema(ma.Schema):
    """Why a request was not carried out. Nothing was changed."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; the sentences are not."})
    detail = fields.String(required=True)
    request = fields.String(required=True, metadata={"description": "Number of the request in the log."})
    errors = fields.List(fields.Nested(ErrorSchema), required=True)


class Refused(Refusal):
    """A refusal of the API itself, with its status."""

    def __init__(self, status: int, code: str, headers: Mapping[str, str] | None = None, **facts: Any) -> None:
        super().__init__(Problem(code, facts=facts))
        self.status, self.headers = status, dict(headers or {})


def answer(status: int, code: str, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> Response:
    """Return a problem document."""
    document = problem_document(status, code, detail, log_context.REQUEST.get(), errors)
    return Response(json.dumps(document, ensure_ascii=False), status, mimetype=MIMETYPE)


def of_refusal(refusal: Refusal) -> Response:
    """Return what services refuse: each problem with its sentence and its place."""
    status = refusal.status if isinstance(refusal, Refused) else status_of(refusal)
    errors = refused(refusal)
    code = errors[0]["code"] if errors else "refused"
    response = answer(status, code, " ".join(error["detail"] for error in errors), errors)
    response.headers.update(refusal.headers if isinstance(refusal, Refused) else {})
    return response


def of_http(error: HTTPException) -> Response | HTTPException:
    """Return what Werkzeug and webargs raise: addresses, methods, bodies that do not fit their description."""
    status = error.code or 500
    if error.response is not None or status < 400:
        return error
    messages = (getattr(error, "data", None) or {}).get("messages")
    if messages:
        detail = labels.sentence(Problem("request_invalid"))
        response = answer(status, "request_invalid", detail, list(places(messages)))
    else:
        response = answer(status, HTTPStatus(status).name.lower(), "")
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def _too_slow(_error: OutOfTime) -> Response:
    log.warning("api.out_of_time endpoint=%s", request.endpoint)
    return _later()


def _no_database(error: SQLAlchemyError) -> Response:
    # Its own text may show what was sent.
    log.error("api.failed endpoint=%s error=%s", request.endpoint, type(error).__name__)
    return _later()


def _later() -> Response:
    response = answer(503, "service_unavailable", "")
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _broken(_error: Exception) -> Response:
    return answer(500, "internal_server_error", "")


def handle(bp: Blueprint) -> None:
    """Answer every error of this blueprint with a problem document."""
    bp.register_error_handler(Refusal, of_refusal)
    bp.register_error_handler(HTTPException, of_http)
    bp.register_error_handler(OutOfTime, _too_slow)
    for kind in (OperationalError, InterfaceError, SQLAlchemyTimeout):
        bp.register_error_handler(kind, _no_database)
    bp.register_error_handler(500, _broken)
