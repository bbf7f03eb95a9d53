"""flask optouts: the opt-out list, numbers that refuse texts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smsapp.cli.ids import LONG_ID
from smsapp.cli.output import CommandGroup, Shown, echo
from smsapp.domain.errors import NotFound
from smsapp.domain.refusal import Suspicion
from smsapp.domain.scope import Coverage, Scope
from smsapp.labels import sentence
from smsapp.services.contacts import opt_outs
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import suspected_refusals, unattributed_replies
from smsapp.shapes import people
from smsapp.shapes.sight import Sight

if TYPE_CHECKING:
    from smsapp.store.contacts.replies import OptOut

command = CommandGroup(
    "optouts",
    help="Numbers that refuse texts: all of them, marketing, or those of some signatures.",
    plain=True,
    between="\n",
)
ACTOR = Actor("flask optouts")
SCOPE = click.option(
    "--scope",
    type=click.Choice([str(scope) for scope in Scope]),
    default=str(Scope.EVERYTHING),
    show_default=True,
    help="What is refused.",
)
SIGNATURE = click.option(
    "--signature", "signatures", multiple=True, help="A signature whose texts are refused; may be repeated."
)


@command.command("import", refusal_code=2)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path) -> None:
    """Put the numbers of FILE (CSV, text, XLSX or JSON) on the list.

    The number is in the column 手机号 or phone, else in the first one; 备注 or note is kept with it. 范围 or scope
    (everything, marketing, signature) and 签名 or signature say what is refused; without them it is everything.
    JSON is what `aws pinpoint-sms-voice-v2 describe-opted-out-numbers` prints.

    \b
    Exit code: 0 every row was taken, 1 some rows hold no number, 2 the file cannot be used.

    \b
    Example:
      flask optouts import blacklist.csv
    """
    result = opt_outs.take_file(file.read_bytes(), ACTOR, clock.now())
    for row, problem in result.complaints:
        echo(f"row {row}: {sentence(problem)}", err=True)
    echo(f"{result.added} added, {result.known} known already, {result.refused} refused")
    raise SystemExit(1 if result.refused else 0)


@command.command("list", shows=True)
@click.option("--full", is_flag=True, help="Print whole numbers instead of masked ones.")
@click.option("--headings", is_flag=True, help="Print a line of headings first, by which import reads the columns.")
def list_(full: bool, headings: bool) -> Shown:
    """Print the list, oldest first: number, since when, how it came, what it refuses, of which signatures, remark.

    \b
    Example:
      flask optouts list --full --headings > optouts.tsv
      flask optouts import optouts.tsv
    """
    sight, first = Sight(full), ["phone\tsince\tsource\tscope\tsignature\tnote"] if headings else []
    items = (people.opt_out(row, sight) for row in opt_outs.everyone())
    lines = (_line(row, sight) for row in opt_outs.everyone())
    return Shown({"items": items}, itertools.chain(first, lines), _waiting_notes())


def _line(row: OptOut, sight: Sight) -> str:
    since = row.at.isoformat(timespec="seconds")
    return f"{sight.number(row.phone)}\t{since}\t{row.source}\t{row.scope}\t{row.signatures}\t{row.note}"


@command.command("waiting", shows=True)
@click.option("--full", is_flag=True, help="Print senders and texts as they came instead of masked.")
def waiting(full: bool) -> Shown:
    """Print replies whose sender could not be read, newest first: id, when, opt-out or reply, sender, text.

    An opt-out among them is on nobody's list until a person says whose it is.

    \b
    Exit code: 0 none waits, 1 some wait.

    \b
    Example:
      flask optouts waiting
      flask optouts assign 7 13800138000
    """
    rows = unattributed_replies.find_page(limit=unattributed_replies.MOST_COUNTED + 1)
    sight, items, lines = Sight(full), [], []
    for row in rows:
        sender, text = sight.text(row.sender), sight.text(row.text)
        kind, words = "opt-out" if row.opt_out else "reply", " ".join(text.split())
        lines.append(f"{row.id}\t{row.received_at.isoformat(timespec='seconds')}\t{kind}\t{sender}\t{words}")
        facts = {"id": row.id, "received_at": row.received_at, "is_opt_out": row.opt_out}
        items.append(facts | {"sender": sender, "text": text})
    return Shown({"items": items}, lines, code=1 if rows else 0)


@command.command("suspected", shows=True)
@click.option("--full", is_flag=True, help="Print numbers and texts as they came instead of masked.")
@click.option("--decided", is_flag=True, help="Print those about which a person has decided instead.")
def suspected(full: bool, decided: bool) -> Shown:
    """Print replies that look like refusals, newest first: id, when, decision, number, text.

    \b
    Exit code: 0 none waits, 1 some wait.

    \b
    Example:
      flask optouts suspected
      flask optouts decide 7 9 --as marketing
      flask optouts undo 9
    """
    rows = suspected_refusals.find_page(decided=decided, limit=unattributed_replies.MOST_COUNTED + 1)
    sight, items, lines = Sight(full), [], []
    for row in rows:
        number, text = sight.number(row.phone), sight.text(row.text)
        at, words = row.received_at.isoformat(timespec="seconds"), " ".join(text.split())
        lines.append(f"{row.id}\t{at}\t{row.suspicion}\t{number}\t{words}")
        facts = {"id": row.id, "received_at": row.received_at, "suspicion": row.suspicion}
        items.append(facts | {"phone": number, "text": text})
    return Shown({"items": items}, lines, code=1 if rows and not decided else 0)


@command.command("decide")
@click.argument("reply_ids", type=LONG_ID, nargs=-1, required=True)
@click.option(
    "--as",
    "verdict",
    type=click.Choice([*map(str, Scope), str(Suspicion.HARMLESS)]),
    required=True,
    help="What they refuse, or harmless: nothing.",
)
def decide(reply_ids: tuple[int, ...], verdict: str) -> None:
    """Decide about replies that look like refusals.

    \b
    Example:
      flask optouts decide 7 9 --as everything
    """
    scope = None if verdict == Suspicion.HARMLESS else Scope(verdict)
    echo(f"{suspected_refusals.decide(set(reply_ids), scope, ACTOR, clock.now())} decided")


@command.command("undo")
@click.argument("reply_id", type=LONG_ID)
def undo(reply_id: int) -> None:
    """Take back the decision about REPLY_ID; its number refuses again what it refused before.

    \b
    Example:
      flask optouts undo 9
    """
    try:
        suspected_refusals.undo(reply_id, ACTOR, clock.now())
    except NotFound:
        echo("Nothing was decided about this reply.", err=True)
        raise SystemExit(1) from None
    echo("taken back")


@command.command("assign")
@click.argument("reply_id", type=LONG_ID)
@click.argument("number")
def assign(reply_id: int, number: str) -> None:
    """Say that the waiting reply REPLY_ID came from NUMBER; an opt-out puts it on the list.

    \b
    Example:
      flask optouts assign 7 13800138000
    """
    try:
        opted_out = unattributed_replies.assign(reply_id, number, ACTOR, clock.now())
    except NotFound:
        echo("No such reply waits.", err=True)
        raise SystemExit(1) from None
    echo("on the list" if opted_out else "assigned")


@command.command("dismiss")
@click.argument("reply_id", type=LONG_ID)
@click.option("--reason", required=True, help="Why it needs no number; kept in the audit log.")
def dismiss(reply_id: int, reason: str) -> None:
    """Let the waiting reply REPLY_ID rest without a number.

    \b
    Example:
      flask optouts dismiss 7 --reason "a newsletter of the carrier"
    """
    try:
        unattributed_replies.dismiss(reply_id, reason, ACTOR, clock.now())
    except NotFound:
        echo("No such reply waits.", err=True)
        raise SystemExit(1) from None
    echo("dismissed")


@command.command("add", shows=True)
@click.argument("number")
@click.option("--note", default="", help="A remark to keep with it.")
@SCOPE
@SIGNATURE
def add(number: str, note: str, scope: str, signatures: tuple[str, ...]) -> Shown:
    """Put one NUMBER on the list.

    \b
    Example:
      flask optouts add 13800138000 --note "asked on the hotline"
      flask optouts add 13800138000 --scope signature --signature 青禾商城
    """
    new = opt_outs.add(number, note, ACTOR, clock.now(), Coverage(Scope(scope), signatures))
    return Shown({"id": opt_outs.find(number).id, "added": new}, ["added" if new else "known already"])


@command.command("scope")
@click.argument("number")
@SCOPE
@SIGNATURE
@click.option("--reason", required=True, help="Why it changes; kept in the audit log.")
def scope_(number: str, scope: str, signatures: tuple[str, ...], reason: str) -> None:
    """Set what NUMBER, which is on the list, refuses.

    \b
    Example:
      flask optouts scope 13800138000 --scope marketing --reason "wants delivery notices, said on the phone"
    """
    try:
        refused = Coverage(Scope(scope), signatures)
        opt_outs.change(opt_outs.find(number).id, refused, reason, ACTOR, clock.now())
    except NotFound:
        echo("This number is not on the list.", err=True)
        raise SystemExit(1) from None
    echo("changed")


@command.command("remove")
@click.argument("number")
@click.option("--reason", required=True, help="How the person agreed again; kept in the audit log.")
def remove(number: str, reason: str) -> None:
    """Take NUMBER off the list because the person agreed again.

    \b
    Example:
      flask optouts remove 13800138000 --reason "signed up again on 3 May"
    """
    try:
        opt_outs.remove(opt_outs.find(number).id, reason, ACTOR, clock.now())
    except NotFound:
        echo("This number is not on the list.", err=True)
        raise SystemExit(1) from None
    echo("removed")


def _waiting_notes() -> Iterator[str]:
    if n := unattributed_replies.count():
        yield f"{n} replies wait for a number; see flask optouts waiting"
    if n := suspected_refusals.count():
        yield f"{n} replies look like refusals; see flask optouts suspected"
