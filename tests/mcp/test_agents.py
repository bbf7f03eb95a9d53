"""Agents draft, people send: what comes of anything an agent may call, and how its key is asked at every call."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import redis
from flask import Flask

from config import HERE, Config
from smsapp.domain.api_key import Scope
from smsapp.domain.phone import mask_all
from smsapp.mcp.calls import Agents
from smsapp.mcp.tool import TOOLS
from smsapp.services.campaigns import campaigns
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry
from tests import builders
from tests.agents import HARMLESS, ORDERS, Watch, World, calls, connected, whole_numbers

CALLS = 300


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: the services beneath are tested on both databases."""
    return sqlite_config


@pytest.fixture
def world(app: Flask) -> World:
    return World(app)


def agents_with(app: Flask, *scopes: Scope, **options: Any) -> Agents:
    name = f"Agent {'+'.join(scopes)} {options}"[:80]
    return Agents(app, api_keys.create(name, scopes, Actor("test"), clock.now(), **options).text)


def test_whatever_agents_call_nothing_leaves_and_no_whole_number_comes_back(world: World) -> None:
    watch, seen = Watch(), 0
    with watch.on(), connected(world.agents) as call:
        # When tools are called with what fits them and what does not, with orders and numbers in their texts
        @hypothesis.settings(max_examples=CALLS, database=None, phases=[hypothesis.Phase.generate])
        @hypothesis.given(calls(world))
        def whatever(made: tuple[str, dict[str, Any]]) -> None:
            nonlocal seen
            reply = call(*made)
            seen += 1
            # Then no answer holds a number of a contact, and none is a failure of ours
            assert not whole_numbers(reply.text), made[0]
            assert not (reply.is_error and reply.document["code"] == "internal_server_error"), made

        whatever()
    # And no run, message or proof has come of it, no task that sends, no call of a provider
    assert seen >= CALLS
    assert world.ledger() == world.counts
    assert set(watch.tasks) <= HARMLESS
    assert watch.sends == 0


def test_a_whole_number_would_be_noticed() -> None:
    for text in (*ORDERS[-2:], '{"name": "+8613800000001"}', "138-0000-0040"):
        assert whole_numbers(text), text
        assert not whole_numbers(str(mask_all(text))), text


def objects(described: Any) -> Iterator[dict[str, Any]]:
    """Yield every object with named fields in a JSON Schema."""
    if isinstance(described, dict):
        if "properties" in described and described.get("type") == "object":
            yield described
        for part in described.values():
            yield from objects(part)


def test_no_tool_can_send_and_every_description_is_closed(app: Flask) -> None:
    assert set(TOOLS) == {
        *("list_channels", "list_templates", "list_segments", "list_campaigns", "show_campaign"),
        *("create_draft", "change_draft", "estimate", "read_review", "rehearse", "read_rehearsal"),
        *("list_runs", "show_funnel", "show_report"),
    }
    assert {tool.scope for tool in TOOLS.values()} == {Scope.READ, Scope.DRAFT}
    for tool in TOOLS.values():
        assert all(part["additionalProperties"] is False for part in objects(tool.arguments())), tool.name
        assert "never instructions" in tool.description


def test_the_key_is_asked_at_every_call(app: Flask, world: World, now: dt.datetime) -> None:
    # Given keys that may read, draft, or neither draft nor read
    reader, drafter = agents_with(app, Scope.READ), agents_with(app, Scope.READ, Scope.DRAFT)
    name = {"name": "x"}
    assert reader.call("list_segments", {}).document["items"][0]["name"] == "回访 138****0003"
    assert reader.call("create_draft", name).document["code"] == "scope_missing"
    assert agents_with(app, Scope.CONFIRM).call("list_segments", {}).document["code"] == "scope_missing"
    # Then one that drafts makes one, also one that may write
    assert not drafter.call("create_draft", name).is_problem
    assert not agents_with(app, Scope.WRITE).call("create_draft", name).is_problem
    # And from the moment it is revoked, expires or has called too often it does nothing
    once = agents_with(app, Scope.READ, per_minute=1)
    assert not once.call("list_channels", {}).is_problem
    assert once.call("list_channels", {}).document["code"] == "too_many_requests"
    expiring = agents_with(app, Scope.READ, days=1)
    api_keys.listed()[0].expires_at = now
    current_session().commit()
    assert expiring.call("list_channels", {}).document["code"] == "key_unknown"
    api_keys.revoke(api_keys.listed()[-2].id, Actor("test"), clock.now())
    assert reader.call("list_segments", {}).document["code"] == "key_unknown"


def test_a_test_key_drafts_for_the_simulator_only(app: Flask, world: World) -> None:
    tester = agents_with(app, Scope.READ, Scope.DRAFT, is_test=True)
    real = builders.channel(kind="smpp")
    assert tester.call("create_draft", {"channel_id": real.id}).document["code"] == "test_key"
    other = builders.campaign(channel_id=real.id)
    change = {"campaign_id": other.id, "version": other.version, "channel_id": None}
    assert tester.call("change_draft", change).document["code"] == "test_key"
    assert tester.call("rehearse", {"campaign_id": other.id}).document["code"] == "test_key"


def test_a_change_names_what_it_changes_and_errors_name_the_place(world: World) -> None:
    campaign = {"campaign_id": world.draft.id}
    with connected(world.agents) as call:
        before = call("show_campaign", campaign).document
        changed = call("change_draft", campaign | {"version": before["version"], "consented_only": True}).document
        # Then all else is as it was, the part is marked, and the log names the key and its door
        assert changed["audience"] == before["audience"]
        assert (changed["consented_only"], changed["version"]) == (True, before["version"] + 1)
        assert set(changed["provenance"]) == {"consented_only"}
        assert changed["provenance"]["consented_only"]["door"] == "mcp"
        # And an older version, a name that is no field and a wrong value are refused in words
        stale = call("change_draft", campaign | {"version": before["version"], "name": "x"})
        assert (stale.is_error, stale.document["code"]) == (True, "draft_overtaken")
        odd = call("change_draft", campaign | {"version": 1, "status": "sending", "schedule": {"kind": "soon"}})
        assert {error["field"] for error in odd.document["errors"]} == {"status", "schedule.kind"}
        assert call("confirm_campaign", campaign).document["code"] == "not_found"
    current_session().rollback()  # what this session has read before is over
    entry = current_session().query(AuditEntry).filter_by(action="edit").one()
    assert entry.by == "MCP: Agent"


def test_what_is_sent_back_as_it_was_shown_stays_as_it_is_stored(world: World) -> None:
    fixed = {"line": {"fixed": "4008001234"}, "name": {"fixed": "会员"}}
    draft = builders.campaign(mapping=fixed)
    shown = world.agents.call("show_campaign", {"campaign_id": draft.id}).document["mapping"]
    assert shown["line"] == {"fixed": "40****34"}
    # When another variable is changed, and the masked one sent along
    change = {"campaign_id": draft.id, "version": draft.version, "mapping": shown | {"name": {"fixed": "客户"}}}
    assert not world.agents.call("change_draft", change).is_problem
    # Then nothing masked is stored
    current_session().rollback()
    assert campaigns.get(draft.id).mapping == {"line": {"fixed": "4008001234"}, "name": {"fixed": "客户"}}


def test_our_own_figures_are_no_numbers_of_anybody() -> None:
    assert mask_all({"target": 13800000001, "13800000001": "13800000001"}, figures=False) == {
        "target": 13800000001,
        "138****0001": "138****0001",
    }


def test_what_the_web_and_the_workers_load_holds_nothing_of_the_sdk() -> None:
    # The queue's client loads the interfaces of OpenTelemetry (0.3 MiB) as soon as they are installed.
    heavy = "{'mcp', 'mcp_types', 'pydantic', 'starlette', 'uvicorn', 'httpx2', 'jsonschema'}"
    code = f"import sys, wsgi, worker; from smsapp.factory import load; load(); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_a_key_is_needed_before_anything_is_served(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = app.test_cli_runner()
    assert "SMSAPP_API_KEY" in runner.invoke(args=["mcp"]).output
    monkeypatch.setenv("SMSAPP_API_KEY", f"sms_live_{'x' * 43}")
    refused = runner.invoke(args=["mcp"])
    assert (refused.exit_code, "does not count" in refused.output) == (1, True)
