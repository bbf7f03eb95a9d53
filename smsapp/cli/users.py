"""`flask users`: make people, give them links, take their sign-in away."""

from __future__ import annotations

import sys

import click
from flask import current_app

from smsapp.cli.output import CommandGroup, echo
from smsapp.domain.roles import Role
from smsapp.services.platform import clock, login_links, second_factor, sessions, users
from smsapp.services.platform.audit_log import Actor

command = CommandGroup("users", help="People who sign in.")

BY = Actor("flask users")
ROLES = click.Choice([role.value for role in Role])


def _say_link(login: str, path: str) -> None:
    address = current_app.config["PUBLIC_URL"]
    hint = "" if address else " (put the address of the application before it)"
    echo(f"One-time link for {login}, good for 24 hours{hint}:")
    echo(address + path)


@command.command("create")
@click.argument("login")
@click.option("--role", type=ROLES, default=Role.OPERATOR.value, show_default=True, help="What this person may do.")
@click.option("--name", default="", help="As colleagues see it; the login if left out.")
@click.option("--password", "ask", is_flag=True, help="Ask for a password (or read it from standard input), no link.")
def create(login: str, role: str, name: str, ask: bool) -> None:
    """Add a person and print a one-time link by which they choose a password."""
    if ask:
        person = users.create(login, name, Role(role), _password(), BY, clock.now())
        echo(f"{person.login} can sign in as {role}.")
    else:
        person, path = login_links.invite(login, name, Role(role), False, BY, clock.now())
        _say_link(person.login, path)


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
    person = users.by_login(login)
    _say_link(person.login, login_links.make_link(person.id, BY, clock.now()))


@command.command("disable")
@click.argument("login")
def disable(login: str) -> None:
    """Let a person sign in no more; open sessions end at once."""
    person = users.disable(users.by_login(login).id, BY, clock.now())
    echo(f"{person.login} may not sign in any more.")


@command.command("reset-factor")
@click.argument("login")
def reset_factor(login: str) -> None:
    """Remove the second factor of somebody who has lost it; their sessions end."""
    person = users.by_login(login)
    second_factor.reset(person.id, BY, clock.now())
    echo(f"{person.login} signs in without a second factor now.")


@command.command("role")
@click.argument("login")
@click.argument("role", type=ROLES)
def change_role(login: str, role: str) -> None:
    """Give a person another role; it counts from their next page on."""
    person = users.by_login(login)
    users.change(person.id, person.name, Role(role), person.sees_numbers, person.active, BY, clock.now())
    echo(f"{person.login} is {role} now.")


@command.command("sessions")
@click.argument("login")
def list_sessions(login: str) -> None:
    """Print one line per session of a person, the last used first: device, address, signed in, last seen."""
    person = users.by_login(login)
    for line in sessions.of_person(person.id, clock.now()):
        moments = "\t".join(f"{moment:%Y-%m-%d %H:%M:%SZ}" for moment in (line.begun_at, line.seen_at))
        echo(f"{line.agent or '-'}\t{line.address or '-'}\t{moments}")


@command.command("sign-out")
@click.argument("login")
def sign_out(login: str) -> None:
    """End every session and one-time link of a person; they may sign in again."""
    person = users.by_login(login)
    sessions.end_all(person.id, BY, clock.now())
    echo(f"{person.login} is signed out everywhere.")
