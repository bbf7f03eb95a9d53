"""flask optouts: the opt-out list, numbers that get no messages."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click
from flask.cli import AppGroup

from smsapp.cli.ids import LONG_ID
from smsapp.cli.output import echo
from smsapp.domain import phone
from smsapp.domain.errors import NotFound, Refusal
from smsapp.labels import sentence
from smsapp.services.contacts import opt_outs
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import unattributed_replies

command = AppGroup("optouts", help="Numbers nobody writes to, for every campaign.")
ACTOR = Actor("flask optouts")


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path) -> None:
    """Put the numbers of FILE (CSV, text or XLSX) on the list.

    The number is in the column 手机号 or phone, else in the first one; 备注 or note is kept with it.

    \b
    Exit code: 0 every row was taken, 1 some rows hold no number, 2 the file cannot be used.

    \b
    Example:
      flask optouts import blacklist.csv
    """
    try:
        result = opt_outs.take_file(file.read_bytes(), ACTOR, clock.now())
    except Refusal as refusal:
        _fail(refusal, 2)
    for row, problem in result.complaints:
        echo(f"row {row}: {sentence(problem)}", err=True)
    echo(f"{result.added} added, {result.known} known already, {result.refused} refused")
    raise SystemExit(1 if result.refused else 0)


@command.command("list")
@click.option("--full", is_flag=True, help="Print whole numbers instead of masked ones.")
def list_(full: bool) -> None:
    """Print the list, oldest first: number, since when, how it came, remark.

    \b
    Example:
      flask optouts list --full > optouts.tsv
    """
    for row in opt_outs.everyone():
        number = row.phone if full else phone.mask(row.phone)
        echo(f"{number}\t{row.at.isoformat(timespec='seconds')}\t{row.source}\t{row.note}")
    _tell_waiting()


@command.command("waiting")
@click.option("--full", is_flag=True, help="Print senders and texts as they came instead of masked.")
def waiting(full: bool) -> None:
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
    for row in rows:
        sender, text = (row.sender, row.text) if full else map(phone.mask_inside, (row.sender, row.text))
        kind = "opt-out" if row.opt_out else "reply"
        text = " ".join(text.split())
        echo(f"{row.id}\t{row.received_at.isoformat(timespec='seconds')}\t{kind}\t{sender}\t{text}")
    raise SystemExit(1 if rows else 0)


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
    except Refusal as refusal:
        _fail(refusal, 1)
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
    except Refusal as refusal:
        _fail(refusal, 1)
    echo("dismissed")


@command.command("add")
@click.argument("number")
@click.option("--note", default="", help="A remark to keep with it.")
def add(number: str, note: str) -> None:
    """Put one NUMBER on the list.

    \b
    Example:
      flask optouts add 13800138000 --note "asked on the hotline"
    """
    try:
        new = opt_outs.add(number, note, ACTOR, clock.now())
    except Refusal as refusal:
        _fail(refusal, 1)
    echo("added" if new else "known already")


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
    except Refusal as refusal:
        _fail(refusal, 1)
    echo("removed")


def _tell_waiting() -> None:
    if n := unattributed_replies.count():
        echo(f"{n} replies wait for a number; see flask optouts waiting", err=True)


def _fail(refusal: Refusal, code: int) -> NoReturn:
    for problem in refusal.problems:
        echo(sentence(problem), err=True)
    raise SystemExit(code)
