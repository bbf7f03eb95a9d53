"""Which language and zone the reader sees."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app, request, session
from flask_babel import Babel, get_locale
from flask_login import current_user

from smsapp.labels.locales import CATALOGUES

babel = Babel()
OUTSIDE = "smsapp.locale_outside_requests"

LANGUAGES = {"zh_Hans": "中文", "en": "English"}
API = "/api/v1/"
IN_HEADERS = {"zh": "zh_Hans", "zh-Hans": "zh_Hans", "zh-CN": "zh_Hans", "en": "en"}
IN_HTML = {"zh_Hans": "zh-Hans", "en": "en"}


def init_app(app: Flask, outside_requests: Callable[[], str | None]) -> None:
    """Set up translation; `outside_requests` returns the locale of commands, None for jobs."""
    app.extensions[OUTSIDE] = outside_requests
    babel.init_app(app, locale_selector=reader_locale)
    babel.domain_instance = CATALOGUES
    app.jinja_env.globals.update(html_lang=html_lang, LANGUAGES=LANGUAGES)


def reader_locale() -> str | None:
    """Return the language of the signed-in person, else of this browser's session, or of a command.

    None leaves the default.
    """
    if not request:
        outside: Callable[[], str | None] = current_app.extensions[OUTSIDE]
        return outside()
    if request.path.startswith(API):
        # A program has neither a session nor an account: it asks in a header.
        return IN_HEADERS.get(request.accept_languages.best_match(IN_HEADERS) or "")
    if current_user and current_user.is_authenticated and current_user.locale in LANGUAGES:
        return str(current_user.locale)
    locale = session.get("locale")
    return locale if locale in LANGUAGES else None


def remember(locale: str) -> None:
    """Store the locale in the session; it is used before sign-in."""
    session["locale"] = locale


def html_lang() -> str:
    """Return the page's language as HTML writes it."""
    return IN_HTML.get(str(get_locale()), "en")
