"""Uploads that servers sign: taken once, and the examples of the documentation do it."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from werkzeug.serving import make_server

from config import HERE
from smsapp.domain.errors import Refusal
from smsapp.domain.trust import KeyKind
from smsapp.domain.upload_signature import SignatureFault, UploadSignature, signature_of
from smsapp.services.apps import app_keys, applying, key_secrets, uploads
from smsapp.services.channels import channel_secrets
from smsapp.services.contacts import contacts
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps import nonces
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.queue import QueueDown
from smsapp.web.up import TAKEN

BY = Actor("test")
EXAMPLE = re.compile(r"```(sh|python)\n((?:(?!```).)*X-Up-Key(?:(?!```).)*)```", re.DOTALL)


@pytest.fixture
def key(app: Flask) -> AppKey:
    return app_keys.create("会员系统", KeyKind.SERVER, BY, clock.now())


@pytest.fixture
def http(app: Flask) -> FlaskClient:
    return app.test_client()


def body(key: AppKey, xwho: str = "m1") -> bytes:
    return json.dumps(
        [{"appid": key.key, "xwho": xwho, "xwhat": "$profile_set", "xcontext": {"$name": "陈涛"}}]
    ).encode()


def headers(
    key: AppKey, secret: str, sent: bytes, nonce: str = "n" * 16, at: dt.datetime | None = None
) -> dict[str, str]:
    moment = str(int((at or clock.now()).timestamp()))
    signature = signature_of(secret, UploadSignature(key.key, moment, nonce, "").signed_text(sent))
    return {"X-Up-Key": key.key, "X-Up-Timestamp": moment, "X-Up-Nonce": nonce, "X-Up-Signature": signature}


def post(http: FlaskClient, sent: bytes, named: dict[str, str] | None = None) -> tuple[int, Any]:
    """Report as to a web process that was just started."""
    http.application.extensions.pop(uploads.EXTENSION, None)
    response = http.post("/up", data=sent, headers=named)
    return response.status_code, response.get_json()


def known() -> set[str]:
    applying.apply_waiting(clock.now())
    current_session().expire_all()
    return {row.xwho for row in current_session().query(Contact)}


def test_a_signed_upload_is_taken_once(http: FlaskClient, key: AppKey) -> None:
    secret = key_secrets.make(key.id, BY, clock.now())
    sent = body(key)
    signed = headers(key, secret, sent)
    assert post(http, sent, signed)[0] == 200
    assert post(http, sent, signed) == (401, {"code": 401, "msg": uploads.UNVERIFIED[SignatureFault.REPLAYED]})
    assert known() == {"m1"}


def test_what_is_not_signed_rightly_is_refused(http: FlaskClient, key: AppKey) -> None:
    secret = key_secrets.make(key.id, BY, clock.now())
    sent = body(key)
    assert post(http, body(key, "m2"), headers(key, secret, sent))[0] == 401
    assert post(http, sent, headers(key, "wrong", sent))[0] == 401
    assert post(http, sent, headers(key, secret, sent, at=clock.now() - dt.timedelta(minutes=6)))[0] == 401
    assert known() == set()


def test_a_key_that_takes_signed_uploads_only_refuses_the_others(http: FlaskClient, key: AppKey) -> None:
    other = app_keys.create("旧系统", KeyKind.SERVER, BY, clock.now())
    with pytest.raises(Refusal):
        key_secrets.set_signed_only(key.id, True, BY, clock.now())
    secret = key_secrets.make(key.id, BY, clock.now())
    key_secrets.set_signed_only(key.id, True, BY, clock.now())
    assert post(http, body(key))[0] == 401
    mixed = body(key)[:-1] + b"," + body(other, "m2")[1:]
    assert post(http, mixed)[0] == 200
    assert known() == {"m2"}
    assert [row.reason for row in contacts.bad_records()] == ["unsigned"]
    # A signature of one key does not speak for another.
    stranger = key_secrets.make(other.id, BY, clock.now())
    assert post(http, body(key), headers(other, stranger, body(key)))[0] == 401
    assert post(http, body(key, "m3"), headers(key, secret, body(key, "m3")))[0] == 200
    assert known() == {"m2", "m3"}


def test_a_previous_secret_is_taken_for_a_day_and_survives_new_encryption(http: FlaskClient, key: AppKey) -> None:
    first = key_secrets.make(key.id, BY, clock.now())
    second = key_secrets.make(key.id, BY, clock.now())
    channel_secrets.rotate(BY, clock.now())
    for nonce, secret in (("a" * 16, first), ("b" * 16, second)):
        assert post(http, body(key), headers(key, secret, body(key), nonce))[0] == 200
    key_secrets.make(key.id, BY, clock.now())
    assert post(http, body(key), headers(key, first, body(key), "c" * 16))[0] == 401
    current_session().query(AppKey).update({"previous_secret_until": clock.now() - dt.timedelta(seconds=1)})
    current_session().commit()
    assert post(http, body(key), headers(key, second, body(key), "d" * 16))[0] == 401


def test_without_redis_nothing_signed_is_taken(http: FlaskClient, key: AppKey, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = key_secrets.make(key.id, BY, clock.now())

    def away(*_: Any) -> bool:
        raise QueueDown

    monkeypatch.setattr(nonces, "use", away)
    assert post(http, body(key), headers(key, secret, body(key)))[0] == 503


def test_a_secret_is_shown_once_and_public_keys_have_none(client: Any, key: AppKey) -> None:
    administrator = client.as_("administrator")
    administrator.get(f"/keys/{key.id}")
    page = administrator.post(f"/keys/{key.id}/secret")
    secret = page.select_one("#secret")["value"]
    assert len(secret) == 64
    assert secret not in administrator.get(f"/keys/{key.id}").get_text()
    administrator.post(f"/keys/{key.id}/signed-only", signed_only="1")
    current_session().expire_all()
    row = app_keys.key(key.id)
    assert row.signed_only
    assert secret.encode() not in (row.secrets or b"")
    with pytest.raises(Refusal):
        key_secrets.make(app_keys.create("网站", KeyKind.BROWSER, BY, clock.now()).id, BY, clock.now())


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_the_examples_of_the_documentation_are_taken(runner: FlaskCliRunner, address: str, key: AppKey) -> None:
    secret = runner.invoke(args=["keys", "secret", key.key]).output.strip()
    assert runner.invoke(args=["keys", "signed", key.key, "only"]).exit_code == 0
    examples = EXAMPLE.findall((HERE / "docs" / "administrators.md").read_text())
    assert [language for language, _ in examples] == ["sh", "python"]
    for language, text in examples:
        lines = text.replace("https://sms.example.com", address).splitlines()
        place = next(n for n, line in enumerate(lines) if line.startswith("SERVER"))
        quote = '"' if language == "python" else ""
        for value in (key.key, secret):
            lines[place] = lines[place].replace(f"{quote}...{quote}", f"{quote}{value}{quote}", 1)
        command = [sys.executable, "-c"] if language == "python" else ["sh", "-c"]
        done = subprocess.run([*command, "\n".join(lines)], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == TAKEN, done.stderr
    assert known() == {"m1001", "m1002"}
