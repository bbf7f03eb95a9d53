"""Signing in and out, one's own account, people and the audit log."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_limiter.util import get_remote_address
from flask_login import current_user

from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.roles import Role, plain_login, sees_numbers
from smsapp.labels import sentence
from smsapp.services.platform import audit_pages, clock, login_links, signing_in, users
from smsapp.web import guard, inputs, refill
from smsapp.web.forms import put_problems
from smsapp.web.forms.users import ChangeForm, InviteForm, OwnForm, PasswordForm, SignInForm, WelcomeForm
from smsapp.web.guard import limiter, needs, public
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("users", __name__)

MENU = (
    MenuLine(_l("People"), "users.index", 91, "users", Role.ADMINISTRATOR, settings=True),
    MenuLine(_l("Audit log"), "users.audit_log", 99, "history", Role.ADMINISTRATOR, settings=True),
)


def _typed_login() -> str:
    return "login:" + plain_login(request.form.get("login", ""))[:200]


def _typed_login_from_there() -> str:
    """Return login and address together: attempts from elsewhere do not lock the owner out."""
    return f"{_typed_login()} {get_remote_address()}"


@bp.route("/sign-in", methods=["GET", "POST"])
@public
@limiter.limit("10 per minute; 60 per hour", methods=["POST"])
@limiter.limit("10 per 10 minutes", key_func=_typed_login_from_there, methods=["POST"])
@limiter.limit("300 per hour", key_func=_typed_login, methods=["POST"])
def sign_in() -> Response:
    """Sign a person in, then redirect to the page in `next`."""
    back, carried = guard.own_path(request.args.get("next", "/")), refill.carried_fields()
    if current_user.is_authenticated:
        return _go_on(back, carried)
    form = SignInForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            who = signing_in.sign_in(form.login.data, form.password.data, guard.address(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            guard.begin(who)
            return _go_on(back, carried)
    status = 422 if form.is_submitted() else 200
    nobody = not login_links.any_password()
    return page("users/sign_in.html", status, form=form, problems=problems, back=back, carried=carried, nobody=nobody)


def _go_on(back: str, carried: refill.Fields) -> Response:
    """Redirect to the page; if a form was sent there without a session, show it again."""
    if not carried:
        return see_other(back)
    return page("users/refill.html", back=refill.refill_address(back), carried=carried)


@bp.get("/signed-in")
@needs(Role.VIEWER)
def signed_in() -> Response:
    """Say that the page in the other tab works again."""
    return page("users/signed_in.html")


@bp.post("/sign-out")
@needs(Role.VIEWER)
def sign_out() -> Response:
    signing_in.sign_out(guard.sitting(), guard.actor(), clock.now())
    guard.end()
    flash(_("You are signed out."), "success")
    return see_other(url_for("users.sign_in"))


@bp.route(login_links.LINK_PATH + "<token>", methods=["GET", "POST"])
@public
@limiter.limit("30 per minute")
def welcome(token: str) -> Response:
    """Let the person a one-time link was made for set a password."""
    now = clock.now()
    try:
        guest = login_links.welcome(token, now)
    except NotFound:
        return page("users/link_gone.html", 404)
    form = WelcomeForm(data={"login": guest.login, "name": guest.name})
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            who = login_links.use_link(
                token, form.login.data or "", form.name.data, form.password.data, guard.address(), now
            )
        except NotFound:
            return page("users/link_gone.html", 404)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            guard.begin(who)
            flash(_("Welcome. You are signed in."), "success")
            return see_other("/")
    status = 422 if form.is_submitted() else 200
    return page("users/welcome.html", status, form=form, problems=problems, guest=guest)


@bp.route("/account", methods=["GET", "POST"])
@needs(Role.VIEWER)
def own() -> Response:
    """Show and change one's own name and language."""
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
    return page("users/own.html", 422 if form.is_submitted() else 200, form=form, problems=problems)


@bp.route("/account/password", methods=["GET", "POST"])
@needs(Role.VIEWER)
@limiter.limit("10 per minute", methods=["POST"])
def password() -> Response:
    """Change one's own password; other sessions end, this one goes on."""
    form = PasswordForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            who = signing_in.change_password(
                guard.reader().id, form.old.data, form.password.data, guard.actor(), clock.now()
            )
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            guard.begin(who)
            flash(_("Your password was changed. Everywhere else you are signed out."), "success")
            return see_other(url_for("users.own"))
    return page("users/password.html", 422 if form.is_submitted() else 200, form=form, problems=problems)


@bp.post("/account/sign-out-everywhere")
@needs(Role.VIEWER)
def sign_out_everywhere() -> Response:
    who = signing_in.sign_out_everywhere(guard.reader().id, guard.actor(), clock.now())
    guard.begin(who)
    flash(_("You are signed out on every other device."), "success")
    return see_other(url_for("users.own"))


@bp.get("/users")
@needs(Role.ADMINISTRATOR)
def index() -> Response:
    everybody = users.everybody()
    seeing = {one.id for one in everybody if sees_numbers(Role(one.role), one.sees_numbers)}
    return page("users/index.html", people=everybody, seeing=seeing, invited=login_links.invited(clock.now()))


@bp.route("/users/new", methods=["GET", "POST"])
@needs(Role.ADMINISTRATOR)
def invite() -> Response:
    """Add a person and show the link to send to them; it is shown this once."""
    form = InviteForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            person, link = login_links.invite(
                form.login.data,
                form.name.data,
                Role(form.role.data),
                form.sees_numbers.data,
                guard.actor(),
                clock.now(),
            )
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            return page("users/link.html", person=person, link=guard.public_url() + link)
    return page("users/invite.html", 422 if form.is_submitted() else 200, form=form, problems=problems)


@bp.route("/users/<int:user_id>", methods=["GET", "POST"])
@needs(Role.ADMINISTRATOR)
def show(user_id: int) -> Response:
    """Show and change a person's name, role and rights."""
    person = users.person(user_id)
    form = ChangeForm(obj=person)
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            users.change(
                user_id,
                form.name.data,
                Role(form.role.data),
                form.sees_numbers.data,
                form.active.data,
                guard.actor(),
                clock.now(),
            )
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("%(name)s was saved.", name=form.name.data), "success")
            return see_other(url_for("users.index"))
    return page("users/show.html", 422 if form.is_submitted() else 200, form=form, problems=problems, person=person)


@bp.post("/users/<int:user_id>/link")
@needs(Role.ADMINISTRATOR)
def link(user_id: int) -> Response:
    """Make a new one-time link; the older ones stop working."""
    try:
        path = login_links.make_link(user_id, guard.actor(), clock.now())
    except NotFound:
        raise
    except Refusal as refusal:
        for problem in refusal.problems:
            flash(sentence(problem), "danger")
        return see_other(url_for("users.show", user_id=user_id))
    return page("users/link.html", person=users.person(user_id), link=guard.public_url() + path)


@bp.post("/users/<int:user_id>/sign-out")
@needs(Role.ADMINISTRATOR)
def end_sessions(user_id: int) -> Response:
    who = signing_in.sign_out_everywhere(user_id, guard.actor(), clock.now())
    if user_id == guard.reader().id:
        guard.begin(who)
    flash(_("%(name)s is signed out everywhere.", name=who.name), "success")
    return see_other(url_for("users.show", user_id=user_id))


@bp.get("/audit-log")
@needs(Role.ADMINISTRATOR)
def audit_log() -> Response:
    """Show the audit log, newest first."""
    user_id = request.args.get("person", type=inputs.id_)
    action = request.args.get("action", "")
    audit_page = audit_pages.audit_page(user_id, action, request.args.get("before", type=inputs.long_id))
    everybody = users.everybody()
    return page_or_piece(
        "users/audit_log.html",
        "users/_audit_log.html",
        lines=audit_page.rows,
        older=audit_page.next,
        user_id=user_id,
        action=action,
        people=everybody,
        names={person.id: person.name or person.login for person in everybody},
        actions=audit_pages.audit_actions(),
    )
