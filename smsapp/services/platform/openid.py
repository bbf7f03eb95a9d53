"""Signing in through an OpenID provider (OpenID Connect Core 1.0): the code flow with PKCE, state and nonce.

The provider's addresses and keys are fetched anew for each sign-in, which is rare: no copy grows old, and new keys
count at once. Requests go to the issuer's own host only, with a time limit, and no redirect is followed.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import logging
import secrets
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient
from smsapp.domain.errors import Problem, Refusal
from smsapp.store.settings import settings

TIMEOUT, CONNECT_TIMEOUT = 10.0, 5.0
LARGEST_ANSWER = 1024 * 1024
MOST_WAITING, QUEUED_SECONDS = 3, 2.0
"""Threads of a process that may wait for the provider, and how long others wait for their turn: a provider that is slow
must not keep all of them from other pages."""
SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""What an ID token may be signed with: by a private key of the provider, never "none" and never a shared secret."""
LEEWAY = 60
"""Seconds by which the provider's clock may differ."""
WITHIN = dt.timedelta(minutes=15)
"""How long a person may take at the provider."""

log = logging.getLogger(__name__)
_waiting = threading.BoundedSemaphore(MOST_WAITING)

Claims = Mapping[str, Any]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Attempt:
    """One way to the provider and back, remembered in the browser that begins it."""

    state: str
    nonce: str
    verifier: str
    since: float
    """Unix seconds."""

    def __repr__(self) -> str:
        return "<Attempt>"


def is_on() -> bool:
    """Return whether people can sign in through a provider."""
    return bool(settings().OIDC_ISSUER)


def provider_name() -> str:
    """Return the host of the provider, as people know it; "" if there is none."""
    return urlsplit(settings().OIDC_ISSUER).hostname or ""


def begin(redirect_uri: str, now: dt.datetime) -> tuple[str, Attempt]:
    """Return the provider's address to go to, and the attempt to remember; raises Refusal."""
    metadata = _answer(_discover())
    attempt = Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), now.timestamp())
    address = prepare_grant_uri(
        metadata["authorization_endpoint"],
        settings().OIDC_CLIENT_ID,
        "code",
        redirect_uri=redirect_uri,
        scope=settings().OIDC_SCOPES,
        state=attempt.state,
        nonce=attempt.nonce,
        code_challenge=create_s256_code_challenge(attempt.verifier),
        code_challenge_method="S256",
    )
    return address, attempt


def finish(attempt: Attempt | None, answer: Mapping[str, str], redirect_uri: str, now: dt.datetime) -> Claims:
    """Return the claims of the ID token for which the provider's answer stands; raises Refusal.

    `answer`: the query with which the provider sent the person back.
    """
    if attempt is None or now.timestamp() - attempt.since > WITHIN.total_seconds():
        raise Refusal(Problem("openid_too_late"))
    if not secrets.compare_digest(attempt.state.encode(), answer.get("state", "").encode()):
        raise _failed("openid_state")
    if answer.get("iss", settings().OIDC_ISSUER) != settings().OIDC_ISSUER:
        raise _failed("openid_state")
    if "error" in answer or not answer.get("code"):
        raise _failed("openid_denied")
    token, keys = _answer(_exchange(answer["code"], attempt.verifier, redirect_uri))
    return _checked(token, keys, attempt.nonce, now)


def sign_out_address(back: str) -> str:
    """Return the provider's address for signing out there, too; "" if it has none. Raises Refusal."""
    address = str(_answer(_discover()).get("end_session_endpoint") or "")
    if not address:
        return ""
    joint = "&" if urlsplit(address).query else "?"
    client = quote(settings().OIDC_CLIENT_ID, safe="")
    return f"{address}{joint}client_id={client}&post_logout_redirect_uri={quote(back, safe='')}"


def _answer(calls: Coroutine[Any, Any, Result]) -> Result:
    """Return what the calls of the provider lead to; raises Refusal, also if others wait for it already."""
    if not _waiting.acquire(timeout=QUEUED_SECONDS):
        calls.close()
        raise _failed("openid_unreachable")
    try:
        return asyncio.run(calls)
    finally:
        _waiting.release()


async def _discover() -> dict[str, Any]:
    """Return the provider's metadata; raises Refusal if it does not answer, or is not that of our issuer."""
    async with _http() as http:
        return await _metadata(http)


async def _metadata(http: HttpClient) -> dict[str, Any]:
    issuer = settings().OIDC_ISSUER
    metadata = OpenIDProviderMetadata(await _fetch(http, "GET", get_well_known_url(issuer, external=True)))
    try:
        metadata.validate_authorization_endpoint()
        metadata.validate_token_endpoint()
        metadata.validate_jwks_uri()
    except ValueError:
        raise _failed("openid_metadata") from None
    if metadata.get("issuer") != issuer:
        raise _failed("openid_metadata")
    own = [metadata["authorization_endpoint"], metadata["token_endpoint"], metadata["jwks_uri"]]
    if any(_origin(address) != _origin(issuer) for address in [*own, metadata.get("end_session_endpoint") or issuer]):
        raise _failed("openid_metadata")
    return dict(metadata)


async def _exchange(code: str, verifier: str, redirect_uri: str) -> tuple[dict[str, Any], KeySet]:
    """Return the answer of the token endpoint and the provider's keys; raises Refusal."""
    async with _http() as http:
        metadata = await _metadata(http)
        fields = {"code": code, "code_verifier": verifier}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        headers |= _client_proof(metadata, fields)
        body = prepare_token_request("authorization_code", redirect_uri=redirect_uri, **fields)
        token = await _fetch(http, "POST", metadata["token_endpoint"], headers, body.encode())
        keys = await _fetch(http, "GET", metadata["jwks_uri"])
    try:
        return token, KeySet.import_key_set({"keys": keys["keys"]})
    except (JoseError, KeyError, TypeError, ValueError):
        raise _failed("openid_metadata") from None


def _client_proof(metadata: Mapping[str, Any], fields: dict[str, str]) -> dict[str, str]:
    """Return the headers that prove who asks, or add that to the fields of the form, as the provider takes it."""
    client_id, secret = settings().OIDC_CLIENT_ID, settings().OIDC_CLIENT_SECRET
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if secret and "client_secret_basic" in methods:
        pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    fields["client_id"] = client_id
    if secret:
        fields["client_secret"] = secret
    return {}


def _checked(token: Mapping[str, Any], keys: KeySet, nonce: str, now: dt.datetime) -> Claims:
    """Return the claims of the ID token: signed by the provider, for us, for this attempt, and not expired."""
    client_id = settings().OIDC_CLIENT_ID
    try:
        decoded = jwt.decode(str(token.get("id_token", "")), keys, algorithms=list(SIGNATURES))
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            options={"iss": {"value": settings().OIDC_ISSUER}, "aud": {"value": client_id}},
            params={"nonce": nonce, "client_id": client_id, "access_token": token.get("access_token")},
        )
        claims.validate(int(now.timestamp()), LEEWAY)
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise ValueError
    except (JoseError, AuthlibBaseError, ValueError, TypeError) as error:
        raise _failed("openid_token", error) from None
    return dict(claims)


def _http() -> HttpClient:
    """Return a client that may also call the issuer if it lies in a private network: the settings name it."""
    host = urlsplit(settings().OIDC_ISSUER).hostname or ""
    return HttpClient(
        [host, *settings().ALLOWED_PRIVATE_HOSTS],
        connections=2,
        timeout=TIMEOUT,
        connect_timeout=CONNECT_TIMEOUT,
        largest_answer=LARGEST_ANSWER,
    )


async def _fetch(
    http: HttpClient, method: str, address: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> dict[str, Any]:
    """Return the JSON object with which the provider answers; raises Refusal."""
    try:
        answer = await http.request(method, address, headers, body)
    except ChannelError as error:
        raise _failed("openid_unreachable", error) from None
    if answer.status != 200:
        raise _failed("openid_denied" if method == "POST" else "openid_unreachable")
    return answer.fields()


def _origin(address: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of an address."""
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port


def _failed(code: str, error: BaseException | None = None) -> Refusal:
    """Log what went wrong, without what was sent, and return the Refusal."""
    log.warning("openid.failed code=%s error=%s", code, type(error).__name__ if error else "-")
    return Refusal(Problem(code))
