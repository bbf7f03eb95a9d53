"""What is stored about one person is exported whole, and nothing about anybody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.channels.types import Reply as Incoming
from smsapp.domain.errors import Refusal
from smsapp.domain.optout import OptOutSource
from smsapp.domain.segment import Kind
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import person_export
from smsapp.services.receipts import replies
from smsapp.store.contacts.aliases import Alias
from smsapp.store.contacts.segments import SegmentMember
from smsapp.store.db import current_session, writing
from smsapp.store.users import AuditEntry
from tests import builders
from tests.engine import confirmed, work
from tests.fakes import FakeChannel, FakeClock
from tests.pages import Pages

ADMIN = Actor("root")


def exported(text: str, clock: FakeClock) -> dict[str, Any]:
    parts = person_export.as_json(person_export.export(text, ADMIN, clock.now), clock.now)
    value: dict[str, Any] = json.loads("".join(parts))
    return value


def test_an_export_holds_everything_about_one_person(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    channel = builders.channel()
    template = builders.template(channel.id, text="您好${name}")
    person = builders.contact("QH-1", "+8613912340001", properties={"name": "王五", "level": 3})
    builders.contact("QH-2", "+8613912340002", properties={"name": "赵六"})
    segment = builders.segment(name="会员", kind=Kind.STATIC)
    current_session().add(SegmentMember(segment_id=segment.id, contact_id=person.id))
    current_session().add(Alias(anonymous_id="anon-1", xwho="QH-1", created_at=clock.now))
    current_session().commit()
    mapping = {"name": {"property": "name", "fallback": "会员"}}
    confirmed(clock.now, channel_id=channel.id, template_id=template.id, mapping=mapping, name="三月回馈")
    work(app, clock)
    with writing() as session:
        replies.take(session, channel.id, None, 0, Incoming("+8613912340001", "谢谢"), clock.now)
        opt_outs.record(session, "+8613912340001", OptOutSource.PERSON, clock.now, remark="电话说的")

    data = exported("139 1234 0001", clock)

    assert list(data) == ["exported_at", *(section.name for section in person_export.SECTIONS)]
    values = {line["property"]: line["value"] for line in data["profile"] if "property" in line}
    assert values == {"$phone": "+8613912340001", "level": 3, "name": "王五"}
    assert data["earlier_ids"][0]["anonymous_id"] == "anon-1"
    assert {"segment": "会员"} in data["segments"]
    (message,) = data["messages"]
    assert (message["campaign"], message["text"], message["state"]) == ("三月回馈", "【青禾商城】您好王五", "accepted")
    assert message["answered_at"].startswith("2026-03-02T02:00:00")
    assert [line["text"] for line in data["replies"]] == ["谢谢"]
    assert [line["note"] for line in data["opt_outs"]] == ["电话说的"]
    assert "QH-2" not in json.dumps(data)
    assert "13912340002" not in json.dumps(data)
    entry = current_session().query(AuditEntry).filter_by(action="export_person").one()
    assert (entry.noun, entry.noun_id, entry.by) == ("contact", str(person.id), "root")


def test_nobody_is_exported_under_an_unknown_name(app: Flask, clock: FakeClock) -> None:
    with pytest.raises(Refusal):
        person_export.export("nobody", ADMIN, clock.now)


def test_the_command_prints_json(runner: FlaskCliRunner) -> None:
    builders.contact("QH-1", "+8613912340001")
    printed = runner.invoke(args=["contacts", "export-person", "QH-1"])
    assert json.loads(printed.output)["profile"][0]["user_id"] == "QH-1"
    by_number = runner.invoke(args=["contacts", "export-person", "--from", "-"], input="13912340001\n")
    assert json.loads(by_number.output)["profile"][0]["user_id"] == "QH-1"
    assert runner.invoke(args=["contacts", "export-person", "13912340001"]).exit_code == 1


def test_an_administrator_reads_and_downloads_it(client: Pages) -> None:
    contact = builders.contact("QH-1", "+8613912340001", properties={"city": "青岛"})
    ada = client.as_("administrator", locale="en")
    page = ada.post(f"/contacts/{contact.id}/data")
    assert "青岛" in page.text
    assert [row[0] for row in page.rows() if row[0] == "QH-1"][:1] == ["QH-1"]
    client.as_("operator").post(f"/contacts/{contact.id}/data", status=403)
