"""The pages of AppKeys: kinds, rights, rules; and where values came from on the page of a contact."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain.contact import Type
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts import property_catalogue
from smsapp.store.contacts import proposals as rows
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.contacts.proposals import NewProposal, Proposal
from smsapp.store.db import current_session, writing
from tests import builders
from tests.uploads import report

BY = Actor("test")


def made(kind: KeyKind = KeyKind.BROWSER) -> AppKey:
    return app_keys.create(f"{kind} key", kind, BY, clock.now())


def test_a_new_key_needs_a_kind_and_may_be_for_some_properties_only(client: Any) -> None:
    administrator = client.as_("administrator")
    page = administrator.post("/keys/", status=422, name="网站", scope="all")
    assert page.select(".field-errors")
    administrator.post("/keys/", name="网站", kind="browser", scope="listed", properties="$phone\nnickname")
    [row] = app_keys.listed()
    assert (row.kind, row.properties) == ("browser", ["$phone", "nickname"])


def test_a_name_that_no_property_can_have_is_told_beside_the_field(client: Any) -> None:
    administrator = client.as_("administrator")
    administrator.get("/keys/")
    page = administrator.post("/keys/", status=422, name="网站", kind="app", scope="listed", properties="1st")
    assert "1st" in page.get_text()
    assert app_keys.listed() == []


def test_rules_of_a_public_key_are_made_and_taken_back(client: Any) -> None:
    row = made()
    builders.known_property("city")
    administrator = client.as_("administrator")
    administrator.get(f"/keys/{row.id}")
    fields = {"name": "网站", "scope": "all", "new_rule_name": "city", "new_rule": "accept"}
    administrator.post(f"/keys/{row.id}", **fields)
    current_session().expire_all()
    assert app_keys.key(row.id).rules == {"city": "accept"}
    administrator.post(f"/keys/{row.id}", name="网站", scope="all", **{"rule.city": "ask"})
    current_session().expire_all()
    assert app_keys.key(row.id).rules == {}


def test_names_that_a_public_key_brought_are_shown_and_taken_over(client: Any) -> None:
    row = made()
    record = {"appid": row.key, "xwho": "u1", "xwhat": "$profile_set", "xcontext": {"color": "红"}}
    report([record], "", clock.now())
    administrator = client.as_("administrator")
    assert "color" in administrator.get(f"/keys/{row.id}").get_text()
    administrator.post(f"/keys/{row.id}/take-over")
    current_session().expire_all()
    assert current_session().query(Property.app_key_id).filter_by(name="color").scalar() is None


def test_a_file_vouches_for_the_properties_that_it_has(app: Flask) -> None:
    row = made()
    builders.known_property("color", app_key_id=row.id)
    with writing() as session:
        property_catalogue.add_properties(session, {"color": Type.STRING}, clock.now())
    current_session().expire_all()
    assert current_session().query(Property.app_key_id).filter_by(name="color").scalar() is None


def test_a_server_key_in_a_page_and_a_public_key_in_a_server_are_advised_against(client: Any) -> None:
    server, browser = made(KeyKind.SERVER), made()
    operator = client.as_("operator")
    assert (
        "JavaScript"
        in operator.get(f"/keys/guide?key={server.id}&sdk=JavaScript").select_one(".flash-warning").get_text()
    )
    assert operator.get(f"/keys/guide?key={browser.id}&sdk=Python").select(".flash-info")
    assert operator.get(f"/keys/guide?key={server.id}&sdk=Python").select(".flash") == []
    # without a choice the page recommends the server key for servers
    assert server.key in operator.get("/keys/guide?sdk=Python").select_one("pre").get_text()
    assert browser.key in operator.get("/keys/guide?sdk=JavaScript").select_one("pre").get_text()


def test_the_page_of_a_contact_says_where_each_value_came_from(client: Any) -> None:
    server, browser = made(KeyKind.SERVER), made()
    person = builders.person(name="陈涛")
    sources = {"a": f"s:{server.id}:1764460800", "b": f"b:{browser.id}:1764460800", "c": f"p:{person.id}:1764460800"}
    contact = builders.contact("u1", properties={"a": "1", "b": "2", "c": "3", "d": "4"}, sources=sources)
    rows_ = {row[0]: row[3] for row in client.as_("operator").get(f"/contacts/{contact.id}").rows()}
    assert server.name in rows_["a"]
    assert browser.name in rows_["b"]
    assert "陈涛" in rows_["c"]
    assert rows_["d"].strip() == "–"


def test_commands_list_accept_and_reject_proposals(app: Flask, runner: FlaskCliRunner) -> None:
    row = made()
    builders.known_property("city")
    for n in range(2):
        builders.contact(f"u{n}", properties={"city": "广州", "note": "a"})
        with writing() as session:
            proposed = [
                NewProposal(f"u{n}", row.id, name, old, "new") for name, old in (("city", "广州"), ("note", "a"))
            ]
            rows.add(session, proposed, clock.now())
    listed = runner.invoke(args=["proposals", "list", "--property", "city"]).stdout
    assert listed.count("city") == 2
    assert "广州" not in listed
    assert runner.invoke(args=["proposals", "accept", "--property", "city"]).stdout.startswith("2 accepted")
    assert runner.invoke(args=["proposals", "reject", "--key", row.key]).stdout == "2 rejected\n"
    assert runner.invoke(args=["proposals", "reject", "--key", "unknown"]).exit_code == 1
    current_session().expire_all()
    assert current_session().query(Proposal).count() == 0
    assert current_session().query(Contact.properties).filter_by(xwho="u1").scalar() == {"city": "new", "note": "a"}
