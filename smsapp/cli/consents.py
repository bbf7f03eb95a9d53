"""flask contacts consent: what people have agreed to, recorded and shown without a browser."""

from __future__ import annotations

from pathlib import Path

import click

from smsapp.cli.output import CommandGroup, Shown, echo
from smsapp.domain.consent import ConsentProperty
from smsapp.domain.errors import Refusal
from smsapp.domain.scope import Coverage, Scope
from smsapp.labels import sentence
from smsapp.services.contacts import consents
from smsapp.services.contacts.consents import TIME_UNREADABLE, Statement
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.shapes.sight import Sight

group = CommandGroup("consent", help="What people have agreed to.", plain=True, between="\n")
ACTOR = Actor("flask contacts consent")
SCOPE = click.option(
    "--scope",
    type=click.Choice([str(scope) for scope in Scope]),
    default=str(Scope.EVERYTHING),
    show_default=True,
    help="Which texts are meant.",
)
SIGNATURE = click.option("--signature", "signatures", multiple=True, help="A signature that is meant; may be repeated.")


@group.command("give")
@click.argument("number")
@click.option("--words", required=True, help="What the person agreed to.")
@click.option("--at", default="", help="When, as 2026-05-03 or 2026-05-03T14:30; now if not given.")
@SCOPE
@SIGNATURE
def give(number: str, words: str, at: str, scope: str, signatures: tuple[str, ...]) -> None:
    """Record that the owner of NUMBER agreed to texts.

    \b
    Example:
      flask contacts consent give 13800138000 --words "我同意接收青禾商城的营销短信" --at 2026-05-03 --scope marketing
    """
    _record(number, True, words, at, Coverage(Scope(scope), signatures))


@group.command("withdraw")
@click.argument("number")
@click.option("--words", required=True, help="How it was withdrawn.")
@click.option("--at", default="", help="When, as 2026-05-03 or 2026-05-03T14:30; now if not given.")
@SCOPE
@SIGNATURE
def withdraw(number: str, words: str, at: str, scope: str, signatures: tuple[str, ...]) -> None:
    """Record that the owner of NUMBER withdrew a consent.

    \b
    Example:
      flask contacts consent withdraw 13800138000 --words "said so on the hotline"
    """
    _record(number, False, words, at, Coverage(Scope(scope), signatures))


def _record(number: str, given: bool, words: str, at: str, coverage: Coverage) -> None:
    now = clock.now()
    moment = consents.read_time(at) if at else now
    if moment is None:
        raise Refusal(TIME_UNREADABLE)
    consents.record_of_number(number, Statement(given, words, moment, coverage), ACTOR, now)
    echo("recorded")


@group.command("show", shows=True)
@click.argument("number")
@click.option("--full", is_flag=True, help="Print the words with whole numbers instead of masked ones.")
def show(number: str, full: bool) -> Shown:
    """Print the records of NUMBER, newest first: state, in force or replaced, scope, signatures, how, who, when, words.

    \b
    Example:
      flask contacts consent show 13800138000
    """
    sight, items, lines = Sight(full), [], []
    names = ("given", "current", "scope", "signatures", "source", "by", "at")
    for row in consents.of_number(number):
        state, force = "given" if row.given else "withdrawn", "in force" if row.current else "replaced"
        words, at = sight.text(row.words), row.at.isoformat(timespec="seconds")
        columns = (state, force, row.scope, row.signatures, row.source, row.by, at, " ".join(words.split()))
        lines.append("\t".join(columns))
        items.append({name: getattr(row, name) for name in names} | {"words": words})
    return Shown({"items": items}, lines)


@group.command("import", refusal_code=2)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--words", default="", help="What was agreed to, for rows without words of their own.")
def import_(file: Path, words: str) -> None:
    """Record the consents of FILE (CSV, text or XLSX).

    Columns: 手机号 or phone, or 用户ID or xwho; 同意 or consent (yes or no); 同意内容 or words; 时间 or time; 范围 or
    scope; 签名 or signature.

    \b
    Exit code: 0 every row was taken, 1 some rows cannot be read, 2 the file cannot be used.

    \b
    Example:
      flask contacts consent import consents.csv --words "我同意接收青禾商城的营销短信"
    """
    result = consents.take_file(file.read_bytes(), words, ACTOR, clock.now())
    for row, problem in result.complaints:
        echo(f"row {row}: {sentence(problem)}", err=True)
    echo(f"{result.added} recorded, {result.refused} refused")
    raise SystemExit(1 if result.refused else 0)


@group.command("property")
@click.argument("name", required=False)
@click.option("--words", default="", help="What a person agrees to there.")
@click.option("--none", "no_property", is_flag=True, help="Take consents from no property any more.")
@SCOPE
@SIGNATURE
def property_(name: str | None, words: str, no_property: bool, scope: str, signatures: tuple[str, ...]) -> None:
    """Take the values of the yes-or-no property NAME as consents; without NAME print the one that is declared.

    \b
    Example:
      flask contacts consent property sms_ok --words "我同意接收青禾商城的营销短信" --scope marketing
    """
    if name is None and not no_property:
        declared = consents.declared()
        echo(f"{declared.name}\t{declared.coverage.scope}\t{declared.words}" if declared else "none")
        return
    wanted = None if name is None else ConsentProperty(name, words, Coverage(Scope(scope), signatures))
    consents.declare(wanted, ACTOR, clock.now())
    echo("saved")
