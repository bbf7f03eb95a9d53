"""The cookie of a device on which people have signed in: strangers' guesses do not make them wait there.

It is signed, not secret, and opens nothing: it only gives the device a counter of its own (domain/throttle.py).
"""

from __future__ import annotations

import secrets

from flask import Response, after_this_request, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from smsapp.domain.roles import plain_login
from smsapp.services.platform.throttling import Client
from smsapp.web import guard

LASTS = 365 * 86_400
"""Seconds for which a device is remembered; each sign-in begins them anew."""
MOST_LOGINS = 8
"""Logins that one device remembers, the newest first."""

Devices = dict[str, str]
"""The id of this device for each login in its plain form."""


def client(login: str) -> Client:
    """Return where this request comes from, as attempts to sign in with this login are counted."""
    return Client(guard.address(), _devices().get(plain_login(login), ""))


def remember(login: str) -> None:
    """Remember with this answer that the login has signed in on this device."""
    known = _devices()
    device = known.pop(login, "") or secrets.token_hex(16)
    devices = {login: device} | dict(list(known.items())[: MOST_LOGINS - 1])

    @after_this_request
    def set_cookie(response: Response) -> Response:
        response.set_cookie(
            _name(),
            _signer().dumps(devices),
            max_age=LASTS,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response


def _devices() -> Devices:
    try:
        devices: Devices = _signer().loads(request.cookies.get(_name(), ""), max_age=LASTS)
    except BadData:
        return {}
    return devices


def _name() -> str:
    """Return the cookie's name, with the session's prefix: no other host of the domain can set it where https is."""
    return f"{current_app.config['SESSION_COOKIE_NAME']}-device"


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="smsapp.device")
