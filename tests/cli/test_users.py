"""`flask users` as an administrator types it."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain.roles import Role
from smsapp.services.platform import clock, login_links, sessions, signing_in, users
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.sessions import SignedIn, Visit
from smsapp.services.platform.throttling import Client


def test_a_person_is_made_with_a_link_that_sets_the_password(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["users", "create", "Ada", "--role", "administrator", "--name", "林然"])
    assert result.exit_code == 0
    link = result.output.splitlines()[-1]
    assert link.startswith(login_links.LINK_PATH)
    token = link.removeprefix(login_links.LINK_PATH)
    who = login_links.use_link(token, "ada", "林然", "a sentence nobody guesses", "", clock.now())
    assert isinstance(who, SignedIn)
    assert (who.login, who.role) == ("ada", Role.ADMINISTRATOR)
    listed = runner.invoke(args=["users", "list"]).output
    assert listed == "ada\tadministrator\tactive\t林然\n"


def test_a_password_may_come_from_standard_input(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["users", "create", "wei", "--password"], input="a sentence nobody guesses\n")
    assert result.exit_code == 0
    who = signing_in.sign_in("wei", "a sentence nobody guesses", Client(""), clock.now())
    assert isinstance(who, SignedIn)
    assert who.role is Role.OPERATOR


def test_what_is_wrong_is_said_and_nothing_is_made(runner: FlaskCliRunner) -> None:
    short = runner.invoke(args=["users", "create", "wei", "--password"], input="short\n")
    assert short.exit_code == 1
    assert "10" in short.output
    assert runner.invoke(args=["users", "create", "no blanks"]).exit_code == 1
    assert runner.invoke(args=["users", "list"]).output == ""
    runner.invoke(args=["users", "create", "wei"])
    assert runner.invoke(args=["users", "create", "WEI"]).exit_code == 1


def test_a_new_link_replaces_the_old_one_and_a_disabled_person_gets_none(runner: FlaskCliRunner) -> None:
    runner.invoke(args=["users", "create", "ada", "--role", "administrator"])
    old = runner.invoke(args=["users", "create", "wei"]).output.splitlines()[-1]
    new = runner.invoke(args=["users", "link", "wei"]).output.splitlines()[-1]
    assert old != new
    assert runner.invoke(args=["users", "list"]).output.splitlines()[1] == "wei\toperator\tno password, link open\twei"
    assert runner.invoke(args=["users", "disable", "wei"]).exit_code == 0
    assert runner.invoke(args=["users", "link", "wei"]).exit_code == 1
    assert runner.invoke(args=["users", "link", "nobody"]).exit_code == 1
    assert "signed off" in runner.invoke(args=["users", "list"]).output


def test_the_last_administrator_cannot_be_disabled(runner: FlaskCliRunner) -> None:
    runner.invoke(args=["users", "create", "ada", "--role", "administrator"])
    assert runner.invoke(args=["users", "disable", "ada"]).exit_code == 1


def test_sessions_are_listed_and_ended(runner: FlaskCliRunner) -> None:
    person = users.create("ada", "Ada", Role.ADMINISTRATOR, "a sentence nobody guesses", Actor("test"), clock.now())
    now = clock.now()
    sessions.begin(sessions.as_signed_in(person, ""), Visit("203.0.113.9", "Firefox · Linux"), now)
    listed = runner.invoke(args=["users", "sessions", "ada"]).output
    assert listed.startswith(f"Firefox · Linux\t203.0.113.9\t{now:%Y-%m-%d %H:%M:%SZ}\t")
    assert runner.invoke(args=["users", "sign-out", "ada"]).exit_code == 0
    assert runner.invoke(args=["users", "sessions", "ada"]).output == ""
    assert runner.invoke(args=["users", "sessions", "nobody"]).exit_code == 1
    assert runner.invoke(args=["users", "sign-out", "nobody"]).exit_code == 1


def test_a_link_is_whole_where_the_public_address_is_known(runner: FlaskCliRunner, app: Flask) -> None:
    app.config["PUBLIC_URL"] = "https://sms.example.com"
    link = runner.invoke(args=["users", "create", "ada"]).output.splitlines()[-1]
    assert link.startswith("https://sms.example.com/welcome/")
