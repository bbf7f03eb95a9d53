"""AppKeys, and how apps and sites report profiles with them."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from smsapp.domain.errors import Refusal
from smsapp.domain.people import Role
from smsapp.services import clock, keys
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.keys import KeyForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("keys", __name__, url_prefix="/keys")
MENU = MenuLine(_l("AppKeys"), "keys.index", 70, "key", Role.ADMINISTRATOR, settings=True)

SDKS = ("JavaScript", "Python", "Java", "PHP", "Go", "Node", "HTTP")


@bp.route("/", methods=["GET", "POST"])
@needs(Role.ADMINISTRATOR)
def index() -> Response:
    """All keys, and a form to make another one."""
    form = KeyForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            made = keys.create(form.name.data, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The AppKey was made. This is how apps use it."), "success")
            return see_other(url_for(".guide", key=made.key))
    return page(
        "contacts/keys.html", 422 if form.is_submitted() else 200, form=form, problems=problems, keys=keys.listed()
    )


@bp.post("/<key>/switch")
@needs(Role.ADMINISTRATOR)
def switch(key: str) -> Response:
    """Let a key work, or work no more."""
    row = keys.switch(key, request.form.get("active") == "1", guard.actor(), clock.now())
    if row.active:
        flash(_("“%(name)s” works again.", name=row.name), "success")
    else:
        flash(_("“%(name)s” is disabled. What is reported with it goes to the refused records.", name=row.name), "info")
    return see_other(url_for(".index"))


@bp.get("/guide")
@needs(Role.OPERATOR)
def guide() -> Response:
    """How each SDK is told the server's address and the AppKey."""
    active = [row for row in keys.listed() if row.active]
    wanted = request.args.get("key", "")
    chosen = next((row for row in active if row.key == wanted), active[0] if active else None)
    sdk = request.args.get("sdk", SDKS[0])
    return page(
        "contacts/guide.html",
        keys=active,
        chosen=chosen,
        server=keys.server_url(request.url_root),
        sdks=SDKS,
        sdk=sdk if sdk in SDKS else SDKS[0],
    )
