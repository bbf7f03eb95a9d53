"""One's own account: name and language, password, sessions."""

from __future__ import annotations

from flask import Response, flash, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.services.platform import clock, second_factor, sessions, signing_in, users
from smsapp.services.platform.throttling import TooManyAttempts
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.users import OwnForm, PasswordForm
from smsapp.web.guard import needs
from smsapp.web.render import page, see_other, too_early
from smsapp.web.users import bp


@bp.route("/account", methods=["GET", "POST"])
@needs(Right.ACCOUNT_OWN)
def own() -> Response:
    """Show and change one's own name and language; show one's sessions."""
    who = guard.reader()
    form = OwnForm(data={"name": who.name, "locale": who.locale})
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            users.change_own(who.id, form.name.data, form.locale.data, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("Your account was saved."), "success")
            return see_other(url_for("users.own"))
    return page(
        "users/own.html",
        422 if form.is_submitted() else 200,
        form=form,
        problems=problems,
        factor=second_factor.state(who.id),
        sessions=sessions.of_person(who.id, clock.now()),
        here=guard.sitting().id,
    )


@bp.route("/account/password", methods=["GET", "POST"])
@needs(Right.ACCOUNT_OWN)
def password() -> Response:
    """Change one's own password; other sessions end, this one goes on."""
    form = PasswordForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            who = signing_in.change_password(
                guard.reader().id, form.old.data, form.password.data, guard.sitting().id, guard.actor(), clock.now()
            )
        except TooManyAttempts as early:
            return too_early("users/password.html", early.seconds, form=form)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            guard.begin_again(who)
            flash(_("Your password was changed. Everywhere else you are signed out."), "success")
            return see_other(url_for("users.own"))
    return page("users/password.html", 422 if form.is_submitted() else 200, form=form, problems=problems)


@bp.post("/account/sign-out-everywhere")
@needs(Right.ACCOUNT_OWN)
def sign_out_everywhere() -> Response:
    guard.begin_again(sessions.end_all(guard.reader().id, guard.actor(), clock.now()))
    flash(_("You are signed out on every other device."), "success")
    return see_other(url_for("users.own"))


@bp.post("/account/sessions/<session_id>/end")
@needs(Right.ACCOUNT_OWN)
def end_own_session(session_id: str) -> Response:
    """End one of one's own sessions on another device."""
    sessions.end(guard.reader().id, session_id, guard.actor(), clock.now())
    flash(_("That device is signed out."), "success")
    return see_other(url_for("users.own"))
