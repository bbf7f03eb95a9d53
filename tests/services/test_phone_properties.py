"""The numbers read from a property follow the channels that read it."""

from __future__ import annotations

import datetime as dt

import pytest
from flask import Flask

from smsapp.services.channels import accounts, phone_properties
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests import builders
from tests.pages import Pages

BY = Actor("test")


def test_a_property_no_channel_reads_any_more_marks_nobodys_number_as_wrong(client: Pages, now: dt.datetime) -> None:
    # given (pages-1, fault 4) a channel whose phone property was `city` for a while
    channel = builders.channel(phone_property="$phone")
    somebody = builders.contact("u1", "+8613800000001", properties={"city": "北京"})
    somebody.phones = {"$phone": "+8613800000001", "city": ""}
    current_session().commit()
    assert channel.phone_property == "$phone"
    # then neither the list nor the person's page takes the city for a number
    viewer = client.as_("viewer", locale="en")
    assert "Unreadable" not in viewer.get("/contacts/").get_text()
    assert "Unreadable" not in viewer.get(f"/contacts/{somebody.id}").get_text()


def test_what_was_read_from_a_property_is_forgotten_with_its_last_channel(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = builders.channel(phone_property="city")
    somebody = builders.contact("u1", "+8613800000001", properties={"city": "北京"})
    somebody.phones = {"$phone": "+8613800000001", "city": ""}
    current_session().commit()
    rung: list[str] = []
    monkeypatch.setattr(phone_properties, "note_phone_property", lambda _session, name: rung.append(name))
    accounts.delete(channel.id, BY, now)
    assert rung == ["city"]
    phone_properties.rebuild_phones("city")
    current_session().expire_all()
    assert current_session().get_one(Contact, somebody.id).phones == {"$phone": "+8613800000001"}
