"""Which language and zone the reader sees."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, current_app, request, session
from flask_babel import Babel, get_locale
from flask_login import current_user

babel = Babel()
OUTSIDE = "smsapp.locale_outside_requests"

LANGUAGES = {"zh_Hans": "中文", "en": "English"}
IN_HTML = {"zh_Hans": "zh-Hans", "en": "en"}


def init_app(app: Flask, outside_requests: Callable[[], str | None]) -> None:
    """Set up translation; `outside_requests` returns the locale of commands, None for jobs."""
    app.extensions[OUTSIDE] = outside_requests
    babel.init_app(app, locale_selector=reader_locale)
    app.jinja_env.globals.update(html_lang=html_lang, LANGUAGES=LANGUAGES)


def reader_locale() -> str | None:
    """Return the language of the signed-in person, else of this browser's session, or of a command.

    None leaves the default.
    """
    if not request:
        outside: Callable[[], str | None] = current_app.extensions[OUTSIDE]
        return outside()
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
