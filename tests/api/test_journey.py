"""A program's way from contacts to the numbers of a campaign, and what keeps it from sending what nobody reviewed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.api_key import Scope
from smsapp.services.platform import api_requests, clock
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry
from tests import builders
from tests.api.conftest import Program, Programs
from tests.engine import work
from tests.fakes import FakeClock

PEOPLE = {"u1": "13800000001", "u2": "13800000002", "u3": ""}


def prepare(program: Program, **campaign: Any) -> dict[str, Any]:
    """Bring three contacts, one of them without a number, a segment, a template; return a draft for them."""
    channel = builders.channel(name="演练", price="0.05", rate=100)
    builders.known_property("$phone")
    people = [
        {"user_id": user_id, "properties": {"name": user_id.upper()} | ({"$phone": number} if number else {})}
        for user_id, number in PEOPLE.items()
    ]
    assert program.post("/contacts", {"contacts": people})["added"] == 3
    segment = program.post("/segments", {"name": "All", "kind": "dynamic", "rule": {}}, 201)
    template = builders.template(channel.id, text="${name}您好。", allowed={"name": {"longest": 20}})
    fields = {
        "name": "Welcome",
        "audience": {"include": [segment["id"]]},
        "channel_id": channel.id,
        "template_id": template.id,
        "mapping": {"name": {"property": "name", "fallback": "客户"}},
        "schedule": {"kind": "now"},
    }
    made: dict[str, Any] = program.post("/campaigns", fields | campaign, 201)
    return made


def test_from_contacts_to_the_funnel(app: Flask, program: Program) -> None:
    # Given a draft that a program has made of contacts, a segment and a template
    campaign = f"/campaigns/{prepare(program)['id']}"
    # When it reads what would happen, rehearses, and confirms exactly that
    estimate = program.get(f"{campaign}/estimate")
    assert (estimate["target"], estimate["planned"], estimate["excluded"]) == (3, 2, {"no_number": 1})
    assert estimate["ready"]
    assert float(estimate["amount"]) == 0.1
    rehearsal = program.post(f"{campaign}/rehearsal", status=202)
    assert (rehearsal["planned"], rehearsal["parts"]) == (2, {"1": 2})
    assert program.post(f"{campaign}/confirm", {"digest": estimate["digest"]}, 202)["status"] == "sending"
    # Then the run is there before anything is sent, and the numbers add up afterwards
    assert program.get(f"{campaign}/runs")["items"][0]["state"] == "open"
    work(app, FakeClock(clock.now()))
    funnel = program.get(f"{campaign}/funnel")
    assert (funnel["target"], funnel["planned"], sum(funnel["messages"].values())) == (3, 2, 2)
    messages = program.get(f"{campaign}/messages")
    assert [line["phone"] for line in messages["items"]] == ["138****0001", "138****0002"]
    assert [line["user_id"] for line in program.get(f"{campaign}/exclusions")["items"]] == ["u3"]
    assert program.get(f"{campaign}/messages", state="refused")["items"] == []
    assert program.get(f"{campaign}/messages", 422, after="x")["errors"][0]["field"] == "after"
    # And the audit log names the key
    actors = {entry.by for entry in current_session().query(AuditEntry).filter_by(action="confirm")}
    assert {name.startswith("API: Program") for name in actors} == {True}


def test_what_was_not_reviewed_is_not_confirmed(program: Program, programs: Programs) -> None:
    # Given an estimate, after which somebody changes the draft
    draft = prepare(program)
    campaign = f"/campaigns/{draft['id']}"
    digest = program.get(f"{campaign}/estimate")["digest"]
    edit = {name: draft[name] for name in ("name", "audience", "channel_id", "template_id", "mapping", "version")}
    program.put(campaign, edit | {"name": "Other", "schedule": {"kind": "now"}})
    # Then its digest confirms nothing, and an edit of the older version is refused as well
    assert program.post(f"{campaign}/confirm", {"digest": digest}, 409)["code"] == "review_stale"
    assert program.put(campaign, edit | {"name": "Third"}, 409)["code"] == "draft_overtaken"
    assert program.get(campaign)["status"] == "draft"
    # And a key that may write but not confirm does not confirm, whatever it knows
    digest = program.get(f"{campaign}/estimate")["digest"]
    writer = programs.with_(Scope.READ, Scope.WRITE)
    assert writer.post(f"{campaign}/confirm", {"digest": digest}, 403)["code"] == "scope_missing"


def test_one_idempotency_key_has_one_effect(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = prepare(program)
    campaign, digest = f"/campaigns/{draft['id']}", program.get(f"/campaigns/{draft['id']}/estimate")["digest"]
    # When a confirmation is sent twice, then it has one run and one answer
    first = program.post(f"{campaign}/confirm", {"digest": digest}, 202, once="a")
    assert program.post(f"{campaign}/confirm", {"digest": digest}, 202, once="a") == first
    assert program.last.headers["Idempotency-Replayed"] == "true"
    assert len(program.get(f"{campaign}/runs")["items"]) == 1
    # And the same key for another request is refused
    assert program.post(f"{campaign}/pause", status=422, once="a")["code"] == "idempotency_other"
    # When the process dies between the effect and the storing of its answer
    rule = {"name": "Twice", "kind": "static", "rule": {}}
    with monkeypatch.context() as patch:
        patch.setattr(api_requests, "finish", lambda *_: None)
        made = program.post("/segments", rule, 201, once="b")
    # Then the same request finds what was made
    assert program.post("/segments", rule, 201, once="b") == made
    # And a request that was refused may be sent again once nothing keeps it any more
    program.post("/segments", rule, 409, once="c")
    program.delete(f"/segments/{made['id']}")
    program.post("/segments", rule, 201, once="c")


def test_a_request_that_goes_on_is_not_begun_again(
    app: Flask, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"name": "Once", "kind": "static", "rule": {}}
    begun = clock.now()

    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    # Given a request whose process was killed before it changed anything
    with monkeypatch.context() as patch:
        patch.setattr("smsapp.api.segments.segments.create", dies)
        with pytest.raises(SystemExit):
            program.post("/segments", rule, 201, once="k")
    # Then it is taken to be going on until its time is over
    assert program.post("/segments", rule, 409, once="k")["code"] == "idempotency_runs"
    monkeypatch.setattr(clock, "now", lambda: begun + dt.timedelta(minutes=5))
    program.post("/segments", rule, 201, once="k")


def test_a_test_key_reaches_the_simulator_only(programs: Programs, program: Program) -> None:
    tester = programs.with_(*Scope, is_test=True)
    draft = prepare(tester)
    real = builders.channel(kind="smpp")
    edit = {"name": "x", "version": draft["version"], "channel_id": real.id}
    assert tester.put(f"/campaigns/{draft['id']}", edit, 403)["code"] == "test_key"
    assert tester.post("/campaigns", {"channel_id": real.id}, 403)["code"] == "test_key"
    other = program.post("/campaigns", {"channel_id": real.id}, 201)["id"]
    for action in ("stop", "pause", "resume", "end"):
        assert tester.post(f"/campaigns/{other}/{action}", status=403)["code"] == "test_key"
    assert tester.post(f"/campaigns/{other}/confirm", {"digest": "0" * 64}, 403)["code"] == "test_key"


def test_a_waiting_campaign_is_stopped_and_a_running_one_paused_resumed_and_ended(program: Program) -> None:
    later = {"kind": "once", "start": "2999-01-01", "time": "10:00:00"}
    waiting = f"/campaigns/{prepare(program, schedule=later)['id']}"
    digest = program.get(f"{waiting}/estimate")["digest"]
    assert program.post(f"{waiting}/confirm", {"digest": digest}, 202)["status"] == "waiting"
    assert program.post(f"{waiting}/stop")["status"] == "stopped"
    assert program.post(f"{waiting}/stop", status=409)["code"] == "conflict"
    fields = {name: program.get(waiting)[name] for name in ("audience", "channel_id", "template_id", "mapping")}
    running = f"/campaigns/{program.post('/campaigns', fields | {'name': 'Now'}, 201)['id']}"
    digest = program.get(f"{running}/estimate")["digest"]
    program.post(f"{running}/confirm", {"digest": digest}, 202)
    program.post(f"{running}/pause")
    assert program.get(f"{running}/runs")["items"][0]["state"] == "held"
    program.post(f"{running}/resume")
    assert program.post(f"{running}/end")["status"] in {"stopped", "sending"}
    assert program.delete(waiting) == {"deleted": True}
    program.get(waiting, 404)


def test_one_message_keeps_the_rules_of_every_campaign(app: Flask, program: Program) -> None:
    prepare(program)
    channel = builders.channel()
    template = builders.template(channel.id, text="您的包裹${what}已到。", allowed={"what": {"longest": 20}})
    marketing = builders.template(channel.id, purpose="marketing")
    # When one message is sent, then it is in the ledger and leaves
    body = {"user_id": "u1", "template_id": template.id, "values": {"what": "A1"}}
    sent = program.post("/messages", body, 202, once="m")
    assert program.post("/messages", body, 202, once="m") == sent
    work(app, FakeClock(clock.now()))
    told = program.get(f"/messages/{sent['id']}")
    assert (told["phone"], told["state"]) == ("138****0001", "accepted")
    # And somebody who has opted out gets none, with the reason
    program.post("/opt-outs", {"phone": "13800000002"})
    refused = program.post("/messages", body | {"user_id": "u2"}, 202)
    work(app, FakeClock(clock.now()))
    told = program.get(f"/messages/{refused['id']}")
    assert (told["state"], told["reason"]) == ("excluded", "opted_out")
    # And what is no single message, or lacks a value, is refused
    assert program.post("/messages", body | {"template_id": marketing.id}, 409)["code"] == "single_marketing"
    program.post("/messages", body | {"values": {}}, 409)
    program.post("/messages", body | {"user_id": "nobody"}, 404)


def test_contacts_are_found_changed_and_removed_without_showing_numbers(
    program: Program, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(program)
    # When a program that may not see numbers looks for a whole one, then it sees whose it is, masked
    (one,) = program.post("/searches/contacts", {"search": "13800000001"})["items"]
    assert (one["user_id"], one["numbers"], one["properties"]["$phone"]) == (
        "u1",
        {"$phone": "138****0001"},
        "138****0001",
    )
    assert programs.with_(Scope.READ, sees_numbers=True).get(f"/contacts/{one['id']}")["numbers"] == {
        "$phone": "+8613800000001"
    }
    # And after a few of them it may not ask any more, so that nobody finds numbers by guessing
    monkeypatch.setattr("smsapp.services.contacts.number_searches.SEARCHES_PER_HOUR", 2)
    program.post("/searches/opt-outs", {"phone": "13800000009"})
    assert program.post("/searches/contacts", {"search": "13800000002"}, 409)["code"] == "number_searches_spent"
    # When it changes values, then the others stay, and what does not fit is named
    changed = program.put(f"/contacts/{one['id']}", {"properties": {"city": "上海", "name": 5}})
    assert (changed["properties"]["city"], changed["properties"]["name"]) == ("上海", "U1")
    assert [line["field"] for line in changed["problems"]] == ["properties.name"]
    assert program.delete(f"/contacts/{one['id']}") == {"deleted": True}
    program.delete(f"/contacts/{one['id']}", 404)
    # And pages follow one another without a gap
    first = program.get("/segments", limit=1)
    assert (len(first["items"]), first["next"]) == (1, None)
