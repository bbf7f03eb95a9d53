"""Channels as a service: secrets, checks, trials, and what is left behind."""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from smsapp.channels.contract import Channel
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.outcome import Outcome
from smsapp.domain.roles import Role
from smsapp.services.channels import account_calls, accounts, channel_secrets, phone_properties, registry
from smsapp.services.channels.validation import ChannelFields
from smsapp.services.contacts import opt_outs
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import channel_tests
from smsapp.services.sending.channel_tests import TestText
from smsapp.store.db import current_session, writing
from smsapp.store.settings import EXTENSION
from smsapp.store.users import AuditEntry
from tests import builders

BY = Actor("tests")
SECRET = "sesame-4711"
VALUES = {setting.name: setting.default for setting in registry.kinds()["simulator"].settings} | {"refused": "0"}
GATEWAY = {setting.name: setting.default for setting in registry.kinds()["gateway"].settings} | {
    "url": "https://127.0.0.1:1/?p={password}&to={to}",
    "password": SECRET,
}


def wanted(name: str = "演练", **given: Any) -> ChannelFields:
    return ChannelFields(**({"name": name, "values": VALUES} | given))


def refused(**given: Any) -> dict[str, str]:
    """Return the codes of a refused creation, by place."""
    with pytest.raises(Refusal) as caught:
        accounts.create("simulator", wanted(**given), BY, builders.LONG_AGO)
    return {problem.place: problem.code for problem in caught.value.problems}


@pytest.fixture
def read_anew(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The properties whose numbers were asked to be read anew."""
    asked: list[str] = []
    monkeypatch.setattr(phone_properties, "note_phone_property", lambda _session, name: asked.append(name))
    return asked


def test_a_channel_keeps_its_secrets_encrypted_and_hands_them_only_to_its_adapter(app: Flask, now: dt.datetime) -> None:
    channel_id = accounts.create("gateway", wanted(values=GATEWAY, price=Decimal("0.045")), BY, now)
    row = accounts.row(channel_id)
    assert "password" not in row.settings
    assert SECRET.encode() not in row.secrets
    assert channel_secrets.kept_secrets(row) == {"password"}
    made = accounts.adapter(channel_id)
    assert made.values["password"] == SECRET
    assert made.folder == app.extensions[EXTENSION].INSTANCE_DIR / "channels" / str(channel_id)
    assert len(row.callback_token) >= 43
    lines = [(line.action, line.facts) for line in current_session().query(AuditEntry)]
    assert lines == [("create", {"name": "演练", "kind": "gateway"})]


def test_an_empty_secret_is_kept_and_a_new_one_replaces_it(app: Flask, now: dt.datetime) -> None:
    channel_id = accounts.create("gateway", wanted(values=GATEWAY), BY, now)
    accounts.edit(channel_id, wanted(values=GATEWAY | {"password": ""}), BY, now)
    assert accounts.adapter(channel_id).values["password"] == SECRET
    assert current_session().query(AuditEntry).count() == 1, "nothing changed, so nothing is noted"
    accounts.edit(channel_id, wanted("新", values=GATEWAY | {"password": "other"}, rate=5), BY, now)
    assert accounts.adapter(channel_id).values["password"] == "other"
    facts = current_session().query(AuditEntry).filter_by(action="edit").one().facts
    assert facts == {"name": "新", "changed": ["password", "name", "rate"]}
    assert "other" not in json.dumps(facts)


def test_keys_are_rotated_without_losing_a_secret(app: Flask, now: dt.datetime) -> None:
    channel_id = accounts.create("gateway", wanted(values=GATEWAY), BY, now)
    config, new_key = app.extensions[EXTENSION], Fernet.generate_key().decode()
    app.extensions[EXTENSION] = replace(config, ENCRYPTION_KEY=f"{new_key},{config.ENCRYPTION_KEY}")
    assert channel_secrets.rotate(BY, now) == (1, 0)
    app.extensions[EXTENSION] = replace(config, ENCRYPTION_KEY=new_key)
    assert accounts.adapter(channel_id).values["password"] == SECRET
    app.extensions[EXTENSION] = config
    with pytest.raises(Refusal, match="channel_secrets_locked"):
        accounts.adapter(channel_id)


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"name": " "}, {"name": "channel_name_missing"}),
        ({"name": "x" * 121}, {"name": "channel_name_long"}),
        ({"name": "已有"}, {"name": "channel_name_taken"}),
        ({"phone_property": "age"}, {"phone_property": "channel_phone_property"}),
        ({"phone_property": "unheard of"}, {"phone_property": "channel_phone_property"}),
        ({"rate": 0}, {"rate": "channel_rate"}),
        ({"quiet_from": "9:00"}, {"quiet_from": "channel_quiet_time"}),
        ({"quiet_until": "24:30"}, {"quiet_until": "channel_quiet_time"}),
        ({"price": Decimal(-1)}, {"price": "channel_price"}),
        ({"price": Decimal("NaN")}, {"price": "channel_price"}),
        ({"price": Decimal("sNaN")}, {"price": "channel_price"}),
        ({"balance_low": Decimal("NaN")}, {"balance_low": "channel_balance_low"}),
        ({"balance_low": Decimal("Infinity")}, {"balance_low": "channel_balance_low"}),
        ({"values": VALUES | {"per_request": "1.5"}}, {"per_request": "setting_whole_number"}),
        ({"currency": "元"}, {"currency": "channel_currency"}),
        ({"values": VALUES | {"refused": ""}}, {"refused": "setting_missing"}),
        ({"values": VALUES | {"refused": "x"}}, {"refused": "setting_number"}),
        ({"values": VALUES | {"refused": "nan"}}, {"refused": "setting_number"}),
        (
            {"values": VALUES | {"refused": "101", "per_request": "0"}},
            {"refused": "setting_range", "per_request": "setting_range"},
        ),
    ],
)
def test_what_cannot_work_is_refused_field_by_field(
    app: Flask, given: dict[str, Any], problems: dict[str, str]
) -> None:
    builders.channel(name="已有")
    builders.known_property("age", "number")
    assert refused(**given) == problems


def test_choices_and_flags_take_only_what_is_offered(app: Flask, now: dt.datetime) -> None:
    with pytest.raises(Refusal) as caught:
        accounts.create("gateway", wanted(values=GATEWAY | {"method": "DELETE", "plain_http": "maybe"}), BY, now)
    assert {problem.place: problem.code for problem in caught.value.problems} == {
        "method": "setting_choice",
        "plain_http": "setting_choice",
    }


def test_numbers_of_a_property_are_read_when_its_first_channel_begins_to_use_it(
    app: Flask, now: dt.datetime, read_anew: list[str]
) -> None:
    builders.known_property("mobile")
    first = accounts.create("simulator", wanted("一"), BY, now)
    assert read_anew == [], "the preset property is always read"
    accounts.edit(first, wanted("一", phone_property="mobile"), BY, now)
    assert read_anew == ["mobile"]
    accounts.create("simulator", wanted("二", phone_property="mobile"), BY, now)
    assert read_anew == ["mobile"]
    assert accounts.phone_choices()[0] == "$phone"
    assert "mobile" in accounts.phone_choices()


def test_the_callback_address_is_public_or_at_least_on_this_machine(app: Flask, now: dt.datetime) -> None:
    row = builders.channel(callback_token="tok")
    config = app.extensions[EXTENSION]
    assert accounts.callback_url(row) == "http://127.0.0.1:8000/callbacks/tok"
    app.extensions[EXTENSION] = replace(config, HOST="0.0.0.0", PORT=21050)
    assert accounts.callback_url(row) == "http://127.0.0.1:21050/callbacks/tok"
    app.extensions[EXTENSION] = replace(config, PUBLIC_URL="https://sms.example.com")
    assert accounts.callback_url(row) == "https://sms.example.com/callbacks/tok"


def test_a_test_message_really_goes_through_the_adapter(app: Flask, now: dt.datetime) -> None:
    channel_id = accounts.create("simulator", wanted(), BY, now)
    good = channel_tests.test_send(channel_id, "138 0000 0000", TestText("【演练】您好"), BY, now)
    assert good.ok
    assert good.provider_ref.startswith("sim-test-")
    bad = channel_tests.test_send(channel_id, "13800000102", TestText("【演练】您好"), BY, now)
    assert (bad.ok, bad.result, bad.outcome) == (False, "refused", Outcome.NO_SUCH_SUBSCRIBER)
    slow = channel_tests.test_send(channel_id, "13800000311", TestText("【演练】您好"), BY, now)
    assert (slow.result, slow.code) == ("throttled", "SIM-429")
    audit_log = [
        (line.action, line.facts["result"])
        for line in current_session().query(AuditEntry).filter_by(action="test_send")
    ]
    assert [result for _, result in audit_log] == ["ok", "refused", "throttled"]
    assert "138000" not in json.dumps([line.facts for line in current_session().query(AuditEntry)])


def test_a_test_message_leaves_a_masked_number_and_spares_those_who_opted_out(app: Flask, now: dt.datetime) -> None:
    channel_id = accounts.create("simulator", wanted(), BY, now)
    channel_tests.test_send(channel_id, "13800138000", TestText("您好"), BY, now)
    opt_outs.add("13900139000", "", BY, now)
    with pytest.raises(Refusal) as caught:
        channel_tests.test_send(channel_id, "139 0013 9000", TestText("您好"), BY, now)
    assert [(problem.code, problem.place) for problem in caught.value.problems] == [("test_number_opted_out", "number")]
    assert [line.facts["number"] for line in current_session().query(AuditEntry).filter_by(action="test_send")] == [
        "138****8000"
    ]


def test_a_person_sends_twenty_test_messages_an_hour_at_most(app: Flask, now: dt.datetime) -> None:
    channel_id = accounts.create("simulator", wanted(), BY, now)
    olga, wei = (
        Actor(person.login, person.id, role=Role.OPERATOR) for person in (builders.person(), builders.person())
    )
    with writing() as session:
        for _ in range(channel_tests.TESTS_PER_HOUR):
            audit_log.log_action(session, olga, "test_send", "channel", channel_id, now)
    with pytest.raises(Refusal, match="test_send_often"):
        channel_tests.test_send(channel_id, "13800138000", TestText("您好"), olga, now)
    assert channel_tests.test_send(channel_id, "13800138000", TestText("您好"), wei, now).ok
    assert channel_tests.test_send(channel_id, "13800138000", TestText("您好"), olga, now + dt.timedelta(hours=1)).ok


@pytest.mark.parametrize(
    "moved",
    [
        {"url": "https://evil.example/?p={password}&to={to}"},
        {"url": "https://127.0.0.1:2/?p={password}&to={to}"},
        {"check_url": "https://evil.example/?p={password}"},
    ],
)
def test_secrets_do_not_follow_an_address_to_another_host(app: Flask, now: dt.datetime, moved: dict[str, str]) -> None:
    channel_id = accounts.create("gateway", wanted(values=GATEWAY), BY, now)
    with pytest.raises(Refusal) as caught:
        accounts.edit(channel_id, wanted(values=GATEWAY | moved | {"password": ""}), BY, now)
    assert [(problem.code, problem.place) for problem in caught.value.problems] == [("secret_again", "password")]
    accounts.edit(channel_id, wanted(values=GATEWAY | moved | {"password": "typed again"}), BY, now)
    assert accounts.adapter(channel_id).values["password"] == "typed again"
    # On the same host another path is no other party.
    elsewhere = {name: value.replace("?p=", "send?p=") for name, value in moved.items()}
    accounts.edit(channel_id, wanted(values=GATEWAY | elsewhere | {"password": ""}), BY, now)
    assert accounts.adapter(channel_id).values["password"] == "typed again"


def test_a_check_leaves_its_result(app: Flask, now: dt.datetime) -> None:
    channel_id = accounts.create(
        "gateway", wanted(values=GATEWAY | {"check_url": "https://127.0.0.1:1/?{password}"}), BY, now
    )
    trial = channel_tests.test_credentials(channel_id, BY, now)
    assert (trial.ok, trial.result, trial.code) == (False, "account_error", "address_not_allowed")
    row = accounts.row(channel_id)
    assert (row.checked_at, row.check_result) == (now, "account_error")
    accounts.edit(channel_id, wanted(values=GATEWAY), BY, now)
    assert accounts.row(channel_id).checked_at is None, "other settings have not been checked"


def test_a_provider_that_never_answers_does_not_keep_a_page_for_ever(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_calls, "TEST_SECONDS", 0.05)
    channel_id = accounts.create("simulator", wanted(values=VALUES | {"answer_seconds": "30"}), BY, now)
    trial = channel_tests.test_send(channel_id, "13800138000", TestText("您好"), BY, now)
    assert (trial.result, trial.code) == ("outcome_unknown", "timeout")


def test_a_kind_that_cannot_check_says_so(app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    channel_id = accounts.create("simulator", wanted(), BY, now)
    monkeypatch.delattr(registry.kinds()["simulator"], "test_credentials")
    assert "test message" in channel_tests.test_credentials(channel_id, BY, now).text


def test_what_is_gone_or_unknown_is_said(app: Flask, now: dt.datetime) -> None:
    for call in (
        lambda: accounts.row(99),
        lambda: accounts.adapter(99),
        lambda: accounts.by_name("x"),
        lambda: accounts.edit(99, wanted(), BY, now),
        lambda: accounts.delete(99, BY, now),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(Refusal, match="channel_kind_unknown"):
        accounts.create("pigeon", wanted(), BY, now)
    pigeon = builders.channel(kind="pigeon")
    for unknown in (lambda: accounts.adapter(pigeon.id), lambda: accounts.edit(pigeon.id, wanted("x"), BY, now)):
        with pytest.raises(Refusal, match="channel_kind_unknown"):
            unknown()


def test_secrets_never_reach_a_log(app: Flask, now: dt.datetime, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    channel_id = accounts.create("gateway", wanted(values=GATEWAY), BY, now)
    channel_tests.test_send(channel_id, "13800138000", TestText("您好"), BY, now)
    assert SECRET not in caplog.text
    assert "13800138000" not in caplog.text
    assert SECRET not in repr(accounts.row(channel_id))


def test_every_kind_is_found(app: Flask) -> None:
    assert set(registry.kinds()) >= {"simulator", "gateway"}
    assert all(issubclass(kind, Channel) for kind in registry.kinds().values())
