"""What must hold for every upload, however odd."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Flask
from flask.testing import FlaskClient
from hypothesis import strategies as st

from smsapp.services.apps import applying
from smsapp.services.platform import clock
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests.fuzz import odd

KEY = "fuzz-appkey"
TRANSPORTS = ("plain", "gzip", "base64", "gzip+base64", "form", "get")
OPERATIONS = (
    "$profile_set",
    "$profile_set_once",
    "$profile_increment",
    "$profile_append",
    "$profile_unset",
    "$profile_delete",
    "$alias",
    "$startup",
    "order",
)
CONTENT_TYPES = (
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "",
    "a/b;charset=utf-16",
    "multipart/form-data; boundary=x",
)
QUERIES = (
    "",
    f"appid={KEY}",
    "appid=%ff",
    "appid=",
    "appid=unknown",
    f"appid={KEY}&appid=b",
    "%00=%00",
    "stringEncoding=gbk",
)
PLACES = ("sound-a-000000000", "sound-b-000000000")
_number = itertools.count(1)


@dataclass(frozen=True)
class OddUpload:
    """A request to /up: odd records between two sound ones, whose bytes may be broken afterwards."""

    body: bytes
    """Names the sound records' people by PLACES."""
    broken: bool
    transport: str
    content_type: str
    query: str


def record(operation: str, xwho: Any = "fuzz1") -> dict[str, Any]:
    """Return a sound record as an SDK sends it."""
    context: dict[str, Any] = {
        "$lib": "Node",
        "$phone": "13800138000",
        "nickname": "小明",
        "level": 3,
        "vip": True,
        "hobby": ["a"],
        "birthday": "2000-01-31 00:00:00.000",
    }
    if operation == "$alias":
        context = {"$lib": "Node", "$original_id": "js-1"}
    if operation == "$profile_increment":
        context = {"$lib": "Node", "level": 1}
    return {"appid": KEY, "xwho": xwho, "xwhat": operation, "xwhen": 1795356434401, "xcontext": context}


ITEMS = st.one_of(
    *(odd.changed(record(operation)) for operation in OPERATIONS),
    odd.VALUES,
    st.sampled_from([record(o) for o in OPERATIONS]),
)


@st.composite
def uploads(draw: st.DrawFn) -> OddUpload:
    """Odd requests to /up."""
    sound = [record("$profile_set", place) | {"xcontext": {"$lib": "Node", "mark": place}} for place in PLACES]
    body = odd.dumped([sound[0], *draw(st.lists(ITEMS, max_size=5)), sound[1]])
    damaged = draw(st.booleans())
    return OddUpload(
        body=draw(odd.broken(body)) if damaged else body,
        broken=damaged,
        transport=draw(st.sampled_from(TRANSPORTS)),
        content_type=draw(st.sampled_from(CONTENT_TYPES)),
        query=draw(st.sampled_from(QUERIES)),
    )


def check(client: FlaskClient, upload: OddUpload, errors: list[logging.LogRecord]) -> None:
    """Send it: the answer is one that SDKs understand, nothing fails, and the sound records beside it are kept."""
    ids = [f"{place[:-9]}{next(_number):09}" for place in PLACES]
    body = upload.body
    for place, xwho in zip(PLACES, ids, strict=True):
        body = body.replace(place.encode(), xwho.encode())
    errors.clear()
    answer = _send(client, upload, body)
    assert answer.status_code in {200, 400, 403, 413, 429}, answer.status_code
    code = json.loads(answer.data)["code"]
    applying.apply_waiting(clock.now())
    assert not errors, [line.getMessage() for line in errors]
    if not upload.broken and code == 200:
        current_session().rollback()
        held = dict(current_session().query(Contact.xwho, Contact.properties).filter(Contact.xwho.in_(ids)).all())
        assert {xwho: held.get(xwho, {}).get("mark") for xwho in ids} == {xwho: xwho for xwho in ids}


def _send(client: FlaskClient, upload: OddUpload, body: bytes) -> Any:
    address = "/up" + (f"?{upload.query}" if upload.query else "")
    match upload.transport:
        case "gzip":
            return client.post(
                address,
                data=gzip.compress(body, 1),
                headers={"Content-Encoding": "gzip"},
                content_type=upload.content_type,
            )
        case "base64":
            return client.post(address, data=base64.b64encode(body), content_type=upload.content_type)
        case "gzip+base64":
            return client.post(address, data=base64.b64encode(gzip.compress(body, 1)), content_type=upload.content_type)
        case "form":
            return client.post(
                address,
                data=b"data=" + quote(base64.b64encode(body)).encode(),
                content_type="application/x-www-form-urlencoded",
            )
        case "get":
            joiner = "&" if upload.query else "?"
            return client.get(f"{address}{joiner}data={quote(base64.b64encode(body))}")
        case _:
            return client.post(address, data=body, content_type=upload.content_type)


def errors_of(app: Flask) -> list[logging.LogRecord]:
    """Return a list that fills with everything the product logs as an error from now on."""

    class Lines(logging.Handler):
        def emit(self, line: logging.LogRecord) -> None:
            errors.append(line)

    errors: list[logging.LogRecord] = []
    handler = Lines(logging.ERROR)
    for name in ("smsapp", "werkzeug"):
        logging.getLogger(name).addHandler(handler)
    app.logger.addHandler(handler)
    return errors
