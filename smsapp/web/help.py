"""The operator's guide under /help, in the reader's language, and its pictures."""

from __future__ import annotations

from flask import Blueprint, Response, abort, send_from_directory
from flask_babel import get_locale

from smsapp.domain.rights import Right
from smsapp.web import guide
from smsapp.web.guard import needs
from smsapp.web.help_sections import PARTS
from smsapp.web.render import page

bp = Blueprint("help", __name__, url_prefix="/help")


@bp.get("/")
@needs(Right.ACCOUNT_OWN)
def index() -> Response:
    """Show the whole guide, so that the browser's own search finds every word of it."""
    return page("help/index.html", parts=PARTS, sections=guide.sections(str(get_locale())))


@bp.get("/pictures/<language>/<name>")
@needs(Right.ACCOUNT_OWN)
def picture(language: str, name: str) -> Response:
    """Return a picture of the guide; its address changes with its content."""
    if language not in guide.FOLDERS.values() or not name.endswith(".webp"):
        abort(404)
    answer = send_from_directory(guide.PICTURES / language, name, mimetype="image/webp")
    answer.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return answer
