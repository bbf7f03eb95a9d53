"""Error pages: what happened, and what to do."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, flash, make_response, render_template, request, session
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFError, generate_csrf
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, TooManyRequests

from smsapp import labels
from smsapp.domain.errors import NotFound, Refusal
from smsapp.web import guard, refill
from smsapp.web.language import LANGUAGES
from smsapp.web.render import page, wants_piece

bp = Blueprint("errors", __name__)


def _error_page(status: int, title: str, *sentences: str) -> Response:
    return page("errors/error.html", status, status=status, title=title, sentences=sentences)


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
@bp.app_errorhandler(404)
def missing(_error: Exception) -> Response:
    return _error_page(
        404,
        _("There is no such page"),
        _("The address may be mistyped, or what was here has been deleted. Use the menu to look for it."),
    )


@bp.app_errorhandler(403)
def forbidden(_error: HTTPException) -> Response:
    return _error_page(
        403,
        _("Your role does not allow this"),
        _("Nothing was changed. Ask an administrator if you need to do this."),
    )


@bp.app_errorhandler(405)
def wrong_way(_error: HTTPException) -> Response:
    return _error_page(405, _("This address cannot be opened directly"), _("Go back and use the button on the page."))


@bp.app_errorhandler(Refusal)
def refused(refusal: Refusal) -> Response:
    return _error_page(409, _("This was not done"), *(labels.sentence(problem) for problem in refusal.problems))


@bp.app_errorhandler(413)
def too_large(_error: RequestEntityTooLarge) -> Response:
    return _error_page(
        413,
        _("This file is too large"),
        _("Split it into smaller files, or ask the people who run this application to raise MAX_UPLOAD_MB."),
    )


@bp.app_errorhandler(429)
def too_many(_error: TooManyRequests) -> Response:
    response = _error_page(429, _("Too many attempts"), _("Wait a few minutes, then try again."))
    response.headers["Retry-After"] = "60"
    return response


@bp.app_errorhandler(400)
def unclear(_error: HTTPException) -> Response:
    return _error_page(400, _("This request could not be read"), _("Go back, load the page again and try once more."))


@bp.app_errorhandler(500)
def broken(_error: Exception) -> Response:
    """Answer without the database and Redis: they may be what is broken."""
    locale = session.get("locale")
    with force_locale(locale if locale in LANGUAGES else current_app.config["BABEL_DEFAULT_LOCALE"]):
        return make_response(render_template("errors/broken.html"), 500)
