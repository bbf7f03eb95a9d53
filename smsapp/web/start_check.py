"""No page is answered before this code knows that it may run with the database it finds, and that it is no older copy.

A web server may start before the upgrade of the database: it says so, and begins once the upgrade is done.
"""

from __future__ import annotations

from flask import Flask, Response, current_app, make_response, render_template, request
from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy.exc import SQLAlchemyError

from smsapp import labels
from smsapp.domain.errors import Problem, Refusal
from smsapp.services.platform import clock, schema_check
from smsapp.services.sending import recovery
from smsapp.web import guard

PASSED = "smsapp.start_check"
OPEN = frozenset({"static", "health.healthz", "health.readyz", "metrics.show"})


def init_app(app: Flask) -> None:
    """Check before the first request, and before each until the check is passed."""
    app.before_request(_check)


def _check() -> Response | None:
    if PASSED in current_app.extensions or request.endpoint in OPEN:
        return None
    try:
        schema_check.check()
        recovery.check(clock.now())
    except Refusal as refusal:
        return _not_ready(refusal.problems)
    except SQLAlchemyError:
        return None  # whoever needs the database says that it is silent; the next request asks again
    current_app.extensions[PASSED] = True
    return None


def _not_ready(problems: tuple[Problem, ...]) -> Response:
    with force_locale(current_app.config["BABEL_DEFAULT_LOCALE"]):
        sentences = [labels.sentence(problem) for problem in problems]
        if (request.blueprint or "") in guard.MACHINES:
            response = Response("\n".join(sentences), 503, mimetype="text/plain")
        else:
            response = make_response(
                render_template(
                    "errors/alone.html",
                    status=503,
                    title=_("Not ready yet"),
                    sentences=[
                        *sentences,
                        _("The people who run this application have to do this. Nothing is lost meanwhile."),
                    ],
                ),
                503,
            )
    response.headers["Retry-After"] = "5"
    return response
