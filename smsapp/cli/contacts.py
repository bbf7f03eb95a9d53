"""flask contacts: import a file without a browser."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import click

from smsapp import labels
from smsapp.cli import consents
from smsapp.cli.output import CommandGroup, echo, failure
from smsapp.domain import phone
from smsapp.domain.contact import PHONE, Type, property_name
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.guesses import Guess
from smsapp.domain.import_state import ImportState
from smsapp.domain.layout import Layout
from smsapp.domain.other_systems import NAMES, System
from smsapp.domain.rejection import Unfit
from smsapp.labels.contacts import in_words, why
from smsapp.services.contacts import import_rows, imports
from smsapp.services.contacts.import_rows import KeptRow, Tally
from smsapp.services.contacts.imports import ImportRow, OpenedFile, Preview
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import erasing, person_export
from smsapp.services.tables.formats import Choice

command = CommandGroup("contacts", help="Contacts.")
command.add_command(consents.group)
ACTOR = Actor("flask contacts")
SHOWN_ROWS = 20
UNUSABLE, SOME_REFUSED = 2, 3


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--id", "id_column", metavar="COLUMN", help="Heading (or number from 1) of the user id's column.")
@click.option("--phone", "phone_column", metavar="COLUMN", help="Heading (or number) of the phone's column.")
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="COLUMN=NAME[:TYPE]",
    help="What a column becomes; NAME - leaves it out. TYPE: string, number, bool, datetime, list.",
)
@click.option("--encoding", help="The file's encoding, as utf-8, gbk, big5 or cp1252; recognised if not given.")
@click.option("--separator", help='What stands between the cells: , ; | or "tab"; recognised if not given.')
@click.option(
    "--heading-row",
    type=int,
    help="The row, from 1, that holds the headings; 0: there are none. Recognised if not given.",
)
@click.option(
    "--from",
    "system",
    type=click.Choice([str(system) for system in System]),
    help="Which system exported the file; files of pinpoint and listmonk are recognised if it is not given. "
    "table: none, whatever the headings are.",
)
@click.option("--segment", default="", help="The contacts of the file also become a new segment of this name.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
def import_(
    file: Path,
    id_column: str | None,
    phone_column: str | None,
    maps: tuple[str, ...],
    encoding: str | None,
    separator: str | None,
    heading_row: int | None,
    system: str | None,
    segment: str,
    dry_run: bool,
) -> None:
    """Import contacts from a CSV or XLSX FILE, or from an export of another system (also packed by gzip).

    Columns that are not named are guessed from their headings and values.

    \b
    Example:
      flask contacts import members.csv --id 会员号 --phone 手机号 --map 等级=level:number --map 备注=-
      flask contacts import old.csv --encoding gbk --separator tab --heading-row 3
      flask contacts import export.json.gz --from pinpoint --segment "Gold members"

    Exit codes: 0 everything was kept, 2 the file or the options cannot be used, 3 some rows were left out.
    """
    try:
        choice = Choice(encoding, "\t" if separator == "tab" else separator, heading_row)
        with imports.opened(file, System(system) if system else None) as table:
            preview = imports.look(table, choice)
            layout = _layout(preview, id_column, phone_column, maps)
            if dry_run:
                _check(table, preview, layout)
            else:
                _import(table, file.name, preview, layout, choice, segment)
    except Refusal as refusal:
        for problem in refusal.problems:
            echo(labels.sentence(Problem(problem.code, facts=in_words(problem.facts))), err=True)
        raise click.exceptions.Exit(UNUSABLE) from None


@command.command("erase")
@click.argument("user_ids", nargs=-1)
@click.option("--from", "file", type=click.File(), help="A file with a user id or a number in each line; - for input.")
@click.option("--yes", is_flag=True, help="Erase them; without, only what would go is printed.")
def erase(user_ids: tuple[str, ...], file: TextIO | None, yes: bool) -> None:
    """Erase people: USER_IDS, or the ids and numbers in a file.

    Numbers are not given as arguments, which the list of processes and the shell's history show.

    \b
    Example:
      flask contacts erase QH000001
      echo 13800138000 | flask contacts erase --from - --yes
    """
    if any(phone.normalise(text) for text in user_ids):
        raise failure("Give numbers by --from: arguments are seen in the list of processes.")
    texts = [*user_ids, *(line.strip() for line in file or ())]
    preview = erasing.preview(texts)
    echo(f"{len(preview.subject.contact_ids)} contacts, {len(preview.subject.numbers)} numbers")
    for table, n in preview.counts.items():
        echo(f"  {table}: {n}")
    if preview.unfinished:
        echo(f"{preview.unfinished} messages are queued (and will be cancelled) or in flight (and erased later).")
    if yes:
        _erase(texts)


@command.command("export-person")
@click.argument("user_id", required=False)
@click.option("--from", "file", type=click.File(), help="A file with the user id or the number; - for input.")
def export_person(user_id: str | None, file: TextIO | None) -> None:
    """Print all that is stored about a person as JSON: USER_ID, or the id or number in a file.

    \b
    Example:
      flask contacts export-person QH000001 > person.json
      echo 13800138000 | flask contacts export-person --from - > person.json
    """
    text = user_id or (file.read().strip() if file else "")
    if user_id and phone.normalise(user_id):
        raise failure("Give numbers by --from: arguments are seen in the list of processes.")
    now = clock.now()
    for part in person_export.as_json(person_export.export(text, ACTOR, now), now):
        echo(part)


def _erase(texts: list[str]) -> None:
    erasure_id = erasing.request(texts, ACTOR, clock.now())
    erasing.make_pass(erasure_id, clock.now)
    erasure = erasing.get(erasure_id)
    if erasure.finished_at:
        echo("Erased.")
    else:
        left = {name: erasure.counts.get(name, 0) for name in ("in_flight", "importing")}
        echo(f"Begun ({erasure.state}): {left['in_flight']} messages in flight, {left['importing']} imports. The rest")
        echo("goes on by itself; `flask sweep` does it without workers.")


def _layout(preview: Preview, id_column: str | None, phone_column: str | None, maps: tuple[str, ...]) -> Layout | None:
    if preview.form.system:
        echo(f"This is a file of {NAMES[System(preview.form.system)]}.", err=True)
    guesses = _layout_guesses(preview, id_column, phone_column, maps)
    for i, guess in enumerate(guesses):
        echo(f"{preview.header[i] or i + 1}: {_meaning(guess)}", err=True)
    return imports.layout_of(guesses, preview.header)


def _import(file: OpenedFile, name: str, preview: Preview, layout: Layout | None, choice: Choice, segment: str) -> None:
    row = imports.register(file, name, ACTOR, clock.now(), choice)
    rows_read = Choice(heading_row=preview.form.heading_row)
    imports.start(row.id, layout, rows_read, ACTOR, clock.now(), segment_name=segment, ring=False)
    with click.progressbar(length=max(1, row.size), label="Importing", file=sys.stderr) as bar:
        import_rows.run(row.id, clock.now, _moving(bar))
    row = imports.found(row.id)
    _report(row)


def _report(row: ImportRow) -> None:
    merged = f"{row.merged} merged, " if row.marks else ""
    echo(f"{row.rows} rows: {row.added} new, {row.changed} updated, {merged}{row.refused} refused.")
    _list_rows(import_rows.refused_rows(row.id), row.refused + row.merged)
    if row.opted_out:
        echo(f"{row.opted_out} numbers are on the opt-out list now.")
    if row.without_number:
        echo(f"{row.without_number} rows were kept without a usable phone number.")
        _list_rows(import_rows.rows_without_number(row.id), row.without_number)
    if row.state == ImportState.FAILED:
        raise Refusal(Problem(row.failure, facts=row.preview.get("facts", {})))
    if row.refused + row.merged:
        raise click.exceptions.Exit(SOME_REFUSED)


def _list_rows(rows: Iterator[KeptRow], count: int) -> None:
    for row in itertools.islice(rows, SHOWN_ROWS):
        echo(f"  row {row.number}: {why(row.reason, row.facts)}", err=True)
    if count > SHOWN_ROWS:
        echo(f"  … and {count - SHOWN_ROWS} more; the import's page has them.", err=True)


def _check(file: OpenedFile, preview: Preview, layout: Layout | None) -> None:
    tally = Tally()
    size = max(1, file.path.stat().st_size)
    with click.progressbar(length=size, label="Checking", file=sys.stderr) as bar:
        bad = list(import_rows.check(file, preview, layout, tally, _moving(bar), SHOWN_ROWS))
    for row in bad:
        echo(f"  row {row.facts['row']}: {why(row.reason, row.facts)}", err=True)
    usable = tally.rows - tally.refused - tally.merged
    merged = f"{tally.merged} merged, " if file.marks else ""
    echo(f"{tally.rows} rows: {usable} can be kept, {merged}{tally.refused} refused. Nothing was written.")
    if tally.opted_out:
        echo(f"{tally.opted_out} numbers would be put on the opt-out list.")
    if tally.without_number:
        echo(f"{tally.without_number} rows hold no usable phone number.")
    if tally.refused + tally.merged:
        raise click.exceptions.Exit(SOME_REFUSED)


def _moving(bar: Any) -> Callable[[ImportRow | Tally], None]:
    def move(now: ImportRow | Tally) -> None:
        bar.update(now.read_bytes - bar.pos)

    return move


def _layout_guesses(
    preview: Preview, id_column: str | None, phone_column: str | None, maps: tuple[str, ...]
) -> list[Guess]:
    """Return the guesses with what the options say instead."""
    guesses = list(preview.guesses)
    named = {word for word in (id_column, phone_column) if word}
    for word in named:
        index = _index(preview, word)
        both = id_column and phone_column and _index(preview, id_column) == _index(preview, phone_column)
        role = "id_phone" if both else "id" if word == id_column else "phone"
        for i, guess in enumerate(guesses):
            if i != index and guess.role in {role, "id_phone"}:
                guesses[i] = replace(guess, role="ignore")
        guesses[index] = Guess(role, PHONE, Type.STRING)
    for word in maps:
        column, equals, meaning = word.partition("=")
        if not equals:
            raise Refusal(Problem("map_unreadable", facts={"map": word}))
        index = _index(preview, column)
        guesses[index] = _property(guesses[index], meaning, preview)
    return guesses


def _property(guess: Guess, meaning: str, preview: Preview) -> Guess:
    name, _colon, kind = meaning.partition(":")
    if name == "-":
        return replace(guess, role="ignore")
    try:
        name = property_name(name)
    except Unfit:
        raise Refusal(Problem("property_name")) from None
    if kind and kind not in set(Type):
        raise Refusal(Problem("map_type", facts={"type": kind, "types": ", ".join(Type)}))
    return Guess("property", name, Type(kind) if kind else preview.known.get(name, guess.type))


def _index(preview: Preview, word: str) -> int:
    headings = [heading.strip() for heading in preview.header]
    if word in headings:
        return headings.index(word)
    if word.isascii() and word.isdigit() and 1 <= int(word) <= len(headings):
        return int(word) - 1
    raise Refusal(Problem("no_such_column", facts={"column": word, "columns": ", ".join(filter(None, headings))}))


def _meaning(guess: Guess) -> str:
    meanings = {"id": "user id", "id_phone": "phone number and user id", "phone": "phone number", "ignore": "left out"}
    return meanings.get(guess.role, f"{guess.name} ({guess.type})")
