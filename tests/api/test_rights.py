"""Which key may call what: every operation with every scope, as one table says."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from flask import Flask

from smsapp.api import door
from smsapp.domain.api_key import Scope
from smsapp.services.platform import api_keys, clock
from smsapp.services.platform.audit_log import Actor
from tests.api.conftest import Program, Programs
from tests.pages import Pages

NEEDS: dict[Scope, set[str]] = {
    # scope: the operations that need it
    Scope.READ: {
        *("list_contacts", "show_contact", "list_segments", "show_segment", "count_segment", "count_rule"),
        *("reach_segment", "list_templates", "show_template", "list_channels", "show_channel_health"),
        *("list_campaigns", "show_campaign", "estimate_campaign", "show_rehearsal", "show_funnel", "list_runs"),
        *(
            "show_run",
            "search_contacts",
            "search_opt_outs",
            "search_replies",
            "list_messages",
            "list_exclusions",
            "show_message",
            "list_opt_outs",
            "list_replies",
        ),
    },
    Scope.DRAFT: {"create_campaign", "edit_campaign", "rehearse_campaign"},
    Scope.WRITE: {
        *("change_contact", "upsert_contacts", "delete_contact", "create_segment", "create_segment_from_ids"),
        *("delete_segment", "recompute_segment", "import_templates", "sync_templates"),
        *("delete_campaign", "stop_campaign", "pause_campaign", "end_campaign"),
        *("add_opt_out", "remove_opt_out"),
    },
    Scope.CONFIRM: {"confirm_campaign", "resume_campaign", "send_message"},
}


def operations() -> list[tuple[str, str, str]]:
    """Return (operation, method, path) of all that the document describes, with some id in each path."""
    return [
        (told["operationId"], method.upper(), re.sub(r"\{\w+\}", "1", path).removeprefix("/api/v1"))
        for path, methods in door.document()["paths"].items()
        for method, told in methods.items()
        if method != "parameters"
    ]


def test_every_operation_has_a_line_in_the_table_and_every_address_is_described(app: Flask) -> None:
    served = {rule.endpoint.partition(".")[2] for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")}
    assert served == {name for name, _, _ in operations()} == set.union(*NEEDS.values())


@pytest.mark.parametrize("scope", Scope)
def test_a_key_gets_in_where_the_table_says_and_nowhere_else(app: Flask, programs: Programs, scope: Scope) -> None:
    program = programs.with_(scope, per_minute=60_000)
    lets_in = NEEDS[scope] | (NEEDS[Scope.DRAFT] if scope is Scope.WRITE else set())
    differences = []
    for name, method, path in operations():
        response = program.raw.open(f"/api/v1{path}", method=method, headers=program.headers, json={})
        if (response.status_code == 403) != (name not in lets_in) or response.status_code >= 500:
            differences.append(f"{scope} {name}: {response.status}")
    assert not differences, differences


def test_nobody_gets_in_without_a_key_that_counts(app: Flask, programs: Programs, now: dt.datetime) -> None:
    revoked, expired = programs.with_(Scope.READ), programs.with_(Scope.READ, days=30)
    key = api_keys.listed()[1]
    api_keys.revoke(key.id, Actor("test"), clock.now())
    api_keys.listed()[0].expires_at = now
    for text in (
        "",
        "Basic eDp5",
        "Bearer ",
        "Bearer sms_live_" + "x" * 43,
        *(p.headers["Authorization"] for p in (revoked, expired)),
    ):
        response = app.test_client().get("/api/v1/contacts", headers={"Authorization": text})
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer"), text
        assert response.get_json()["code"] in {"key_missing", "key_unknown"}


def test_a_session_of_a_person_opens_nothing(client: Pages) -> None:
    ada = client.as_("administrator")
    assert ada.raw.get("/api/v1/contacts").status_code == 401


def test_a_key_makes_as_many_requests_a_minute_as_it_may(programs: Programs) -> None:
    program = programs.with_(Scope.READ, per_minute=2)
    program.get("/contacts")
    program.get("/contacts")
    assert program.last.headers["RateLimit-Remaining"] == "0"
    problem = program.get("/contacts", 429)
    assert problem["code"] == "too_many_requests"
    assert int(program.last.headers["Retry-After"]) <= 60


def test_what_is_not_there_is_a_problem_in_the_asked_language(app: Flask, program: Program) -> None:
    assert program.get("/nowhere", 404)["code"] == "not_found"
    assert program.ask("PATCH", "/contacts", 405)["code"] == "method_not_allowed"
    assert program.get("/contacts", 422, colour="red")["errors"][0]["field"] == "colour"
    program.headers["Accept-Language"] = "zh-CN"
    assert program.get("/contacts/99", 404)["title"] == "找不到该内容"


def test_administrators_make_keys_that_are_shown_once(app: Flask, client: Pages) -> None:
    # Given an administrator who makes a key
    ada = client.as_("administrator", locale="en")
    form: dict[str, Any] = {"name": "Shop", "scopes": ["read", "write"], "days": "30", "per_minute": "300"}
    text = ada.post("/settings/api-keys/", **form).value("#api-key")
    # Then it works, and the list shows its beginning only
    assert Program(app, text).get("/contacts")["items"] == []
    page = ada.get("/settings/api-keys/")
    assert text not in page.text
    assert [text[:14] in cell for cell in page.rows()[0]].count(True) == 1
    # And a second one of its name, or one without a scope, is refused with what was typed
    assert "another key" in ada.post("/settings/api-keys/", 422, **form).said()
    assert "what the key may do" in ada.post("/settings/api-keys/", 422, **form | {"scopes": [], "name": "B"}).said()
    # When it is revoked
    ada.get("/settings/api-keys/1/revoke")
    ada.post("/settings/api-keys/1/revoke")
    # Then it opens nothing, and the log names who did it
    Program(app, text).get("/contacts", 401)
    assert "Shop" in ada.get("/audit-log/").text


def test_the_reference_shows_every_operation(app: Flask, client: Pages) -> None:
    page = client.as_("viewer", locale="en").get("/api/")
    assert {element["id"] for element in page.select("details[id]")} == {name for name, _, _ in operations()}
    assert app.test_client().get("/api/openapi.json").get_json()["openapi"] == "3.1.0"
