"""People and the audit log, for administrators."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.rights import Right, sees_numbers
from smsapp.domain.roles import Role
from smsapp.labels import sentence
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.platform import clock, login_links, provider_sign_in, second_factor, sessions, users
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.users import ChangeForm, InviteForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("users", __name__)

MENU = (MenuLine(_l("People"), "users.index", 91, "users", Right.PEOPLE_WRITE, settings=True),)


@bp.get("/users")
@needs(Right.PEOPLE_WRITE)
def index() -> Response:
    everybody = users.everybody()
    seeing = {one.id for one in everybody if sees_numbers(Role(one.role), one.sees_numbers)}
    return page(
        "users/index.html",
        people=everybody,
        seeing=seeing,
        invited=login_links.invited(clock.now()),
        with_factor=second_factor.with_factor(),
        by_provider=provider_sign_in.with_identity(),
    )


@bp.route("/users/new", methods=["GET", "POST"])
@needs(Right.PEOPLE_WRITE)
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
@needs(Right.PEOPLE_WRITE)
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
    return page(
        "users/show.html",
        422 if form.is_submitted() else 200,
        form=form,
        problems=problems,
        person=person,
        factor=second_factor.state(user_id),
        by_provider=user_id in provider_sign_in.with_identity(),
        sessions=sessions.of_person(user_id, clock.now()),
        here=guard.sitting().id,
    )


@bp.post("/users/<int:user_id>/link")
@needs(Right.PEOPLE_WRITE)
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


@bp.route("/users/<int:user_id>/reset-factor", methods=["GET", "POST"])
@needs(Right.PEOPLE_WRITE)
def reset_factor(user_id: int) -> Response:
    """Remove the second factor of somebody who has lost it."""
    person = users.person(user_id)
    if request.method == "GET" and second_factor.state(user_id).since:
        return page("users/reset_factor.html", person=person)
    try:
        second_factor.reset(user_id, guard.actor(), clock.now())
    except NotFound:
        flash(_("%(name)s has no second factor.", name=person.name or person.login), "info")
    else:
        flash(_("%(name)s signs in without a second factor now.", name=person.name or person.login), "success")
    return see_other(url_for("users.show", user_id=user_id))


@bp.post("/users/<int:user_id>/sign-out")
@needs(Right.PEOPLE_WRITE)
def end_sessions(user_id: int) -> Response:
    who = sessions.end_all(user_id, guard.actor(), clock.now())
    if user_id == guard.reader().id:
        guard.begin_again(who)
    flash(_("%(name)s is signed out everywhere.", name=who.name), "success")
    return see_other(url_for("users.show", user_id=user_id))


@bp.post("/users/<int:user_id>/sessions/<session_id>/end")
@needs(Right.PEOPLE_WRITE)
def end_session(user_id: int, session_id: str) -> Response:
    """End one session of a person."""
    sessions.end(user_id, session_id, guard.actor(), clock.now())
    flash(_("That device is signed out."), "success")
    return see_other(url_for("users.show", user_id=user_id))
