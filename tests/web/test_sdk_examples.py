"""The examples on the page 接入应用 do what they show: what they send is kept, in the catalogue of the demo too."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from smsapp.domain.contact import Type
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, applying, uploads
from smsapp.services.contacts import contacts
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import add_properties
from smsapp.store.db import current_session, writing
from smsapp.web.keys import SDKS

PAIR = re.compile(r"""["']?(\$?[A-Za-z_]+)["']?\s*(?::|=>|,)\s*("[^"]*"|\d+|true|false)""")
NOT_PROPERTIES = {"appid", "xwho", "xwhat", "xwhen", "isLogin", "platform", "appId", "uploadURL", "appkey"}
DEMO = {"level": Type.STRING, "nickname": Type.STRING, "city": Type.STRING, "points": Type.NUMBER}
"""Types of the properties that the demo shop has and examples might name."""


def gzipped(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": base64.b64encode(gzip.compress(json.dumps(records).encode()))}


def plain(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"data": json.dumps(records)}


SENT: dict[str, Callable[[list[dict[str, Any]]], dict[str, Any]]] = {
    "JavaScript": plain,
    "Python": gzipped,
    "Java": gzipped,
    "PHP": gzipped,
    "Go": plain,
    "Node": plain,
    "HTTP": plain,
}
"""How each SDK sends its records."""


def shown(example: str) -> dict[str, Any]:
    """Return the properties that an example reports."""
    pairs = {name: json.loads(value) for name, value in PAIR.findall(example[example.index("$phone") - 2 :])}
    return {name: value for name, value in pairs.items() if name not in NOT_PROPERTIES}


@pytest.mark.parametrize("kind", [KeyKind.SERVER, KeyKind.BROWSER])
@pytest.mark.parametrize("sdk", SDKS)
def test_what_an_example_sends_is_kept(sdk: str, kind: KeyKind, app: Flask, client: Any) -> None:
    # given the catalogue of the demo, and the example as the page shows it
    app.extensions.pop(uploads.EXTENSION, None)
    with writing() as session:
        add_properties(session, DEMO, clock.now())
    key = app_keys.create("Shop", kind, Actor("test"), clock.now()).key
    page = client.as_("administrator").get(f"/keys/guide?key={key}&sdk={sdk}")
    example = page.select_one("pre.record").get_text()
    assert key in example or sdk == "HTTP"
    properties = shown(example)
    assert "$phone" in properties

    # when it is sent as this SDK sends it
    about = {"$lib": sdk, "$lib_version": "4.1.1", "$platform": sdk, "$is_login": True, "$debug": 0}
    record = {"appid": key, "xwho": "u1001", "xwhat": "$profile_set", "xcontext": {**about, **properties}}
    web: FlaskClient = app.test_client()
    assert web.post("/up", **SENT[sdk]([record])).data == b'{"code":200}'
    applying.apply_waiting(clock.now())

    # then everything in it is kept, the number can be read, and nothing is refused
    contact = current_session().query(Contact).filter_by(xwho="u1001").one()
    assert contact.properties == properties
    assert contact.phones == {"$phone": "+8613800138000"}
    assert contacts.bad_records() == []
