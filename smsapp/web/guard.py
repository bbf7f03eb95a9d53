"""Access: every endpoint requires sign-in and names the right it needs (domain/rights.py), or is public."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, flash, g, request, session, url_for
from flask_babel import gettext as _
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.sansio.utils import host_is_trusted

from smsapp.domain import rights
from smsapp.domain.device import short_agent
from smsapp.domain.rights import Forbidden, Right
from smsapp.services.platform import clock, sessions, time_limits
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.sessions import LoginSession, SignedIn, Visit
from smsapp.services.platform.signing_in import AwaitingCode
from smsapp.web import refill, render
from smsapp.web.forms.users import SignInForm

View = TypeVar("View", bound=Callable[..., Any])

SESSION_RESTS = dt.timedelta(hours=12)
"""After the last request; services/platform/sessions.py limits the whole time."""

AWAITING = "awaiting_code"
CODE_WITHIN = dt.timedelta(minutes=10)
"""How long after the password the second factor may be given."""

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

MACHINES = frozenset({"up", "callbacks", "health", "metrics"})
"""Blueprints that machines call, not browsers."""

log = logging.getLogger(__name__)
sign_ins = LoginManager()


class Reader(UserMixin):  # type: ignore[misc]
    """The signed-in person, as templates and Flask-Login see them."""

    def __init__(self, who: SignedIn, sitting: LoginSession) -> None:
        self.who, self.sitting = who, sitting
        self.id, self.login, self.name, self.role = who.id, who.login, who.name, who.role
        self.sees_numbers, self.locale = who.sees_numbers, who.locale

    @property
    def may_remove_demo(self) -> bool:
        return rights.may(self.role, Right.CHANNELS_WRITE)

    def get_id(self) -> str:
        return f"{self.who.id}.{self.who.mark}.{self.sitting.id}.{self.sitting.begun.timestamp():.0f}"


def init_app(app: Flask) -> None:
    """Require sign-in and rights, set security headers."""
    app.config["PERMANENT_SESSION_LIFETIME"] = SESSION_RESTS
    # A session is ended by its mark; bound to an address, it would end whenever a phone changes networks.
    sign_ins.session_protection = None
    sign_ins.user_loader(_load)
    sign_ins.init_app(app)
    # There is no "remember me"; its handler would read the session, and with it make static files depend on the cookie.
    app.after_request_funcs[None].remove(sign_ins._update_remember_cookie)
    # First of all: what else is asked before a request may wait for the database, too.
    app.before_request_funcs[None].insert(0, _limit_time)
    app.teardown_request(lambda _error: time_limits.end())
    app.before_request(_refuse_other_hosts)
    app.before_request(_close)
    app.after_request(_add_headers)


def public(view: View) -> View:
    """Let people and machines call this endpoint without signing in."""
    view.public = True  # type: ignore[attr-defined]
    return view


def needs(right: Right) -> Callable[[View], View]:
    """Require this right. An endpoint that is neither public nor names a right is closed to everybody."""

    def mark(view: View) -> View:
        view.needs = right  # type: ignore[attr-defined]
        return view

    return mark


def without_factor(view: View) -> View:
    """Let people call this endpoint whose role requires a second factor that they have not set up yet."""
    view.without_factor = True  # type: ignore[attr-defined]
    return view


def uploads(view: View) -> View:
    """Let an endpoint take bodies of MAX_UPLOAD_MB, from those who may call it."""
    view.uploads = True  # type: ignore[attr-defined]
    return view


def long(view: View) -> View:
    """Let an endpoint take LONG_REQUEST_SECONDS: it streams all there is."""
    view.long = True  # type: ignore[attr-defined]
    return view


def may(right: Right) -> bool:
    """Return whether the person who reads this page has the right: for buttons that not everybody gets."""
    person = current_user._get_current_object()  # once: each use of the proxy searches for the person
    return person.is_authenticated and rights.may(person.role, right)


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


def visit() -> Visit:
    """Return where this request comes from, for the list of sessions."""
    return Visit(address(), short_agent(request.headers.get("User-Agent", "")))


def public_url() -> str:
    """Return the address of this application for links that leave it: PUBLIC_URL, else the host that was asked for."""
    configured: str = current_app.config["PUBLIC_URL"]
    return configured or request.host_url.rstrip("/")


def begin(who: SignedIn) -> None:
    """Start a session for this person; of the one before only the chosen language is kept."""
    end()
    session.permanent = True
    login_user(Reader(who, sessions.begin(who, visit(), clock.now())))


def await_code(awaiting: AwaitingCode) -> None:
    """Remember in this browser's session whose second factor is asked for."""
    end()
    session[AWAITING] = [awaiting.user_id, awaiting.mark, clock.now().timestamp()]


def awaited() -> AwaitingCode | None:
    """Return whose second factor is asked for; None if nobody's, or if the password was given too long ago."""
    user_id, mark, since = session.get(AWAITING, (0, "", 0.0))
    if not user_id or clock.now().timestamp() - since > CODE_WITHIN.total_seconds():
        return None
    return AwaitingCode(user_id, mark)


def begin_again(who: SignedIn) -> None:
    """Start a session for the reader, whose sessions have all ended; how they signed in stays."""
    before = reader()
    begin(dataclasses.replace(who, strong=before.strong, by_provider=before.by_provider))


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


def stay_anonymous() -> None:
    """Take this request's reader for nobody, so that no template looks for them in the database."""
    sign_ins._update_request_context_with_user()


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
    who = sessions.signed_in(int(match["person"]), match["mark"], sitting, visit(), clock.now())
    return None if who is None else Reader(who, sitting)


def _limit_time() -> None:
    """Start the clock of a request; exports and uploads have longer."""
    view = current_app.view_functions.get(request.endpoint or "")
    time_limits.begin(is_long=hasattr(view, "long") or hasattr(view, "uploads"))


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
    view = current_app.view_functions[request.endpoint or ""]
    right = getattr(view, "needs", None)
    if right is None:
        abort(403)
    if not may(right):
        raise Forbidden(right)
    if reader().owes_factor and not getattr(view, "without_factor", False):
        return render.see_other(url_for("users.second_factor"))
    if getattr(view, "uploads", False):
        request.max_content_length = current_app.config["MAX_UPLOAD_LENGTH"]
    return None


def _open_to_all() -> bool:
    if request.endpoint is None or request.endpoint == "static":
        return True  # An unknown address is answered with 404 whoever asks.
    return getattr(current_app.view_functions[request.endpoint], "public", False)


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["HSTS"] and request.is_secure:
        response.headers["Strict-Transport-Security"] = current_app.config["HSTS"]
    if request.endpoint == "static":
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    elif session.accessed:
        response.headers.setdefault("Cache-Control", "no-store")
    return response
