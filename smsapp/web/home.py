"""The start page: where / redirects, and the switch of the language."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask_login import current_user

from smsapp.services.platform import users
from smsapp.web import guard, language, render

bp = Blueprint("home", __name__)


@bp.get("/")
def start() -> Response:
    return render.see_other(url_for("campaigns.index"))


@bp.post("/language")
@guard.public
def speak() -> Response:
    """Change the language, for the person if signed in, else for this browser."""
    locale = request.form.get("locale", "")
    if locale in language.LANGUAGES:
        language.remember(locale)
        if current_user.is_authenticated:
            users.speak(guard.reader().id, locale)
    return render.see_other(guard.own_path(request.form.get("back", "/")))
