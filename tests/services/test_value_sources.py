"""Where a contact's values come from: what an import leaves beside them."""

from __future__ import annotations

import datetime as dt

from flask import Flask

from smsapp.domain import trust
from smsapp.domain.trust import KeyKind, Origin, Source
from smsapp.store.contacts import contacts
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import as_json, current_session, writing
from tests import builders


def row(xwho: str) -> Contact:
    current_session().expire_all()
    return current_session().query(Contact).filter_by(xwho=xwho).one()


def test_a_file_leaves_its_source_beside_the_values_that_it_has(app: Flask, now: dt.datetime) -> None:
    browser = trust.of_key(KeyKind.BROWSER, 3, now).as_text()
    file = Source(Origin.IMPORT, 7, now).as_text()
    held = {"$phone": "13800138000", "city": "广州"}
    builders.contact("u1", properties=held, sources=dict.fromkeys(held, browser), anonymous=True)
    with writing() as session:
        rows = [("u1", as_json({"city": "北京"}), "{}"), ("u2", "{}", "{}"), ("u1", as_json({"level": 3}), "{}")]
        assert contacts.merge(session, rows, file, now) == 1
    assert row("u1").sources == {"$phone": browser, "city": file, "level": file}
    assert not row("u1").anonymous
    assert row("u2").sources == {}
