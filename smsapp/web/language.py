"""Which language and zone the reader sees."""

from __future__ import annotations

import click
from flask import Flask, request, session
from flask_babel import Babel, get_locale
from flask_login import current_user

babel = Babel()

LANGUAGES = {"zh_Hans": "中文", "en": "English"}
IN_HTML = {"zh_Hans": "zh-Hans", "en": "en"}


def init_app(app: Flask) -> None:
    """Let every page speak the language of the person who reads it."""
    babel.init_app(app, locale_selector=chosen)
    app.jinja_env.globals.update(html_lang=html_lang, LANGUAGES=LANGUAGES)


def chosen() -> str | None:
    """Return the language of the signed-in person, else of this browser's session, or of a command.

    None leaves the default.
    """
    if not request:
        # Commands are written in English, so what they print of ours is English, too.
        return "en" if click.get_current_context(silent=True) is not None else None
    if current_user and current_user.is_authenticated and current_user.locale in LANGUAGES:
        return str(current_user.locale)
    kept = session.get("locale")
    return kept if kept in LANGUAGES else None


def remember(locale: str) -> None:
    """Keep a choice made before sign-in."""
    session["locale"] = locale


def html_lang() -> str:
    """Return the page's language as HTML writes it."""
    return IN_HTML.get(str(get_locale()), "en")
