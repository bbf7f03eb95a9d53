"""`flask users`: make people, give them links, take their sign-in away."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

import click
from flask import current_app

from smsapp.cli.output import CommandGroup, Shown, echo, listed
from smsapp.domain.roles import Role
from smsapp.services.platform import clock, login_links, second_factor, sessions, users
from smsapp.services.platform.audit_log import Actor

if TYPE_CHECKING:
    from smsapp.store.users import User

command = CommandGroup("users", help="People who sign in.")

BY = Actor("flask users")
ROLES = click.Choice([role.value for role in Role])


def _link(login: str, path: str) -> Shown:
    address = current_app.config["PUBLIC_URL"]
    hint = "" if address else " (put the address of the application before it)"
    lines = [f"One-time link for {login}, good for 24 hours{hint}:", address + path]
    return Shown({"login": login, "link": address + path}, lines)


@command.command("create", shows=True)
@click.argument("login")
@click.option("--role", type=ROLES, default=Role.OPERATOR.value, show_default=True, help="What this person may do.")
@click.option("--name", default="", help="As colleagues see it; the login if left out.")
@click.option("--password", "ask", is_flag=True, help="Ask for a password (or read it from standard input), no link.")
def create(login: str, role: str, name: str, ask: bool) -> Shown:
    """Add a person and print a one-time link by which they choose a password."""
    if ask:
        person = users.create(login, name, Role(role), _password(), BY, clock.now())
        return Shown({"id": person.id, "login": person.login, "role": role}, [f"{person.login} can sign in as {role}."])
    person, path = login_links.invite(login, name, Role(role), False, BY, clock.now())
    return _link(person.login, path)


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


@command.command("list", shows=True)
def list_people() -> Shown:
    """Print one line per person: login, role, state, name."""
    invited = login_links.invited(clock.now())
    return listed(
        users.everybody(),
        lambda person: {
            "id": person.id,
            "login": person.login,
            "name": person.name,
            "role": person.role,
            "active": person.active,
            "has_password": bool(person.password_hash),
            "link_open": person.active and person.id in invited,
        },
        lambda person: f"{person.login}\t{person.role}\t{_state(person, invited)}\t{person.name}",
    )


def _state(person: User, invited: Collection[int]) -> str:
    state = "signed off" if not person.active else "active" if person.password_hash else "no password"
    return f"{state}, link open" if person.active and person.id in invited else state


@command.command("link", shows=True)
@click.argument("login")
def link(login: str) -> Shown:
    """Print a new one-time link to set a password; older links stop working."""
    person = users.by_login(login)
    return _link(person.login, login_links.make_link(person.id, BY, clock.now()))


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


@command.command("sessions", shows=True)
@click.argument("login")
def list_sessions(login: str) -> Shown:
    """Print one line per session of a person, the last used first: device, address, signed in, last seen."""
    person = users.by_login(login)
    names = ("agent", "address", "begun_at", "seen_at")
    moment = "%Y-%m-%d %H:%M:%SZ"
    return listed(
        sessions.of_person(person.id, clock.now()),
        lambda line: {name: getattr(line, name) for name in names},
        lambda line: "\t".join(
            (line.agent or "-", line.address or "-", f"{line.begun_at:{moment}}", f"{line.seen_at:{moment}}")
        ),
    )


@command.command("sign-out")
@click.argument("login")
def sign_out(login: str) -> None:
    """End every session and one-time link of a person; they may sign in again."""
    person = users.by_login(login)
    sessions.end_all(person.id, BY, clock.now())
    echo(f"{person.login} is signed out everywhere.")
