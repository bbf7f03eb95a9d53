"""One's own second factor: set up with a QR code, recovery codes, removed."""

from __future__ import annotations

from urllib.parse import urlsplit

import segno
from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Conflict, NotFound, Refusal
from smsapp.domain.rights import Right
from smsapp.services.platform import clock, second_factor, sessions
from smsapp.services.platform.throttling import TooManyAttempts
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.users import CodeForm
from smsapp.web.guard import needs, without_factor
from smsapp.web.render import page, see_other, too_early
from smsapp.web.users import bp


@bp.route("/account/second-factor", methods=["GET", "POST"], endpoint="second_factor")
@needs(Right.ACCOUNT_OWN)
@without_factor
def show() -> Response:
    """Show whether one has a second factor; with a code of it, renew the recovery codes or remove it."""
    who, form = guard.reader(), CodeForm()
    shown = {"form": form, "factor": second_factor.state(who.id), "required": sessions.factor_required(who.role)}
    problems: list[str] = []
    if form.validate_on_submit():
        given = (who.id, form.code.data, guard.sitting().id, guard.actor(), clock.now())
        try:
            if request.form.get("do") == "renew":
                return page("users/recovery_codes.html", codes=second_factor.renew_recovery_codes(*given))
            second_factor.remove(*given)
        except TooManyAttempts as early:
            return too_early("users/second_factor.html", early.seconds, **shown)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The second factor was removed."), "success")
            return see_other(url_for("users.second_factor"))
    return page("users/second_factor.html", 422 if form.is_submitted() else 200, problems=problems, **shown)


@bp.post("/account/second-factor/set-up")
@needs(Right.ACCOUNT_OWN)
@without_factor
def set_up_factor() -> Response:
    """Make a new secret and show it; whoever has a factor already keeps it."""
    try:
        second_factor.set_up(guard.reader().id, clock.now())
    except Conflict:
        return see_other(url_for("users.second_factor"))
    return see_other(url_for("users.confirm_factor"))


@bp.route("/account/second-factor/confirm", methods=["GET", "POST"])
@needs(Right.ACCOUNT_OWN)
@without_factor
def confirm_factor() -> Response:
    """Show the secret as a QR code and as text; take the first code of it, and show the recovery codes once."""
    who, form = guard.reader(), CodeForm()
    try:
        enrolment = second_factor.enrolment(who.id, who.login, _issuer())
    except NotFound:
        return see_other(url_for("users.second_factor"))
    # An image, not markup: the QR code is drawn here and goes nowhere else, and the page's policy takes it.
    qr_code = segno.make(enrolment.uri, micro=False).svg_data_uri(scale=5, border=4, light="#fff", dark="#000")
    shown = {"form": form, "enrolment": enrolment, "qr_code": qr_code}
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            codes = second_factor.confirm(who.id, form.code.data, guard.sitting().id, guard.actor(), clock.now())
        except TooManyAttempts as early:
            return too_early("users/confirm_factor.html", early.seconds, **shown)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            return page("users/recovery_codes.html", codes=codes)
    return page("users/confirm_factor.html", 422 if form.is_submitted() else 200, problems=problems, **shown)


def _issuer() -> str:
    """Return under which name an authenticator application lists this: several installations differ by their host."""
    return f"SMS {urlsplit(guard.public_url()).hostname or ''}".strip()
