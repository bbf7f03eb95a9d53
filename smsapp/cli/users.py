"""`flask users`: make people, give them links, take their sign-in away."""

from __future__ import annotations

import sys

import click
from flask.cli import AppGroup

from smsapp.cli.output import echo, failure
from smsapp.domain.errors import Refusal
from smsapp.domain.roles import Role
from smsapp.labels import sentence
from smsapp.services.platform import clock, login_links, users
from smsapp.services.platform.audit_log import Actor

command = AppGroup("users", help="People who sign in.")

BY = Actor("flask users")
ROLES = click.Choice([role.value for role in Role])


def _fail(refusal: Refusal) -> click.ClickException:
    return failure(" ".join(sentence(problem) for problem in refusal.problems))


def _say_link(login: str, path: str) -> None:
    echo(f"One-time link for {login}, good for 24 hours (put the address of the application before it):")
    echo(path)


@command.command("create")
@click.argument("login")
@click.option("--role", type=ROLES, default=Role.OPERATOR.value, show_default=True, help="What this person may do.")
@click.option("--name", default="", help="As colleagues see it; the login if left out.")
@click.option("--password", "ask", is_flag=True, help="Ask for a password (or read it from standard input), no link.")
def create(login: str, role: str, name: str, ask: bool) -> None:
    """Add a person and print a one-time link by which they choose a password."""
    try:
        if ask:
            person = users.create(login, name, Role(role), _password(), BY, clock.now())
            echo(f"{person.login} can sign in as {role}.")
        else:
            person, path = login_links.invite(login, name, Role(role), False, BY, clock.now())
            _say_link(person.login, path)
    except Refusal as refusal:
        raise _fail(refusal) from None


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


@command.command("list")
def list_people() -> None:
    """Print one line per person: login, role, state, name."""
    invited = login_links.invited(clock.now())
    for person in users.everybody():
        state = "signed off" if not person.active else "active" if person.password_hash else "no password"
        if person.active and person.id in invited:
            state += ", link open"
        echo(f"{person.login}\t{person.role}\t{state}\t{person.name}")


@command.command("link")
@click.argument("login")
def link(login: str) -> None:
    """Print a new one-time link to set a password; older links stop working."""
    try:
        person = users.by_login(login)
        _say_link(person.login, login_links.make_link(person.id, BY, clock.now()))
    except Refusal as refusal:
        raise _fail(refusal) from None


@command.command("disable")
@click.argument("login")
def disable(login: str) -> None:
    """Let a person sign in no more; open sessions end at once."""
    try:
        person = users.disable(users.by_login(login).id, BY, clock.now())
    except Refusal as refusal:
        raise _fail(refusal) from None
    echo(f"{person.login} may not sign in any more.")
