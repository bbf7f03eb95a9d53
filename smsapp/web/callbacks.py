"""Callbacks of providers: stored as they came, then acknowledged; nothing is decided here."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from smsapp.domain.errors import NotFound, Refusal
from smsapp.services.platform import clock
from smsapp.services.receipts import callbacks
from smsapp.web.guard import public

bp = Blueprint("callbacks", __name__)

LARGEST = 64 * 1024
MOST_FIELDS = 1000
"""Parameters of a query or form; a request with more is refused before it is parsed."""
AGAIN_SECONDS = 60
"""Retry-After of an answer with status 503."""

log = logging.getLogger(__name__)


@bp.record_once
def _without_csrf(state: BlueprintSetupState) -> None:
    state.app.extensions["csrf"].exempt(bp)


@bp.route("/callbacks/<token>", methods=["GET", "POST", "HEAD"], provide_automatic_options=False)
@public
def take(token: str) -> Response:
    """Store one callback. The token alone identifies the channel; an unknown one is answered with 404."""
    request.max_content_length = LARGEST
    try:
        body = request.get_data(cache=False)
        if request.query_string.count(b"&") >= MOST_FIELDS or _form_fields(body) > MOST_FIELDS:
            raise RequestEntityTooLarge
        answer = callbacks.take(
            token,
            request.method,
            request.query_string.decode("latin-1"),
            dict(request.headers),
            body,
            request.url,
            clock.now(),
        )
    except NotFound:
        return _plain("Nobody is called here.", 404)
    except Refusal as refusal:
        is_forged = refusal.problems[0].code == "callback_refused"
        return _plain("The signature is wrong.", 403) if is_forged else _plain("Try again later.", 503)
    except RequestEntityTooLarge:
        return _plain(f"A callback has at most {LARGEST // 1024} KiB and {MOST_FIELDS} parameters.", 413)
    except ClientDisconnected:
        return _plain("The body is cut off.", 400)
    except Exception as error:
        # The provider tries again later; the text of a database error would show what it sent.
        log.error("callback.failed error=%s", type(error).__name__)
        return _plain("Try again later.", 503)
    return Response(answer.body, answer.status, content_type=answer.content_type)


def _form_fields(body: bytes) -> int:
    """Return how many parameters a form has; 0 for JSON and XML, which begin with a bracket."""
    return 0 if body[:100].lstrip()[:1] in {b"{", b"[", b"<"} else body.count(b"&") + 1


def _plain(text: str, status: int) -> Response:
    later = {"Retry-After": str(AGAIN_SECONDS)} if status == 503 else None
    return Response(text + "\n", status, later, mimetype="text/plain")
