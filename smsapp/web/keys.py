"""AppKeys: what each may do, and how apps and sites report profiles with them."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.domain.trust import MOST_NEW_NAMES, KeyKind, Rule
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.apps import app_keys, key_secrets, quotas
from smsapp.services.contacts import contacts
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.forms import put_problems
from smsapp.web.forms.keys import KeyForm, NewKeyForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("keys", __name__, url_prefix="/keys")
MENU = MenuLine(_l("AppKeys"), "keys.index", 70, "key", Right.KEYS_WRITE, settings=True)

SDKS = ("JavaScript", "Python", "Java", "PHP", "Go", "Node", "HTTP")
BROWSER_SDKS = ("JavaScript",)


@bp.route("/", methods=["GET", "POST"])
@needs(Right.KEYS_WRITE)
def index() -> Response:
    """List all keys, with a form to make another one."""
    form = NewKeyForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            key = app_keys.create(
                form.name.data, KeyKind(form.kind.data), guard.actor(), clock.now(), form.writable_names()
            )
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The AppKey was made. This is how apps use it."), "success")
            return see_other(url_for(".guide", key=key.id))
    return page(
        "contacts/keys.html", 422 if form.is_submitted() else 200, form=form, problems=problems, keys=app_keys.listed()
    )


@bp.route("/<int:key_id>", methods=["GET", "POST"])
@needs(Right.KEYS_WRITE)
def show(key_id: int) -> Response:
    """Show and change a key: its name, the properties that it may write, its rules for proposals."""
    return _show(key_id)


def _show(key_id: int, secret: str = "") -> Response:
    """Show the page of a key, or take its form; `secret` is a new one, which is shown this once."""
    row = app_keys.key(key_id)
    form = KeyForm.of(row)
    problems: list[str] = []
    if not secret and form.validate_on_submit():
        try:
            app_keys.change(row.id, form.name.data, form.writable_names(), form.rules(row), guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The AppKey was saved."), "success")
            return see_other(url_for(".show", key_id=row.id))
    return page(
        "contacts/key.html",
        422 if form.is_submitted() and not secret else 200,
        form=form,
        problems=problems,
        row=row,
        secret=secret,
        is_public=row.kind != KeyKind.SERVER,
        catalogue=contacts.catalogue(),
        names=app_keys.names_of(row),
        most_new_names=MOST_NEW_NAMES,
        rules=tuple(Rule),
        usage=quotas.usage(row.id, KeyKind(row.kind), clock.now()),
    )


@bp.post("/<int:key_id>/take-over")
@needs(Right.KEYS_WRITE)
def take_over(key_id: int) -> Response:
    """Stop counting the properties that a public key has added against its limit."""
    app_keys.take_over(key_id, guard.actor(), clock.now())
    flash(_("These properties are yours now. The key may bring new ones."), "success")
    return see_other(url_for(".show", key_id=key_id))


@bp.post("/<int:key_id>/secret")
@needs(Right.KEYS_WRITE)
def make_secret(key_id: int) -> Response:
    """Make a secret for signed uploads, and show it this once."""
    return _show(key_id, key_secrets.make(key_id, guard.actor(), clock.now()))


@bp.post("/<int:key_id>/signed-only")
@needs(Right.KEYS_WRITE)
def set_signed_only(key_id: int) -> Response:
    """Say whether a key takes signed uploads only."""
    wanted = request.form.get("signed_only") == "1"
    row = key_secrets.set_signed_only(key_id, wanted, guard.actor(), clock.now())
    flash(
        _("This key takes signed uploads only.") if row.signed_only else _("This key takes unsigned uploads, too."),
        "success",
    )
    return see_other(url_for(".show", key_id=key_id))


@bp.post("/<int:key_id>/switch")
@needs(Right.KEYS_WRITE)
def switch(key_id: int) -> Response:
    """Enable or disable a key."""
    row = app_keys.switch(key_id, request.form.get("active") == "1", guard.actor(), clock.now())
    if row.active:
        flash(_("“%(name)s” works again.", name=row.name), "success")
    else:
        flash(_("“%(name)s” is disabled. What is reported with it goes to the refused records.", name=row.name), "info")
    return see_other(url_for(".index"))


@bp.get("/guide")
@needs(Right.SETUP_VIEW)
def guide() -> Response:
    """Show how each SDK is configured with the server's address and the AppKey."""
    active = [row for row in app_keys.listed() if row.active]
    key_id = request.args.get("key", type=inputs.long_id)
    sdk = request.args.get("sdk", "")
    key = next((row for row in active if row.id == key_id), None) or app_keys.advised(
        active, browser=sdk in BROWSER_SDKS
    )
    sdk = sdk if sdk in SDKS else ("JavaScript" if key and key.kind == KeyKind.BROWSER else "Python")
    return page(
        "contacts/guide.html",
        keys=active,
        chosen=key,
        server=app_keys.server_url(request.url_root),
        tabs=[(name, url_for(".guide", key=key.id, sdk=name), name == sdk) for name in SDKS] if key else [],
        sdk=sdk,
        is_public=key is not None and key.kind != KeyKind.SERVER,
        mismatch=key is not None and (key.kind == KeyKind.SERVER) is (sdk in BROWSER_SDKS),
    )
