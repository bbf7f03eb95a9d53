"""Access: every endpoint requires sign-in and a role unless it says otherwise."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, flash, g, request, session, url_for
from flask_babel import gettext as _
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.sansio.utils import host_is_trusted

from smsapp.domain.roles import Role, reaches
from smsapp.services.platform import clock, signing_in
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.signing_in import LoginSession, SignedIn
from smsapp.web import refill, render
from smsapp.web.forms.users import SignInForm

View = TypeVar("View", bound=Callable[..., Any])

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_RESTS = dt.timedelta(hours=12)
"""After the last request; services/platform/users.py limits the whole time."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

KEPT = re.compile(r"(?P<person>\d{1,18})\.(?P<mark>\w*)\.(?P<sitting>\w+)\.(?P<begun>\d{1,10})", re.ASCII)
"""The id of a signed-in person in the session cookie, see Reader.get_id."""

MACHINES = frozenset({"up", "callbacks", "health"})
"""Blueprints that machines call, not browsers."""

log = logging.getLogger(__name__)
sign_ins = LoginManager()
limiter = Limiter(get_remote_address, default_limits=[])


class Reader(UserMixin):  # type: ignore[misc]
    """The signed-in person, as templates and Flask-Login see them."""

    def __init__(self, who: SignedIn, sitting: LoginSession) -> None:
        self.who, self.sitting = who, sitting
        self.id, self.login, self.name, self.role = who.id, who.login, who.name, who.role
        self.sees_numbers, self.locale = who.sees_numbers, who.locale

    def get_id(self) -> str:
        return f"{self.who.id}.{self.who.mark}.{self.sitting.id}.{self.sitting.begun.timestamp():.0f}"


def init_app(app: Flask, redis_url: str) -> None:
    """Require sign-in and roles, set security headers, limit the rate of attempts to sign in."""
    app.config["PERMANENT_SESSION_LIFETIME"] = SESSION_RESTS
    app.config["RATELIMIT_STORAGE_URI"] = redis_url.replace("unix://", "redis+unix://")
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {"socket_connect_timeout": 1, "socket_timeout": 1}
    app.config["RATELIMIT_IN_MEMORY_FALLBACK_ENABLED"] = True
    app.config["RATELIMIT_KEY_PREFIX"] = "smsapp"
    # A session is ended by its mark; bound to an address, it would end whenever a phone changes networks.
    sign_ins.session_protection = None
    sign_ins.user_loader(_load)
    sign_ins.init_app(app)
    # There is no "remember me"; its handler would read the session, and with it make static files depend on the cookie.
    app.after_request_funcs[None].remove(sign_ins._update_remember_cookie)
    limiter.init_app(app)
    before = app.before_request_funcs[None]
    before[before.index(limiter._check_request_limit)] = _keep_to_limits
    app.before_request(_refuse_other_hosts)
    app.before_request(_close)
    app.after_request(_add_headers)


def public(view: View) -> View:
    """Let people and machines call this endpoint without signing in."""
    view.public = True  # type: ignore[attr-defined]
    return view


def needs(role: Role) -> Callable[[View], View]:
    """Require at least this role. Undecorated, reading requires a viewer, everything else an operator."""

    def mark(view: View) -> View:
        view.needs = role  # type: ignore[attr-defined]
        return view

    return mark


def uploads(view: View) -> View:
    """Let an endpoint take bodies of MAX_UPLOAD_MB, from those whose role allows to call it."""
    view.uploads = True  # type: ignore[attr-defined]
    return view


def may(role: Role) -> bool:
    """Return whether the person who reads this page reaches `role`: for buttons that not everybody gets."""
    return current_user.is_authenticated and reaches(current_user.role, role)


def reader() -> SignedIn:
    """Return the signed-in person."""
    who: SignedIn = current_user.who
    return who


def sitting() -> LoginSession:
    """Return the session the signed-in person is in."""
    here: LoginSession = current_user.sitting
    return here


def actor() -> Actor:
    """Return the signed-in person as an Actor, for the audit log."""
    return reader().actor


def address() -> str:
    """Return the network address this request came from; "" if the server does not know it."""
    return (request.remote_addr or "")[:45]


def public_url() -> str:
    """Return the address of this application for links that leave it: PUBLIC_URL, else the host that was asked for."""
    configured: str = current_app.config["PUBLIC_URL"]
    return configured or request.host_url.rstrip("/")


def begin(who: SignedIn) -> None:
    """Start a session for this person; of the one before only the chosen language is kept."""
    end()
    session.permanent = True
    login_user(Reader(who, signing_in.start_session(clock.now())))


def end() -> None:
    """Clear the session except for the chosen language."""
    locale = session.get("locale")
    logout_user()
    session.clear()
    g.pop("csrf_token", None)
    if locale:
        session["locale"] = locale


def sign_in_first() -> Response:
    """Ask for sign-in; afterwards the requested page is shown, with what was typed into its form.

    A piece of a page is answered with an error that htmx does not swap in: the page and its form stay as they are.
    """
    if render.wants_piece():
        return render.page("users/_signed_out.html", 401)
    page = refill.form_page()
    if request.method == "POST" and page:
        form = SignInForm(formdata=None)
        return render.page(
            "users/sign_in.html", 401, form=form, problems=[], back=page, carried=refill.sent_fields(), nobody=False
        )
    target = request.full_path.removesuffix("?") if request.method == "GET" and not refill.is_refill() else page
    return render.see_other(url_for("users.sign_in", next=None if target in {"", "/"} else target))


def own_path(url: str) -> str:
    """Return `url` if it is a path of this application, else "/": an address in a link must not lead elsewhere."""
    parts = urlsplit(url)
    is_own = url.startswith("/") and not url.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return url if is_own and url.isprintable() and "\\" not in url else "/"


def _load(reader_id: str) -> Reader | None:
    match = KEPT.fullmatch(reader_id)
    if match is None:
        return None
    sitting = LoginSession(match["sitting"], dt.datetime.fromtimestamp(int(match["begun"]), dt.UTC))
    who = signing_in.signed_in(int(match["person"]), match["mark"], sitting, address(), clock.now())
    return None if who is None else Reader(who, sitting)


def _keep_to_limits() -> None:
    """Refuse what comes too often; for machines nothing is limited here, and the look alone took a sixth of /up."""
    if request.blueprint not in MACHINES:
        limiter._check_request_limit()


def _refuse_other_hosts() -> Response | None:
    """Refuse a page whose Host header is not an answered host: links in it would lead there.

    Providers, SDKs and health checks may use an address of their own; no answer to them holds a link.
    """
    hosts = current_app.config["ANSWERED_HOSTS"]
    if not hosts or host_is_trusted(request.host, hosts) or (request.blueprint or "") in MACHINES:
        return None
    log.warning("host.refused")
    sentence = "This application does not answer under this name. TRUSTED_HOSTS lists the names it answers under.\n"
    return Response(sentence, 400, mimetype="text/plain")


def _close() -> Response | None:
    if _open_to_all():
        return None
    if not current_user.is_authenticated:
        if session.pop("_user_id", None) is not None:
            flash(_("You were signed out. Please sign in again."), "warning")
        return sign_in_first()
    role = _needed()
    if not reaches(current_user.role, role):
        abort(403)
    if getattr(current_app.view_functions[request.endpoint or ""], "uploads", False):
        request.max_content_length = current_app.config["MAX_UPLOAD_LENGTH"]
    return None


def _open_to_all() -> bool:
    if request.endpoint is None or request.endpoint == "static":
        return True  # An unknown address is answered with 404 whoever asks.
    return getattr(current_app.view_functions[request.endpoint], "public", False)


def _needed() -> Role:
    role = getattr(current_app.view_functions[request.endpoint or ""], "needs", None)
    return role or (Role.VIEWER if request.method in SAFE_METHODS else Role.OPERATOR)


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["SESSION_COOKIE_SECURE"]:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint == "static":
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    elif session.accessed:
        response.headers.setdefault("Cache-Control", "no-store")
    return response
