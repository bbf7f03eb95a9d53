"""flask registrations: what China's carriers have registered, without a browser."""

from __future__ import annotations

import datetime as dt
from typing import NoReturn

import click

from smsapp.cli.output import CommandGroup, Shown, echo, fail_as_json, is_json
from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.registration import REMIND_DAYS, RegistrationKind, RegistrationState
from smsapp.labels import label, sentence
from smsapp.labels import registrations as registration_words
from smsapp.labels import sms_templates as template_words
from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import registration_statements, registration_sync, registrations
from smsapp.services.templates.registration_statements import Statement

command = CommandGroup(
    "registrations", help="What China's carriers have registered of signatures, templates and links."
)
ACTOR = Actor("flask registrations")
CHANNEL = click.option("--channel", "channel_name", required=True, help="Name of the channel.")
KIND = click.argument("kind", type=click.Choice([str(kind) for kind in RegistrationKind]))


@command.command("list", shows=True)
@CHANNEL
def list_(channel_name: str) -> Shown:
    """Print what is known: kind, value, and for each carrier its state with its age.

    \b
    Example:
      flask registrations list --channel 阿里云
    """
    now, items, lines = clock.now(), [], []
    for subject in registrations.of_channel(_channel_id(channel_name), now):
        states = {carrier: state for carrier, state, _ in subject.lights}
        known_since = {carrier: entry.at for carrier, _, entry in subject.lights if entry}
        items.append({"kind": subject.kind, "value": subject.value, "states": states, "at": known_since})
        lights = []
        for carrier, state, entry in subject.lights:
            age = f", {(now - entry.at).days} d" if entry else ""
            why = "".join(f"; {registration_words.reason(code)}" for code in entry.reasons) if entry else ""
            lights.append(f"{label(carrier)}: {label(state)}{age}{why}")
        lines.append(f"{subject.kind}\t{subject.shown}\t" + "\t".join(lights))
    return Shown({"items": items}, lines)


@command.command("set")
@KIND
@click.argument("value")
@click.argument("state", type=click.Choice([str(state) for state in RegistrationState]))
@CHANNEL
@click.option(
    "--carrier",
    "carriers",
    multiple=True,
    type=click.Choice([str(carrier) for carrier in REGISTRARS]),
    help="Only at this carrier; may be repeated. Without it at all three.",
)
@click.option("--words", default="", help="Why, as the provider or carrier said it.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day it is valid, as 2027-05-31.")
@click.option("--remind", default=REMIND_DAYS, show_default=True, help="Days before that to be reminded.")
def set_(
    kind: str,
    value: str,
    state: str,
    channel_name: str,
    carriers: tuple[str, ...],
    words: str,
    until: dt.datetime | None,
    remind: int,
) -> None:
    """Record what carriers have registered, where no provider says it.

    \b
    Example:
      flask registrations set signature 青禾商城 registered --channel 乐信通 --carrier mobile --until 2027-05-31
    """
    statement = Statement(
        RegistrationKind(kind),
        value,
        [Carrier(code) for code in carriers] or list(REGISTRARS),
        RegistrationState(state),
        words,
        registration_statements.end_of_day(until.date()) if until else None,
        remind,
    )
    try:
        registration_statements.say(_channel_id(channel_name), statement, ACTOR, clock.now())
    except Refusal as refusal:
        _unusable([sentence(problem) for problem in refusal.problems])
    echo("Recorded.")


@command.command("forget")
@KIND
@click.argument("value")
@CHANNEL
def forget(kind: str, value: str, channel_name: str) -> None:
    """Remove what is recorded of a value.

    \b
    Example:
      flask registrations forget link t.cn/A6abc --channel 乐信通
    """
    try:
        registration_statements.forget(_channel_id(channel_name), RegistrationKind(kind), value, ACTOR, clock.now())
    except NotFound:
        _unusable(["Nothing is recorded of this."])
    echo("Removed.")


@command.command("sync")
@CHANNEL
def sync(channel_name: str) -> None:
    """Ask the channel's provider what carriers have registered now.

    \b
    Exit code: 0 it answered, 1 it did not answer as it should, 2 it cannot be asked.

    \b
    Example:
      flask registrations sync --channel 阿里云
    """
    try:
        result = registration_sync.sync(_channel_id(channel_name), ACTOR, clock.now())
    except Refusal as refusal:
        _unusable([sentence(problem) for problem in refusal.problems])
    if not result.ok:
        echo(template_words.sync_trouble(result.trial.result, result.trial.outcome or "", result.trial.code), err=True)
        raise SystemExit(1)
    echo(f"{result.channel}: asked {result.asked}, changed {result.changed}, runs held {result.held}")


@command.command("lapsing", shows=True)
def lapsing() -> Shown:
    """Print what lapses soon: nothing is sent with it, or its term ends.

    \b
    Example:
      flask registrations lapsing
    """
    items, lines = [], []
    for line in registrations.lapsing(clock.now()):
        carriers = ",".join(line.carriers)
        why = "unused" if line.unused else "term"
        lines.append(f"{line.lapses_at:%Y-%m-%d}\t{line.channel}\t{line.kind}\t{line.shown}\t{carriers}\t{why}")
        facts = {"lapses_at": line.lapses_at, "channel": line.channel, "kind": line.kind, "value": line.shown}
        items.append(facts | {"carriers": list(line.carriers), "why": why})
    return Shown({"items": items}, lines)


def _channel_id(name: str) -> int:
    try:
        return accounts.by_name(name).id
    except NotFound:
        names = ", ".join(row.name for row in accounts.everything()) or "none yet"
        _unusable([f"There is no channel called {name!r}. Channels: {names}."])


def _unusable(sentences: list[str]) -> NoReturn:
    if is_json():
        fail_as_json("unusable", " ".join(sentences), status=2)
    for text in sentences:
        echo(text, err=True)
    raise SystemExit(2)
