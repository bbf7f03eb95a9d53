"""Keys of the HTTP API: the list, a new one, which is shown once, and the end of one."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.api_key import KeyState, Scope, scopes_of
from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.platform import api_keys, clock
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.api_keys import NewApiKeyForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("api_keys", __name__, url_prefix="/settings/api-keys")
MENU = MenuLine(_l("API keys"), "api_keys.index", 71, "key", Right.KEYS_WRITE, settings=True)


@bp.route("/", methods=["GET", "POST"])
@needs(Right.KEYS_WRITE)
def index() -> Response:
    """List all keys, and take the form of a new one: its answer is the only page that shows the key."""
    form, problems = NewApiKeyForm(), list[str]()
    if form.validate_on_submit():
        try:
            new = api_keys.create(
                form.name.data,
                [Scope(scope) for scope in form.scopes.data],
                guard.actor(),
                clock.now(),
                days=form.days.data,
                is_test=form.is_test.data,
                sees_numbers=form.sees_numbers.data,
                per_minute=form.per_minute.data,
            )
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            return page("api_keys/made.html", new=new, url=guard.public_url())
    now = clock.now()
    return page(
        "api_keys/index.html",
        422 if form.is_submitted() else 200,
        form=form,
        problems=problems,
        keys=[(row, api_keys.state(row, now), scopes_of(row.scopes)) for row in api_keys.listed()],
        active=KeyState.ACTIVE,
    )


@bp.route("/<int:key_id>/revoke", methods=["GET", "POST"])
@needs(Right.KEYS_WRITE)
def revoke(key_id: int) -> Response:
    """Ask whether a key shall count no more, and end it."""
    row = api_keys.get(key_id)
    if request.method == "POST":
        api_keys.revoke(key_id, guard.actor(), clock.now())
        flash(_("“%(name)s” counts no more.", name=row.name), "success")
        return see_other(url_for(".index"))
    return page("api_keys/revoke.html", row=row)
