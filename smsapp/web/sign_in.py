"""Signing in, with a second factor where there is one, and out; one-time links."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.rights import Right
from smsapp.services.platform import clock, login_links, sessions, signing_in
from smsapp.services.platform.sessions import SignedIn
from smsapp.services.platform.signing_in import AwaitingCode
from smsapp.services.platform.throttling import Client, TooManyAttempts
from smsapp.web import devices, guard, refill
from smsapp.web.forms import put_problems
from smsapp.web.forms.users import CodeForm, SignInForm, WelcomeForm
from smsapp.web.guard import needs, public, without_factor
from smsapp.web.render import page, see_other, too_early
from smsapp.web.users import bp


@bp.route("/sign-in", methods=["GET", "POST"])
@public
def sign_in() -> Response:
    """Sign a person in, then redirect to the page in `next`."""
    back, carried = guard.own_path(request.args.get("next", "/")), refill.carried_fields()
    if current_user.is_authenticated:
        return _go_on(back, carried)
    form = SignInForm()
    shown = {
        "form": form,
        "back": back,
        "carried": carried,
        "nobody": signing_in.is_local() and not login_links.any_password(),
    }
    problems: list[str] = []
    if form.validate_on_submit():
        client = devices.client(form.login.data)
        try:
            who = signing_in.sign_in(form.login.data, form.password.data, client, clock.now())
        except TooManyAttempts as early:
            return too_early("users/sign_in.html", early.seconds, *_advice(client), **shown)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            return _begin(who, back, carried)
    return page("users/sign_in.html", 422 if form.is_submitted() else 200, problems=problems, **shown)


def _advice(client: Client) -> list[str]:
    """Return how somebody gets in who waits because of what others have tried."""
    if client.device:
        return []
    return [
        _("If that was not you: on a device on which you have signed in before, nobody else makes you wait."),
        _("An administrator can also make you a one-time link."),
    ]


def _begin(who: SignedIn | AwaitingCode, back: str, carried: refill.Fields) -> Response:
    """Start a session, remember this device and go on; or ask for the second factor first."""
    if isinstance(who, AwaitingCode):
        guard.await_code(who)
        if carried:
            return page("users/code.html", form=CodeForm(formdata=None), problems=[], back=back, carried=carried)
        return see_other(url_for("users.code", next=back if back != "/" else None))
    guard.begin(who)
    devices.remember(who.login)
    return _go_on(back, carried)


@bp.route("/sign-in/code", methods=["GET", "POST"])
@public
def code() -> Response:
    """Ask for the second factor of somebody whose password was right."""
    back, carried = guard.own_path(request.args.get("next", "/")), refill.carried_fields()
    if current_user.is_authenticated:
        return _go_on(back, carried)
    awaiting = guard.awaited()
    if awaiting is None:
        return _start_again(back, carried)
    form = CodeForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            client = devices.client(signing_in.login_of(awaiting))
            who = signing_in.enter_code(awaiting, form.code.data, client, clock.now())
        except NotFound:
            return _start_again(back, carried)
        except TooManyAttempts as early:
            return too_early("users/code.html", early.seconds, form=form, back=back, carried=carried)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            return _begin(who, back, carried)
    status = 422 if form.is_submitted() else 200
    return page("users/code.html", status, form=form, problems=problems, back=back, carried=carried)


def _start_again(back: str, carried: refill.Fields) -> Response:
    """Ask for the password again: it was given too long ago, or sessions were ended since."""
    guard.end()
    form = SignInForm(formdata=None)
    problems = [_("That took too long. Please sign in again.")]
    return page("users/sign_in.html", 401, form=form, problems=problems, back=back, carried=carried, nobody=False)


def _go_on(back: str, carried: refill.Fields) -> Response:
    """Redirect to the page; if a form was sent there without a session, show it again."""
    if not carried:
        return see_other(back)
    return page("users/refill.html", back=refill.refill_address(back), carried=carried)


@bp.get("/signed-in")
@needs(Right.ACCOUNT_OWN)
def signed_in() -> Response:
    """Say that the page in the other tab works again."""
    return page("users/signed_in.html")


@bp.post("/sign-out")
@needs(Right.ACCOUNT_OWN)
@without_factor
def sign_out() -> Response:
    by_provider = guard.reader().by_provider
    sessions.sign_out(guard.sitting(), guard.actor(), clock.now())
    guard.end()
    if by_provider:
        return see_other(url_for("users.signed_out"))
    flash(_("You are signed out."), "success")
    return see_other(url_for("users.sign_in"))


@bp.route(login_links.LINK_PATH + "<token>", methods=["GET", "POST"])
@public
def welcome(token: str) -> Response:
    """Let the person a one-time link was made for set a password."""
    now = clock.now()
    try:
        guest = login_links.welcome(token, now)
    except NotFound:
        return page("users/link_gone.html", 404)
    form = WelcomeForm(data={"login": guest.login, "name": guest.name})
    if not guest.sets_password:
        del form.name, form.password
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            chosen = {"login": "", "name": "", "password": ""} | form.data
            who = login_links.use_link(token, chosen["login"], chosen["name"], chosen["password"], guard.address(), now)
        except NotFound:
            return page("users/link_gone.html", 404)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            if isinstance(who, SignedIn):
                flash(_("Welcome. You are signed in."), "success")
            return _begin(who, "/", [])
    status = 422 if form.is_submitted() else 200
    return page("users/welcome.html", status, form=form, problems=problems, guest=guest)
