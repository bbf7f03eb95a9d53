"""Signing in through an OpenID provider, and out again."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from flask import Response, abort, request, session, url_for
from flask_login import current_user

from smsapp.domain.errors import Refusal
from smsapp.labels import sentence
from smsapp.services.platform import clock, openid, provider_sign_in, signing_in
from smsapp.services.platform.openid import Attempt
from smsapp.web import guard
from smsapp.web.guard import public
from smsapp.web.render import leave, page, see_other
from smsapp.web.users import bp

ATTEMPT = "openid"


@bp.app_context_processor
def ways_to_sign_in() -> dict[str, Any]:
    """Tell templates which ways there are: the host of the provider ("" without one), and whether passwords count."""
    return {"provider": openid.provider_name(), "local_sign_in": signing_in.is_local()}


@bp.get("/sign-in/openid")
@public
def openid_begin() -> Response:
    """Send the person to the provider; afterwards to the page in `next`."""
    if not openid.is_on():
        abort(404)
    back = guard.own_path(request.args.get("next", "/"))
    if current_user.is_authenticated:
        return see_other(back)
    try:
        address, attempt = openid.begin(_redirect_uri(), clock.now())
    except Refusal as refusal:
        return _failed(refusal, back)
    session[ATTEMPT] = [*astuple(attempt), back]
    return leave(address)


@bp.get("/sign-in/openid/callback")
@public
def openid_callback() -> Response:
    """Take the provider's answer: sign the person in, or say what is wrong."""
    if not openid.is_on():
        abort(404)
    *attempt, back = session.pop(ATTEMPT, [None])
    back = back or "/"
    try:
        claims = openid.finish(
            Attempt(*attempt) if attempt else None, request.args.to_dict(), _redirect_uri(), clock.now()
        )
        who = provider_sign_in.sign_in(claims, guard.address(), clock.now())
    except Refusal as refusal:
        return _failed(refusal, back)
    guard.begin(who)
    return see_other(back)


@bp.get("/signed-out")
@public
def signed_out() -> Response:
    """Say that the person is signed out here, and offer to sign out at the provider, too."""
    return page("users/signed_out.html") if openid.is_on() else see_other(url_for("users.sign_in"))


@bp.get("/sign-in/openid/sign-out")
@public
def openid_sign_out() -> Response:
    """Send the person to the provider, to sign out there."""
    if not openid.is_on():
        abort(404)
    try:
        address = openid.sign_out_address(guard.public_url() + url_for("users.sign_in"))
    except Refusal as refusal:
        return _failed(refusal, "/")
    return leave(address) if address else see_other(url_for("users.sign_in"))


def _redirect_uri() -> str:
    return guard.public_url() + url_for("users.openid_callback")


def _failed(refusal: Refusal, back: str) -> Response:
    """Return the page that says what is wrong; nobody is signed in by it."""
    sentences = [sentence(problem) for problem in refusal.problems]
    return page("users/openid_failed.html", 403, sentences=sentences, back=back)
