"""Error pages: what happened, and what to do."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, flash, jsonify, request, session
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFError, generate_csrf
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout
from werkzeug.exceptions import HTTPException

from smsapp import labels
from smsapp.domain import log_context
from smsapp.domain.errors import NotFound, OutOfTime, Refusal
from smsapp.domain.rights import Forbidden, roles_with
from smsapp.labels.api import problem_document
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web import guard, refill
from smsapp.web.language import LANGUAGES
from smsapp.web.render import page, wants_piece

bp = Blueprint("errors", __name__)
log = logging.getLogger(__name__)


NO_ANSWER = (OperationalError, InterfaceError, SQLAlchemyTimeout)
"""Errors of a database that is away, full, or has no connection left."""
RETRY_SECONDS = 30
"""Retry-After of an answer with status 503."""
EXPLANATIONS: dict[int, tuple[Any, ...]] = {
    400: (_l("This request could not be read"), _l("Go back, load the page again and try once more.")),
    403: (
        _l("Your role does not allow this"),
        _l("Nothing was changed. Ask an administrator if you need to do this."),
    ),
    404: (
        _l("There is no such page"),
        _l("The address may be mistyped, or what was here has been deleted. Use the menu to look for it."),
    ),
    405: (_l("This address cannot be opened directly"), _l("Go back and use the button on the page.")),
    413: (
        _l("This file is too large"),
        _l("Split it into smaller files, or ask the people who run this application to raise MAX_UPLOAD_MB."),
    ),
    414: (
        _l("This address is too long"),
        _l("Go back and choose fewer filters; long texts belong into a form, not into an address."),
    ),
    429: (_l("Too many attempts"), _l("Wait a few minutes, then try again.")),
    500: (
        _l("Something went wrong here"),
        _l("It is not your fault, and it has been written to the log. Try again in a moment."),
        _l("If it happens again, tell the number of the request below to the people who run this application."),
    ),
}
"""Status: title and sentences, each of which says what happened or what to do."""
TOO_SLOW = (
    _l("This took too long"),
    _l("It was stopped, and nothing was changed. Try again in a minute, or ask for less, such as a shorter time."),
    _l("If it happens again, tell the number of the request below to the people who run this application."),
)
NO_DATABASE = (
    _l("The database does not answer"),
    _l("It is away, busy or out of space. Nothing was changed; campaigns and receipts go on once it is back."),
    _l("Go back and try again in a minute: what you have typed is still there."),
    _l("If it happens again, tell the number of the request below to the people who run this application."),
)


def _is_machine() -> bool:
    accepts = request.accept_mimetypes
    return request.blueprint in guard.MACHINES or _is_of_api() or accepts.best == "application/json"


def _is_of_api() -> bool:
    """Return whether the address is one of the HTTP API, or would be if it were there."""
    return request.path.startswith("/api/")


def _error_page(status: int, title: object, *sentences: object) -> Response:
    """Return the page, the piece for htmx, or JSON for a machine."""
    if _is_machine():
        return _for_machines(status, title)
    if wants_piece():
        return page("errors/_piece.html", status, sentences=[title, *sentences])
    try:
        return page("errors/error.html", status, status=status, title=title, sentences=sentences)
    except (*NO_ANSWER, OutOfTime):  # the menu asks who is signed in
        return _alone(status, title, *sentences)


def _for_machines(status: int, title: object) -> Response:
    if _is_of_api():
        code = HTTPStatus(status).name.lower()
        response = jsonify(problem_document(status, code, "", log_context.REQUEST.get()))
        response.status_code, response.mimetype = status, "application/problem+json"
        return response
    response = jsonify({"error": str(title), "request": log_context.REQUEST.get()})
    response.status_code = status
    return response


def _alone(status: int, title: object, *sentences: object) -> Response:
    """Return the same without the database and Redis: they may be what is broken."""
    guard.stay_anonymous()
    locale = session.get("locale")
    with force_locale(locale if locale in LANGUAGES else current_app.config["BABEL_DEFAULT_LOCALE"]):
        if _is_machine():
            response = _for_machines(status, title)
        elif wants_piece():
            response = page("errors/_piece.html", status, sentences=[title, *sentences])
        else:
            response = page("errors/alone.html", status, status=status, title=title, sentences=sentences)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


@bp.app_errorhandler(CSRFError)
def unsure(_error: CSRFError) -> Response:
    """Answer a form without a valid token: of an old page, or of another site."""
    if not current_user.is_authenticated and not request.path.startswith("/sign-in"):
        flash(_("Please sign in again. Nothing was changed."), "warning")
        return guard.sign_in_first()
    if wants_piece():
        answer = _error_page(400, _("This form is too old"), _("Load the page again."))
        # Only pages of this application can read this; their forms then use the new token.
        answer.headers["X-CSRF-Token"] = generate_csrf()
        return answer
    if (address := refill.form_page()) and (fields := refill.sent_fields()):
        return page("users/refill.html", 400, back=refill.refill_address(address), carried=fields)
    return _error_page(
        400,
        _("This form is too old"),
        _("You have signed in again since this page was opened, or cookies are switched off. Nothing was changed."),
        _("Go back, load the page again and send the form once more."),
    )


@bp.app_errorhandler(NotFound)
def missing(_error: NotFound) -> Response:
    return _error_page(404, *EXPLANATIONS[404])


@bp.app_errorhandler(Forbidden)
def not_allowed(error: Forbidden) -> Response:
    """Say which right is missing and who has it."""
    return _error_page(
        403,
        _("Your role does not allow this"),
        _("It needs the right “%(right)s”.", right=labels.label(error.right)),
        _("These roles have it: %(roles)s.", roles=", ".join(labels.label(role) for role in roles_with(error.right))),
        _("Nothing was changed. Ask an administrator if you need to do this."),
    )


@bp.app_errorhandler(HTTPException)
def explained(error: HTTPException) -> Response | HTTPException:
    """Answer what Werkzeug and `abort` raise; redirects and complete answers stay as they are."""
    status = error.code or 500
    if error.response is not None or status < 400:
        return error
    response = _error_page(status, *EXPLANATIONS.get(status, EXPLANATIONS[400]))
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


@bp.app_errorhandler(Refusal)
def refused(refusal: Refusal) -> Response:
    return _error_page(409, _("This was not done"), *(labels.sentence(problem) for problem in refusal.problems))


@bp.app_errorhandler(OutOfTime)
def too_slow(_error: OutOfTime) -> Response:
    """Answer a request that has taken as long as it may; its transaction is rolled back."""
    log.warning("request.out_of_time endpoint=%s", request.endpoint)
    return _alone(503, *TOO_SLOW)


def no_database(error: SQLAlchemyError) -> Response:
    """Answer while the database does not: it is away, full, or has no connection left."""
    # Its own text may show what was sent.
    driver_error = getattr(error, "orig", None)
    reason = getattr(driver_error, "sqlite_errorname", None) or getattr(driver_error, "sqlstate", None)
    log.error("database.failed endpoint=%s error=%s reason=%s", request.endpoint, type(error).__name__, reason)
    return _alone(503, *NO_DATABASE)


for _kind in NO_ANSWER:
    bp.app_errorhandler(_kind)(no_database)


@bp.app_errorhandler(500)
def broken(_error: Exception) -> Response:
    """Answer what nobody has expected; Flask has logged it."""
    return _alone(500, *EXPLANATIONS[500])
