"""Who gets in where: every address with every method for everybody, as the table below says; services likewise."""

from __future__ import annotations

import ast
import datetime as dt
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import redis
import sqlalchemy as sa
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from config import Config
from smsapp.domain.optout import OptOutSource
from smsapp.domain.rights import Forbidden, Right, may
from smsapp.domain.roles import RANKS, Role
from smsapp.domain.trust import KeyKind
from smsapp.domain.webhook import OFFERED
from smsapp.services.apps import app_keys, webhooks
from smsapp.services.contacts import opt_outs
from smsapp.services.platform import access, sessions, signing_in, users
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import sms_templates
from smsapp.store.db import current_session, writing
from smsapp.store.users import AuditEntry
from tests import builders, ledgers
from tests.house import test_rights as house
from tests.pages import Pages

ANYBODY = None
LEAST: dict[Role | None, set[str]] = {
    # the lowest role that gets in: endpoints
    ANYBODY: {
        *("api_pages.openapi", "api_pages.reference"),
        *("callbacks.take", "health.healthz", "health.readyz", "home.speak", "metrics.show", "up.up", "users.code"),
        *("users.openid_begin", "users.openid_callback", "users.openid_sign_out", "users.sign_in"),
        *("users.signed_out", "users.welcome"),
    },
    Role.VIEWER: {
        *("campaigns.overlap", "tags.index"),
        *("campaigns.index", "campaigns.show", "contacts.index", "contacts.refused", "contacts.show", "home.start"),
        *("registrations.index",),
        *("help.index", "help.picture"),
        *("proposals.index", "replies.index", "replies.listed", "replies.search", "replies.search_listed"),
        *("replies.suspected",),
        *("replies.waiting", "reports.effect", "reports.message", "reports.numbers", "reports.run_effect"),
        *("reports.run_numbers", "reports.run_search", "reports.search", "rights.index", "segments.index"),
        *("segments.reach", "segments.show", "sms_templates.index", "sms_templates.show", "unconfirmed.index"),
        *("unconfirmed.show", "unmatched.index", "unmatched.search", "users.own", "users.password", "users.sign_out"),
        *("users.sign_out_everywhere", "users.signed_in", "users.end_own_session", "users.second_factor"),
        *("users.set_up_factor", "users.confirm_factor"),
    },
    Role.OPERATOR: {
        *("archive.campaigns", "archive.put", "archive.restore", "tags.edit", "tags.remove", "tags.rename"),
        *("consents.bring", "consents.index", "consents.record"),
        *("campaigns.proof", "campaigns.proofs_shown"),
        *("campaigns.leave_out", "campaigns.rehearsal", "campaigns.rehearse"),
        *(
            "campaigns.choices_of",
            "campaigns.confirm",
            "campaigns.delete",
            "campaigns.edit",
            "campaigns.new",
            "campaigns.review",
        ),
        *("campaigns.save_as", "campaigns.skip", "campaigns.stop", "campaigns.undelete"),
        *("channels.balance", "channels.calls", "channels.index"),
        *("channels.show", "channels.test", "imports.discard", "imports.index", "imports.left_out", "imports.refused"),
        *(
            "imports.show",
            "imports.start",
            "imports.upload",
            "imports.without_number",
            "keys.guide",
            "properties.index",
        ),
        *(
            "properties.show",
            "proposals.decide",
            "proposals.decide_all",
            "replies.add",
            "replies.assign",
            "replies.change",
        ),
        *(
            "replies.bring",
            "replies.decide",
            "replies.dismiss",
            "replies.remove",
            "replies.undo",
            "reports.export",
            "reports.run_export",
            "reports.segment",
            "reports.run_segment",
        ),
        *("runs.ask_to_end", "runs.ask_to_send_again", "runs.end", "runs.let_move", "runs.pause", "runs.resume"),
        *("runs.route", "runs.send_again", "runs.stay", "segments.delete", "segments.edit", "segments.new"),
        *("segments.recompute", "segments.save_as", "segments.upload", "sms_templates.apply_import"),
        *("sms_templates.bring", "sms_templates.declare", "sms_templates.delete", "sms_templates.edit"),
        *("sms_templates.new", "sms_templates.preview", "sms_templates.say_purpose", "sms_templates.sync"),
        *("sms_templates.try_import", "unconfirmed.decide", "approvals.ask"),
        *("campaigns.leave_carriers_out", "registrations.forget", "registrations.new", "registrations.sync"),
    },
    Role.APPROVER: {
        *("approvals.decide", "approvals.index", "approvals.run", "runs.accept", "runs.accept_audience"),
        *("runs.accept_registration", "sms_templates.approve", "sms_templates.refuse"),
    },
    Role.ADMINISTRATOR: {
        *("api_keys.index", "api_keys.revoke"),
        *("registrations.rule",),
        "demo.remove",
        *("consents.declare", "contacts.data", "contacts.data_json", "erasures.index", "erasures.new"),
        *("key_watch.carry_out", "key_watch.count", "key_watch.note", "key_watch.set_pausing", "key_watch.show"),
        *("keys.make_secret", "keys.set_signed_only", "retention.index"),
        *("channels.check", "channels.confirmation", "channels.delete", "channels.edit", "channels.new"),
        *("channels.rotate_callback", "channels.set_active", "keys.index", "keys.show", "keys.switch"),
        *("rest_days.index", "rest_days.restore", "webhooks.index", "webhooks.remove", "webhooks.renew_secret"),
        *("webhooks.send_anew", "webhooks.send_since", "webhooks.show", "webhooks.switch", "webhooks.try_out"),
        *("colleagues.index", "colleagues.remove", "colleagues.seed"),
        *("keys.take_over", "preferences.sending", "preferences.approvals", "budgets.index", "budgets.remove"),
        *("properties.change", "properties.preview", "properties.rename"),
        *(
            "audit_log.export",
            "audit_log.index",
            "users.end_sessions",
            "users.index",
            "users.invite",
            "users.link",
            "users.show",
        ),
        *("users.reset_factor", "users.end_session"),
    },
}
CALLERS: tuple[Role | None, ...] = (ANYBODY, *RANKS)
ASKS_ITSELF = {"metrics.show", "users.code", "users.signed_out"}
"""Public, but answered only after a password or a sign-out, or with a token of its own."""
ENDS_SESSION = {"/sign-out", "/account/sign-out-everywhere", "/account/password"}


def least_role(endpoint: str) -> Role | None:
    """Return who gets in at least; an endpoint without a line in the table fails here."""
    (role,) = [role for role, endpoints in LEAST.items() if endpoint in endpoints]
    return role


def rules(app: Flask) -> list[Rule]:
    """Return the addresses of pages; those of the API ask for a key (tests/api/test_rights.py)."""
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] not in {"static", "api"}]


@pytest.fixture
def ids(app: Flask, now: dt.datetime) -> dict[str, Any]:
    """One object of each kind, made by somebody else; by the names they have in addresses."""
    other = builders.person()
    builders.known_property("$phone")
    campaign = builders.campaign(created_by=other.id)
    run = ledgers.run(campaign)
    with writing() as session:
        opt_outs.record(session, "+8613900139000", OptOutSource.PERSON, now)
    return {
        "campaign_id": campaign.id,
        "run_id": run.id,
        "seq": 1,
        "what": "same-text",
        "item": "campaign",
        "item_id": campaign.id,
        "tag_id": builders.tag("门店").id,
        "channel_id": campaign.channel_id,
        "template_id": campaign.template_id,
        "segment_id": builders.segment(created_by=other.id).id,
        "contact_id": builders.contact("u1", builders.phone(1)).id,
        "key_id": app_keys.create("Shop", KeyKind.SERVER, Actor("test"), now).id,
        "opt_out_id": opt_outs.find_page()[0].id,
        "user_id": other.id,
        "kind": "simulator",
        "webhook_id": webhooks.create("CRM", "https://crm.example/", OFFERED, Actor("test"), now)[0].id,
        "seen": sms_templates.seen(sms_templates.get(campaign.template_id or 0)),
    }


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: who gets in does not depend on the database."""
    return sqlite_config


class Caller:
    """Somebody with a role (None: nobody is signed in) who asks for addresses."""

    def __init__(self, client: Pages, role: Role | None) -> None:
        self.client, self.role = client, role
        self.pages, self.token = client, ""

    def ask(self, method: str, url: str) -> TestResponse:
        """Send an empty form with a valid CSRF token, or nothing; signed in anew if the request before ended it."""
        if not self.token:
            self.pages = self.client.as_(self.role) if self.role else self.client
            self.token = self.pages.token()
        data = {"csrf_token": self.token} if method == "POST" else None
        answer = self.pages.raw.open(url, method=method, data=data, buffered=True)
        if url in ENDS_SESSION:
            self.token = ""
        return answer


def address(rule: Rule, ids: dict[str, Any]) -> str:
    return re.sub(
        r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>", lambda part: str(ids.get(part[2], 1 if part[1] else "x")), rule.rule
    )


def was_let_in(answer: TestResponse) -> bool:
    """Return whether the answer is about the request itself, not about who asks."""
    to_sign_in = answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in")
    return answer.status_code not in {401, 403} and not to_sign_in


def test_every_address_has_a_line_in_the_table(app: Flask) -> None:
    listed = [endpoint for endpoints in LEAST.values() for endpoint in endpoints]
    assert sorted(listed) == sorted({rule.endpoint for rule in rules(app)})


def entries() -> int:
    """Return how many entries the audit log has: what was refused leaves none."""
    return current_session().scalar(sa.select(sa.func.count(AuditEntry.id))) or 0


@pytest.mark.parametrize("role", CALLERS)
def test_everybody_gets_in_where_the_table_says_and_nowhere_else(
    app: Flask, client: Pages, ids: dict[str, Any], role: Role | None
) -> None:
    caller, differences = Caller(client, role), []
    for rule in rules(app):
        least = least_role(rule.endpoint)
        expected = least is ANYBODY or (role is not None and RANKS.index(role) >= RANKS.index(least))
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            before = entries()
            answer = caller.ask(method, address(rule, ids))
            # Signing out leads to the sign-in page, too, but leaves an entry; a refusal leaves none.
            let_in = was_let_in(answer) or entries() > before or rule.endpoint in ASKS_ITSELF
            if let_in != expected or answer.status_code >= 500:
                differences.append(f"{role} {method} {rule.rule}: {answer.status}, {entries() - before} entries")
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("role", [ANYBODY, Role.ADMINISTRATOR])
def test_no_address_answers_methods_it_does_not_name(
    app: Flask, client: Pages, ids: dict[str, Any], role: Role | None
) -> None:
    caller = Caller(client, role)
    methods: dict[str, set[str]] = {}
    for rule in rules(app):
        methods.setdefault(rule.rule, set()).update(rule.methods or ())
    for rule in rules(app):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods[rule.rule]:
            assert caller.ask(method, address(rule, ids)).status_code == 405, f"{method} {rule.rule}"


def test_a_run_is_not_found_under_another_campaign(app: Flask, client: Pages, ids: dict[str, Any]) -> None:
    # Given every address that names a campaign and one of its runs
    elsewhere = ids | {"campaign_id": builders.campaign().id}
    of_runs = [rule for rule in rules(app) if {"campaign_id", "run_id"} <= rule.arguments]
    assert len(of_runs) > 10
    caller, before = Caller(client, Role.ADMINISTRATOR), entries()
    # When the run is another campaign's, then it is not there, whoever asks and however
    for rule in of_runs:
        if re.search(r"<(?:int:)?run_id>", rule.rule):
            for method in sorted((rule.methods or set()) & {"GET", "POST"}):
                assert caller.ask(method, address(rule, elsewhere)).status_code == 404, f"{method} {rule.rule}"
    assert entries() == before


def test_work_belongs_to_the_team(client: Pages, ids: dict[str, Any]) -> None:
    """An operator changes and deletes drafts, segments and templates of others, as the table of rights says."""
    draft = builders.campaign(created_by=ids["user_id"])
    olga = client.as_(Role.OPERATOR)
    for url, fields in (
        (f"/campaigns/{draft.id}/save-as", {"name": "copy"}),
        (f"/segments/{ids['segment_id']}/save-as", {"name": "copy"}),
        (f"/segments/{ids['segment_id']}/delete", {}),
        (f"/templates/{ids['template_id']}/purpose", {"purpose": "notification", "seen": ids["seen"]}),
    ):
        before = entries()
        olga.post(url, **fields)
        assert entries() == before + 1, url


def functions() -> Iterator[tuple[Callable[..., Any], str, str]]:
    """Yield (function, name of its actor, its first statement) of every service that somebody may set off."""
    for source, node in house.services():
        if house.takes_actor(node) and not node.name.startswith("_") and not house.is_part_of_a_transaction(node):
            (actor,) = [arg.arg for arg in house.parameters(node) if ast.unparse(arg.annotation or node) == "Actor"]
            yield getattr(importlib.import_module(source.module), node.name), actor, house.first_statement(node)


class LetIn(Exception):
    """The service has asked for the right and goes on; what it would do is not of interest here."""


def is_refused(function: Callable[..., Any], **values: Any) -> bool:
    """Call a service with these values and None for every other one; return whether it was refused for the actor."""

    def going_on(ask: Callable[..., None]) -> Callable[..., None]:
        def asked(*arguments: Any) -> None:
            ask(*arguments)
            raise LetIn

        return asked

    names = [name for name, item in inspect.signature(function).parameters.items() if item.default is item.empty]
    asking = {name: going_on(getattr(access, name)) for name in ("require", "require_own")}
    with mock.patch.dict(function.__globals__, asking), pytest.raises((Forbidden, LetIn)) as raised:
        function(**(dict.fromkeys(names) | values))
    return raised.type is Forbidden


@pytest.mark.parametrize("role", RANKS)
def test_services_refuse_an_actor_without_the_right(role: Role) -> None:
    differences = []
    for function, name, first in functions():
        right = Right[re.findall(r"Right\.(\w+)", first)[-1]] if "Right." in first else None
        refused = is_refused(function, **{name: Actor("x", 10**6, role=role)})
        # The right to one's own account is never enough for somebody else's.
        if refused != (right is None or not may(role, right)):
            differences.append(f"{role} {function.__module__}.{function.__name__}")
    assert not differences, differences


def test_a_person_without_a_known_role_may_do_nothing() -> None:
    let_in = [function for function, name, _ in functions() if not is_refused(function, **{name: Actor("x", 1)})]
    assert not let_in, let_in


def test_nobody_changes_the_account_of_somebody_else(app: Flask, now: dt.datetime) -> None:
    olga, ada = builders.person(), builders.person(role=Role.ADMINISTRATOR)
    by = Actor(ada.login, ada.id, role=Role.ADMINISTRATOR)
    with pytest.raises(Forbidden):
        users.change_own(olga.id, "Other", "", by, now)
    with pytest.raises(Forbidden):
        signing_in.change_password(olga.id, "old", "new", "", by, now)
    with pytest.raises(Forbidden):
        sessions.end_all(ada.id, Actor(olga.login, olga.id, role=Role.OPERATOR), now)
    sessions.end_all(olga.id, by, now)


def test_a_refusal_says_what_is_missing_and_who_has_it(client: Pages, ids: dict[str, Any]) -> None:
    page = client.as_(Role.OPERATOR, locale="en").post(f"/templates/{ids['template_id']}/approve", status=403)
    assert "Approve templates that were typed in or came in a file" in page.text
    assert "Approver, Administrator" in page.text


def test_everybody_can_read_the_table(client: Pages) -> None:
    rows = client.as_(Role.VIEWER, locale="en").get("/rights").rows()
    assert len(rows) == len(Right)
