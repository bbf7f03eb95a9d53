"""Page or piece: the only file that reads or writes htmx headers."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import secrets
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, current_app, make_response, redirect, render_template, request, url_for
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_babel import get_locale
from flask_babel import gettext as _
from htmx_flask import Htmx
from htmx_flask import make_response as htmx_response
from markupsafe import Markup

from smsapp.domain import log_context
from smsapp.web import filters, help_sections, menu
from smsapp.web.forms import drawing

htmx = Htmx()

COMPRESSED = frozenset({"text/css", "text/javascript", "application/javascript", "image/svg+xml"})
LEAST_COMPRESSED = 1024
"""Bytes; smaller pages are not compressed."""
LEVEL = 3
"""Of a page's compression: a third of the time of the usual level, and a tenth more bytes."""
MOST_PADDING = 100
"""A page holds a CSRF token beside what somebody may have put into its address. From the sizes of many answers the
token could be guessed letter by letter (BREACH), so the header of each has a name of random length in it. Besides, the
session's cookie is SameSite, so other sites cannot ask for pieces of pages."""
HTMX_CONFIG = {
    # What the Content-Security-Policy forbids is off; pages of signed-in persons are not kept in storage.
    "allowEval": False,
    "allowScriptTags": False,
    "includeIndicatorStyles": False,
    "selfRequestsOnly": True,
    # It would copy style attributes from the old element to the new one, which the policy refuses.
    "attributesToSettle": ["class"],
    # No style moves from the old piece to the new one, so nothing waits for that, and no class comes and goes.
    "defaultSettleDelay": 0,
    "historyCacheSize": 0,
    "refreshOnHistoryMiss": True,
    "responseHandling": [
        {"code": "204", "swap": False},
        {"code": "[23]..", "swap": True},
        {"code": "422", "swap": True},
        {"code": "[45]..", "swap": False, "error": True},
    ],
}


class PageSessions(SecureCookieSessionInterface):
    """Renews the session's cookie with pages, not with pieces of them.

    A piece may be answered while a page is: the cookie it read before would undo what the page's request has put into
    the session, such as a message for the next page.
    """

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        return session.modified or (not htmx and super().should_set_cookie(app, session))


def init_app(app: Flask) -> None:
    """Give templates their filters, the menu and addresses of static files that change with the file."""
    htmx.init_app(app)
    app.session_interface = PageSessions()
    # A file's address holds its hash, so a browser may keep it for a year.
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 31_536_000
    app.after_request(_compress)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(filters.FILTERS | drawing.FILTERS)
    app.jinja_env.tests.update(drawing.TESTS)
    app.jinja_env.globals.update(
        static=static,
        draw_icon=draw_icon,
        menu_of_reader=menu.of_reader,
        help_url=help_sections.help_url,
        htmx_config=json.dumps(HTMX_CONFIG),
        get_locale=get_locale,
        request_id=log_context.REQUEST.get,
    )


def _compress(response: Response) -> Response:
    """Compress pages, styles and scripts; a file once per process, a streamed answer never."""
    file = request.endpoint == "static" and response.status_code == 200 and response.mimetype in COMPRESSED
    is_page = response.mimetype == "text/html" and not response.is_streamed
    if not (file or is_page) or "Content-Encoding" in response.headers:
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"] <= 0:
        return response
    response.direct_passthrough = False
    content = response.get_data()
    if file or len(content) >= LEAST_COMPRESSED:
        response.set_data(_gzipped(content) if file else _padded(content))
        response.headers["Content-Encoding"] = "gzip"
    return response


def _padded(content: bytes) -> bytes:
    """Return a page gzipped with a file name of random length, so that its size is not exact."""
    buffer = io.BytesIO()
    name = "x" * (1 + secrets.randbelow(MOST_PADDING))
    with gzip.GzipFile(filename=name, mode="wb", compresslevel=LEVEL, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


@lru_cache(maxsize=64)
def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def page(template: str, status: int = 200, /, **context: Any) -> Response:
    """Return a whole page; `status` is 422 when a form comes back with errors."""
    return _varying(make_response(render_template(template, **context), status))


def too_early(template: str, seconds: int, /, *advice: str, **context: Any) -> Response:
    """Return the page of a form that was sent again too early (429): when it may be sent, and what else helps."""
    wait = _("Too many attempts. Try again in %(time)s.", time=filters.duration(seconds))
    response = page(template, 429, problems=[wait, *advice], **context)
    response.headers["Retry-After"] = str(seconds)
    return response


def page_or_piece(page_template: str, piece_template: str, status: int = 200, /, **context: Any) -> Response:
    """Return the piece to htmx, the whole page to everybody else (also when htmx restores history)."""
    return page(piece_template if wants_piece() else page_template, status, **context)


def wants_piece() -> bool:
    """Return whether htmx asks for a part of the page that is shown."""
    htmx_request = request.htmx  # type: ignore[attr-defined]
    return bool(htmx_request) and not htmx_request.boosted and not htmx_request.history_restore_request


def see_other(url: str) -> Response:
    """Send the reader to another page after a form was taken: 303, or HX-Redirect if htmx sent the form.

    A redirect that htmx follows would be swapped into a part of the old page.
    """
    if wants_piece():
        return _varying(htmx_response("", 204, redirect=url))
    return _varying(make_response(redirect(url, 303)))


def leave(url: str) -> Response:
    """Send the reader to an address that may be another site's: only links lead here, no form and no htmx."""
    return make_response(redirect(url, 303))


def as_file(response: Response, name: str) -> Response:
    """Have browsers store the answer under this name; headers are ASCII, so other characters are encoded (RFC 6266)."""
    plain = name.encode("ascii", "ignore").decode().strip(" -_")
    encoded = quote(name, safe="")
    response.headers.set("Content-Disposition", "attachment", **{"filename": plain, "filename*": f"UTF-8''{encoded}"})
    return response


def announcing(response: Response, *events: str) -> Response:
    """Tell the page that these events happened; elements with `data-hx-trigger="<event> from:body"` then refresh."""
    response.headers["HX-Trigger"] = ", ".join(events)
    return response


def moved(response: Response, url: str) -> Response:
    """Tell the page that what it shows has this address from now on."""
    response.headers["HX-Replace-Url"] = url
    return response


def static(name: str) -> str:
    """Return the address of a static file, with a hash of its content."""
    folder = str(current_app.static_folder)
    content = _hash_now(Path(folder) / name) if current_app.debug else _hash(folder, name)
    return url_for("static", filename=name, v=content)


def draw_icon(name: str, text: str = "") -> Markup:
    """Return a symbol of icons.svg; `text` says what it means where no word beside it does."""
    return _icon(static("icons.svg"), name, text)


@lru_cache(maxsize=1024)
def _icon(file: str, name: str, text: str) -> Markup:
    role = Markup('role="img" aria-label="{}"').format(text) if text else Markup('aria-hidden="true"')
    return Markup('<svg class="icon" {}>\n  <use href="{}#{}"></use></svg>').format(role, file, name)


def _varying(response: Response) -> Response:
    response.vary.add("HX-Request")
    return response


@cache
def _hash(folder: str, name: str) -> str:
    return _hash_now(Path(folder) / name)


def _hash_now(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
