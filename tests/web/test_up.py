"""The upload protocol over HTTP, with requests as the SDKs make them."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from smsapp.services.apps import applying, uploads
from smsapp.services.contacts import contacts
from smsapp.services.platform import clock
from smsapp.store.apps import uploads as stored_uploads
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests.domain.test_ark import PYTHON_SDK

KEY = "demo-appkey"


@pytest.fixture
def sdk(app: Flask, now: dt.datetime) -> FlaskClient:
    current_session().add(AppKey(key=KEY, name="Demo", active=True, created_at=now))
    current_session().commit()
    app.extensions.pop(uploads.EXTENSION, None)
    return app.test_client()


def refused() -> list[str]:
    applying.apply_waiting(clock.now())
    return [bad.reason for bad in contacts.bad_records()]


def record(xwho: str = "u1001", what: str = "$profile_set", /, **context: Any) -> dict[str, Any]:
    return {"appid": KEY, "xwho": xwho, "xwhat": what, "xwhen": 1795356434401, "xcontext": {"$lib": "Node", **context}}


def held(xwho: str) -> Any:
    applying.apply_waiting(clock.now())
    return current_session().query(Contact.properties).filter_by(xwho=xwho).scalar()


def test_the_python_sdk_reports_a_profile(sdk: FlaskClient) -> None:
    answer = sdk.post("/up", data=PYTHON_SDK, content_type="application/x-www-form-urlencoded")
    assert answer.data == b'{"code":200}'
    assert held("u1001") == {
        "$phone": "13800138000",
        "nickname": "小明",
        "userlevel": 3,
        "hobby": ["跑步", "读书"],
        "vip": True,
    }
    assert current_session().query(AppKey.last_used_at).scalar() is not None


def test_the_node_sdk_reports_plain_json(sdk: FlaskClient) -> None:
    answer = sdk.post(f"/up?appid={KEY}", data=json.dumps([record(nickname="小明")]), content_type="application/json")
    assert answer.data == b'{"code":200}'
    assert held("u1001") == {"nickname": "小明"}


def test_the_javascript_sdk_reports_with_an_image(sdk: FlaskClient) -> None:
    events = [record("js1", "$startup"), record("js1", "$profile_set_once", **{"$first_visit_language": "zh"})]
    wrapped = base64.b64encode(json.dumps(events).encode()).decode()
    answer = sdk.get("/up", query_string={"appid": KEY, "data": wrapped, "send_type": "014"})
    assert answer.data == b'{"code":200}'
    assert held("js1") == {"$first_visit_language": "zh"}


def test_the_javascript_sdk_may_ask_from_another_origin(sdk: FlaskClient) -> None:
    asked = sdk.options("/up", headers={"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"})
    assert asked.status_code == 204
    answer = sdk.post("/up", data=json.dumps(record(a=1)), headers={"Origin": "https://shop.example"})
    for response in (asked, answer):
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in asked.headers["Access-Control-Allow-Headers"]


def test_the_java_sdk_names_utf_8_as_its_content_encoding(sdk: FlaskClient) -> None:
    body = base64.b64encode(gzip.compress(json.dumps([record(a=1)]).encode()))
    answer = sdk.post("/up", data=body, headers={"Content-Encoding": "UTF-8"})
    assert answer.data == b'{"code":200}'
    assert held("u1001") == {"a": 1}


def test_the_address_may_end_with_a_slash(sdk: FlaskClient) -> None:
    assert sdk.post("/up/", data=json.dumps(record(a=1))).data == b'{"code":200}'


def test_good_records_beside_a_bad_one_are_kept(sdk: FlaskClient) -> None:
    answer = sdk.post("/up", data=json.dumps([record(a=1), record(**{"no name": 1}), 5]))
    assert answer.data == b'{"code":200}'
    assert held("u1001") == {"a": 1}
    assert sorted(refused()) == ["bad_name", "no_object"]


def test_an_unknown_appkey_is_told_and_its_records_are_shown(sdk: FlaskClient) -> None:
    answer = sdk.post("/up", data=json.dumps([record() | {"appid": "wrong"}]))
    assert answer.status_code == 200
    assert answer.json == {"code": 400, "msg": "The AppKey (appid) is unknown or disabled."}
    assert refused() == ["unknown_appkey"]


@pytest.mark.parametrize("body", [b"", b"nonsense!", b"[{", '["中"]'.encode("gbk")])
def test_a_malformed_body_is_answered_in_words(sdk: FlaskClient, body: bytes) -> None:
    answer = sdk.post(f"/up?appid={KEY}", data=body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["code"] == 400
    assert answer.json["msg"]


def test_a_huge_body_is_refused_before_it_is_read(sdk: FlaskClient) -> None:
    answer = sdk.post("/up", data=b"x" * (10 * 2**20 + 1))
    assert answer.status_code == 413
    assert answer.json == {"code": 413, "msg": "The body is larger than 10 MiB."}


def test_a_body_of_ten_megabytes_is_taken(sdk: FlaskClient) -> None:
    body = base64.b64encode(json.dumps([record(f"u{i}", a=1) for i in range(100)]).encode() + b" " * 7_400_000)
    answer = sdk.post("/up", data=body)
    assert answer.data == b'{"code":200}'


def test_a_gzip_bomb_is_refused(sdk: FlaskClient) -> None:
    bomb = base64.b64encode(gzip.compress(b"[" + b" " * (9 * 2**20) + b"]"))
    assert len(bomb) < 200_000
    answer = sdk.post("/up", data=bomb)
    assert answer.status_code == 413
    assert answer.json == {"code": 413, "msg": "The body unfolds to more than 8 MiB."}


def test_a_database_that_fails_is_answered_by_the_protocol(
    sdk: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_given: object) -> None:
        raise OperationalError("INSERT", {"phone": "13800138000"}, Exception("down"))

    monkeypatch.setattr(stored_uploads, "add", fail)
    answer = sdk.post("/up", data=json.dumps(record(a=1)))
    assert (answer.status_code, answer.data) == (503, b'{"code":503}')
    assert answer.headers["Retry-After"]
    assert "13800138000" not in caplog.text
