"""What one message leaves behind, and what it does not."""

from __future__ import annotations

from typing import Any

from flask import Flask

from smsapp.services.platform import clock
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from tests import builders
from tests.api.conftest import Program
from tests.engine import work
from tests.fakes import FakeClock
from tests.pages import Pages


def body(**values: str) -> dict[str, Any]:
    """A message to "u1", who is there with a number."""
    builders.known_property("$phone")
    builders.contact("u1", builders.phone(1))
    template = builders.template(builders.channel().id, text="您的包裹${what}已到。", allowed={"what": {"longest": 20}})
    return {"user_id": "u1", "template_id": template.id, "values": values}


def test_it_goes_to_one_person_and_to_no_seed(app: Flask, program: Program) -> None:
    message = body(what="A1")
    sent = program.post("/messages", message, 202)
    assert program.get(f"/campaigns/{sent['id']}")["seeds"] is False
    work(app, FakeClock(clock.now()))
    assert program.get(f"/campaigns/{sent['id']}/funnel")["planned"] == 1


def test_its_segment_is_in_no_list_and_can_be_looked_at(app: Flask, program: Program, client: Pages) -> None:
    sent = program.post("/messages", body(what="A1"), 202)
    assert program.get("/segments")["items"] == []
    (segment_id,) = program.get(f"/campaigns/{sent['id']}")["audience"]["include"]
    assert "API" in client.as_("administrator", locale="en").get(f"/segments/{segment_id}").text
    work(app, FakeClock(clock.now()))
    assert program.get(f"/messages/{sent['id']}")["state"] == "accepted"


def test_a_refused_one_leaves_neither_draft_nor_segment(app: Flask, program: Program) -> None:
    program.post("/messages", body(), 409)
    assert program.get("/campaigns")["items"] == []
    assert current_session().query(Segment).count() == 0
