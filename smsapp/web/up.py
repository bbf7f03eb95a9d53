"""The Ark upload protocol: apps and sites report profiles here with the SDKs they already have.

Public by design: the AppKey inside the records is all that an SDK can show.
"""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from smsapp.domain import ark
from smsapp.domain.errors import OutOfTime
from smsapp.domain.upload_signature import UploadSignature
from smsapp.services.apps import uploads
from smsapp.services.apps.uploads import Answer
from smsapp.services.platform import clock
from smsapp.web.guard import public

bp = Blueprint("up", __name__)

TAKEN = '{"code":200}'
"""The Go SDK compares the answer with exactly these characters."""
LATER = Answer(503, "It took too long; send it again.", 503, 30)
FAILED = '{"code":503}'
AGAIN_SECONDS = 10
"""Retry-After of an answer that the database could not give: SDKs that keep what was not taken send it again."""
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Content-Encoding, X-Requested-With",
    "Access-Control-Max-Age": "86400",
    # The answer is for pages of other origins; the default of this application forbids them to read it.
    "Cross-Origin-Resource-Policy": "cross-origin",
}

log = logging.getLogger(__name__)


@bp.record_once
def _without_csrf(state: BlueprintSetupState) -> None:
    state.app.extensions["csrf"].exempt(bp)


@bp.route("/up", methods=["GET", "POST", "OPTIONS"], strict_slashes=False, provide_automatic_options=False)
@public
def up() -> Response:
    """Take one upload; a record that cannot be kept never costs the good ones beside it."""
    if request.method == "OPTIONS":
        return _answer("", 204)
    appid, now = request.args.get("appid", ""), clock.now()
    if appid and (refusal := uploads.refusal(appid, now)):
        return _response(refusal)
    try:
        return _response(uploads.take(_body(), appid, now, _signature(appid)))
    except ark.Unreadable as unreadable:
        return _response(Answer(unreadable.code, unreadable.text, unreadable.code))
    except OutOfTime:
        log.warning("up.out_of_time")
        return _response(LATER)
    except SQLAlchemyError as error:
        # The message of a database error quotes parameters, and those hold phone numbers.
        log.error("up.failed error=%s", type(error).__name__)
        response = _answer(FAILED, 503)
        response.headers["Retry-After"] = str(AGAIN_SECONDS)
        return response


def _signature(appid: str) -> UploadSignature | None:
    """Return the signature of the request; None if it has none. The body that is signed is the one that travels."""
    signature = request.headers.get("X-Up-Signature")
    if signature is None:
        return None
    query = request.query_string.decode("latin-1")
    return UploadSignature(
        request.headers.get("X-Up-Key", appid),
        request.headers.get("X-Up-Timestamp", ""),
        request.headers.get("X-Up-Nonce", ""),
        signature,
        request.method,
        f"{request.script_root}{request.path}{'?' if query else ''}{query}",
    )


def _body() -> bytes:
    most = uploads.largest_body()
    if request.method == "GET" or ("data" in request.args and not request.content_length):
        return request.args.get("data", "").encode()
    request.max_content_length = most
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise ark.Unreadable(413, f"The body is larger than {most // 2**20} MiB.") from None
    except ClientDisconnected:
        raise ark.Unreadable(400, "The body is cut off.") from None


def _response(answer: Answer) -> Response:
    if answer is uploads.TAKEN:
        return _answer(TAKEN)
    response = _answer(f'{{"code":{answer.code},"msg":"{answer.text}"}}', answer.status)
    if answer.retry_after:
        response.headers["Retry-After"] = str(answer.retry_after)
    return response


def _answer(body: str, status: int = 200) -> Response:
    headers: dict[str, Any] = dict(CORS)
    return Response(body, status, headers, mimetype="application/json")
