"""One message by API: taken, answered, told of; and what its campaign is for the pages."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from smsapp.domain.api_key import Scope
from smsapp.services.campaigns import single_messages
from smsapp.services.platform import clock
from smsapp.services.sending import sender
from smsapp.store.apps import message_requests
from tests import builders
from tests.api.conftest import Program, Programs
from tests.engine import work
from tests.fakes import FakeClock
from tests.pages import Pages


@pytest.fixture(autouse=True)
def fresh(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web process that was just started, and senders that do not linger."""
    app.extensions.pop(single_messages.EXTENSION, None)
    monkeypatch.setattr(sender, "LINGER_SECONDS", 0)


def body(**values: str) -> dict[str, Any]:
    """A message to "u1", who is there with a number."""
    builders.known_property("$phone")
    builders.contact("u1", builders.phone(1))
    template = builders.template(builders.channel().id, text="您的包裹${what}已到。", allowed={"what": {"longest": 20}})
    return {"user_id": "u1", "template_id": template.id, "values": values}


def test_it_is_sent_and_its_campaign_is_one_like_every_other(app: Flask, program: Program, client: Pages) -> None:
    sent = program.post("/messages", body(what="A1"), 202)
    told = program.get(f"/messages/{sent['id']}")
    assert (told["state"], told["campaign_id"], told["phone"]) == ("waiting", None, "")
    work(app, FakeClock(clock.now()))
    told = program.get(f"/messages/{sent['id']}")
    assert (told["state"], told["phone"]) == ("accepted", "138****0001")
    campaign = program.get(f"/campaigns/{told['campaign_id']}")
    assert (campaign["seeds"], campaign["mapping"]) == (False, {"what": {"given": True}})
    funnel = program.get(f"/campaigns/{told['campaign_id']}/funnel")
    assert (funnel["target"], funnel["planned"]) == (1, 1)
    # And the pages show it, by its tag and on its own
    pages = client.as_("administrator", locale="en")
    assert campaign["name"] in pages.get("/campaigns/?tag=API").text
    place = f"/campaigns/{told['campaign_id']}"
    assert pages.get(f"{place}/effect")
    assert "您的包裹A1已到" in pages.get(f"{place}/runs/{told['run_id']}/messages/1").text


def test_a_request_that_is_sent_again_is_the_same_message(program: Program) -> None:
    message = body(what="A1")
    sent = program.post("/messages", message, 202, once="m")
    assert program.post("/messages", message, 202, once="m") == sent
    assert program.last.headers["Idempotency-Replayed"] == "true"
    other = message | {"values": {"what": "B2"}}
    assert program.post("/messages", other, 422, once="m")["code"] == "idempotency_other"
    assert program.post("/messages", message, 202)["id"] != sent["id"]
    assert "Idempotency-Replayed" not in program.last.headers
    assert len(message_requests.waiting()) == 2


def test_a_refused_one_leaves_nothing(program: Program, programs: Programs) -> None:
    message = body()
    assert program.post("/messages", message, 409, once="m")["errors"][0]["field"] == "values"
    real = builders.template(builders.channel(kind="smpp").id)
    tester = programs.with_(*Scope, is_test=True)
    assert tester.post("/messages", message | {"template_id": real.id}, 403)["code"] == "test_key"
    program.post("/messages", message | {"values": {"what": "A1"}}, 202, once="m")
    program.get("/messages/4711", 404)
    assert len(message_requests.waiting()) == 1


def test_an_idempotency_key_of_another_form_is_refused(program: Program) -> None:
    message = body(what="A1")
    program.headers = program.headers | {"Idempotency-Key": "too short"}
    assert program.post("/messages", message, 422)["code"] == "request_invalid"
    assert not message_requests.is_waiting()
