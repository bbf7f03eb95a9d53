"""A stand-in OpenID provider on loopback: it signs real tokens, checks PKCE and the client, and lies if told to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from flask import Flask, Response, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "smsapp", "a secret: with/odd+letters"


class OpenIdProvider:
    """`claims` of the person who signs in; what is in the other attributes bends its answers."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.issuer = ""
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
        self.signing_key = self.key
        self.claims: dict[str, Any] = {"sub": "8f14e45f", "preferred_username": "Olga", "name": "Olga  B."}
        self.bent: dict[str, Any] = {}
        """Claims that replace the right ones; None leaves one out."""
        self.unsigned = False
        self.metadata: dict[str, Any] = {}
        self.answer: dict[str, str] = {}
        """What replaces the query with which a person is sent back."""
        self.basic = True
        self.is_down = False
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    def application(self) -> Flask:
        app = Flask("provider")
        app.add_url_rule("/.well-known/openid-configuration", view_func=self._metadata)
        app.add_url_rule("/authorize", view_func=self._authorize)
        app.add_url_rule("/token", view_func=self._token, methods=["POST"])
        app.add_url_rule("/keys", view_func=self._keys)
        app.before_request(self._note)
        return app

    def visit(self, address: str) -> str:
        """Go to the provider as a browser does and agree; return the address to which it sends the person back."""
        parts = urlsplit(address)
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=10)
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        assert answer.status == 302, answer.read()
        return answer.headers["Location"]

    def _note(self) -> Response | None:
        self.asked.append(request.path)
        return Response("down", 503) if self.is_down else None

    def _metadata(self) -> dict[str, Any]:
        right = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/logout",
            "token_endpoint_auth_methods_supported": ["client_secret_basic" if self.basic else "client_secret_post"],
        }
        return right | self.metadata

    def _authorize(self) -> Any:
        asked = request.args.to_dict()
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        query = {"code": code, "state": asked["state"], "iss": self.issuer} | self.answer
        return redirect(f"{asked['redirect_uri']}?{urlencode(query)}")

    def _token(self) -> Any:
        if not self._is_client():
            return {"error": "invalid_client"}, 401
        asked = self.codes.pop(request.form.get("code", ""), None)
        verifier = request.form.get("code_verifier", "")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != request.form["redirect_uri"]
        ):
            return {"error": "invalid_grant"}, 400
        right = {"iss": self.issuer, "aud": CLIENT_ID, "iat": int(self.now), "exp": int(self.now) + 300}
        claims = right | {"nonce": asked["nonce"]} | self.claims | self.bent
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": self._signed(claims)}

    def _is_client(self) -> bool:
        if self.basic:
            given = request.authorization
            return given is not None and given.username == CLIENT_ID and given.password == quote(CLIENT_SECRET, safe="")
        return request.form.get("client_id") == CLIENT_ID and request.form.get("client_secret") == CLIENT_SECRET

    def _signed(self, claims: dict[str, Any]) -> str:
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.unsigned:
            return f"{_part({'alg': 'none'})}.{_part(claims)}."
        return jwt.encode({"alg": "RS256", "kid": "first"}, claims, self.signing_key)

    def _keys(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@contextmanager
def serving(provider: OpenIdProvider) -> Iterator[OpenIdProvider]:
    """Serve the provider on a free port of loopback."""
    server = make_server("127.0.0.1", 0, provider.application(), threaded=True)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
