"""The opt-out list: how numbers are added to it, and how a person removes one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from openpyxl.utils import get_column_letter
from sqlalchemy.orm import Session

from smsapp.domain import opted_out_numbers, phone
from smsapp.domain import scope as scopes
from smsapp.domain.cells import FORMULA, BrokenRow, Row, whole_number
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.invisible import trimmed
from smsapp.domain.optout import Confirmation, OptOutSource
from smsapp.domain.rights import Right
from smsapp.domain.scope import EVERYTHING, Coverage, Scope
from smsapp.domain.storable import storable
from smsapp.services.contacts import coverages
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.tables import limited, reading
from smsapp.services.tables.formats import Format
from smsapp.store.contacts import replies as store
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.settings import settings
from smsapp.store.sms_templates import all_signatures

NOUN = "opt_out"
PHONE_HEADERS = frozenset({"手机号", "手机号码", "手机", "号码", "电话", "phone", "phonenumber", "mobile", "number"})
NOTE_HEADERS = frozenset({"备注", "原因", "note", "reason"})
LONGEST_NOTE = 255
MOST_COMPLAINTS = 1000


def everyone() -> Iterable[OptOut]:
    """Read every opt-out, page by page."""
    return store.stream_opt_outs(current_session())


@dataclass
class OptOutFile:
    """The result of an import of numbers."""

    added: int = 0
    known: int = 0
    """Already on the list, or twice in the file."""
    refused: int = 0
    complaints: list[tuple[int, Problem]] = field(default_factory=list)
    """(row number, problem), at most MOST_COMPLAINTS of them."""


def record(
    session: Session,
    number: str,
    source: OptOutSource,
    now: dt.datetime,
    *,
    refused: Coverage = EVERYTHING,
    remark: str = "",
    channel_id: int | None = None,
    campaign_id: int | None = None,
    confirm: bool = False,
) -> bool:
    """Put a number (E.164) on the list, in the caller's transaction; False if it has refused as much before.

    `confirm`: a new entry's person gets a text that confirms it, once.
    """
    rows = _rows(number, source, now, refused, remark, channel_id, campaign_id)
    for row in rows:
        row["confirmation"] = Confirmation.DUE if confirm else Confirmation.NONE
    return sum(store.add_opt_outs(session, [row]) for row in rows) > 0


def record_told(session: Session, keys: Sequence[tuple[int, int]], now: dt.datetime) -> int:
    """Put numbers on the list that the provider reports as opted out, in the caller's transaction; return how many.

    They refuse everything: a provider does not say of what its own list keeps them.

    `keys` are (run, seq) of the messages that it did not deliver for that reason.
    """
    rows = {
        message.phone: row
        for message in store.recipients(session, keys)
        for row in _rows(
            message.phone, OptOutSource.PROVIDER, now, EVERYTHING, "", message.channel_id, message.campaign_id
        )
    }
    # In the order of numbers, so that two workers do not deadlock.
    return store.add_opt_outs(session, [rows[number] for number in sorted(rows)])


def record_imported(session: Session, numbers: Iterable[str], remark: str, now: dt.datetime) -> int:
    """Put numbers (E.164) that another system says refuse everything on the list; return how many were new.

    In the caller's transaction, in the order of numbers, so that two workers do not deadlock.
    """
    rows = {number: row for number in numbers for row in _rows(number, OptOutSource.IMPORT, now, EVERYTHING, remark)}
    return store.add_opt_outs(session, [rows[number] for number in sorted(rows)])


def add(raw: str, remark: str, actor: Actor, now: dt.datetime, refused: Coverage = EVERYTHING) -> bool:
    """Put a number on the list for a person; False if it has refused as much before.

    Raises Refusal if it is no number, or no signature of ours is named where one is meant.
    """
    require(actor, Right.REPLIES_DECIDE)
    number = _number(raw)
    with writing() as session:
        coverages.check(session, refused)
        remark = remark.strip()[:LONGEST_NOTE]
        is_new = record(session, number, OptOutSource.PERSON, now, refused=refused, remark=remark)
        if is_new:
            log_action(
                session,
                actor,
                "create",
                NOUN,
                phone.mask(number),
                now,
                scope=coverages.as_words(refused.refused_by(number)),
            )
    return is_new


def change(opt_out_id: int, refused: Coverage, reason: str, actor: Actor, now: dt.datetime) -> None:
    """Set what a number on the list refuses; raises Refusal without a reason, which the audit log keeps.

    A number of a country in which a refusal always counts for everything cannot refuse less.
    """
    require(actor, Right.REPLIES_DECIDE)
    if not reason.strip():
        raise Refusal(Problem("scope_reason_missing", "reason"))
    with writing() as session:
        entry = lock_row(session, OptOut, opt_out_id)
        if entry is None:
            raise NotFound(NOUN)
        coverages.check(session, refused, of_row(entry).signatures)
        counted = refused.refused_by(entry.phone)
        if counted != refused:
            raise Refusal(Problem("scope_always_everything", "scope"))
        before = of_row(entry)
        if before == refused:
            return
        entry.scope, entry.signatures = refused.scope, scopes.as_text(refused.signatures)
        store.note_refusals(session, [(entry.phone, entry.scope, entry.signatures)])
        facts = {
            "was": coverages.as_words(before),
            "scope": coverages.as_words(refused),
            "reason": reason.strip()[:LONGEST_NOTE],
        }
        log_action(session, actor, "edit", NOUN, phone.mask(entry.phone), now, **facts)


def of_row(entry: OptOut) -> Coverage:
    """Return what a number on the list refuses."""
    return Coverage(Scope(entry.scope), scopes.from_text(entry.signatures))


def remove(opt_out_id: int, reason: str, actor: Actor, now: dt.datetime) -> None:
    """Take a number off the list because the person agreed again; raises Refusal without a reason.

    The reason is kept in the audit log.
    """
    require(actor, Right.REPLIES_DECIDE)
    if not reason.strip():
        raise Refusal(Problem("consent_reason_missing", "reason"))
    with writing() as session:
        entry = session.get(OptOut, opt_out_id)
        if entry is None:
            raise NotFound(NOUN)
        log_action(session, actor, "delete", NOUN, phone.mask(entry.phone), now, reason=reason.strip()[:LONGEST_NOTE])
        store.note_removed(session, [entry.phone])
        session.delete(entry)


def get(opt_out_id: int) -> OptOut:
    entry = current_session().get(OptOut, opt_out_id)
    if entry is None:
        raise NotFound(NOUN)
    return entry


def find(raw: str) -> OptOut:
    """Return the entry of a number; raises NotFound, or Refusal if it is no number."""
    entries = store.opt_outs(current_session(), phone=_number(raw), limit=1)
    if not entries:
        raise NotFound(NOUN)
    return entries[0]


def find_page(
    *, digits: str = "", before: int | None = None, limit: int = 50, sees_full_numbers: bool = False
) -> list[OptOut]:
    """Return one page of the list, newest first. `digits` is a whole number or its last digits.

    Without the right to see whole numbers, more than the last four digits match nothing.
    """
    digits = digits.strip()
    number = phone.normalise(digits, settings().DEFAULT_REGION)
    ending = "" if number else "".join(filter(str.isdigit, digits))
    hidden = len(ending) > phone.SHOWN and not sees_full_numbers
    if hidden or (digits and not number and not ending):
        return []
    return store.opt_outs(current_session(), phone=number, ending=ending, before=before, limit=limit)


def take_file(content: bytes, actor: Actor, now: dt.datetime) -> OptOutFile:
    """Put the numbers of a CSV, text or XLSX file on the list; rows that cannot be read are reported.

    The number is in the column 手机号 or phone, else in the first; 备注 or note is stored with it, 范围 or scope and
    签名 or signature say what is refused: everything if both are empty. Raises Refusal if the file cannot be read.
    JSON is read as what Amazon's programs print of opted-out numbers; those refuse everything.
    """
    require(actor, Right.REPLIES_DECIDE)
    result = OptOutFile()
    # A statement holds each number once, so the second signature that a number refuses is in the next one.
    turns: list[dict[str, dict[str, object]]] = []
    taken: set[tuple[object, ...]] = set()
    with _rows_of_file(content, result) as numbers:
        for number, refused, remark in numbers:
            for row in _rows(number, OptOutSource.IMPORT, now, refused, remark):
                key = (number, row["scope"], row["signatures"])
                if key in taken:
                    result.known += 1
                    continue
                taken.add(key)
                turn = next((turn for turn in turns if number not in turn), None)
                if turn is None:
                    turns.append(turn := {})
                turn[number] = row
    if not turns and not result.refused:
        raise Refusal(Problem("file_only_headings", "file"))
    with writing() as session:
        result.added = sum(store.add_opt_outs(session, list(turn.values())) for turn in turns)
        result.known += sum(map(len, turns)) - result.added
        log_action(
            session, actor, "import", NOUN, "", now, added=result.added, known=result.known, refused=result.refused
        )
    return result


@contextmanager
def _rows_of_file(content: bytes, result: OptOutFile) -> Iterator[Iterator[tuple[str, Coverage, str]]]:
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}:
        limited.refuse_large(content)
        yield _printed_numbers(content, result)
        return
    with limited.small_table(content) as (path, form):
        yield _numbers(path, form, result)


def _printed_numbers(content: bytes, result: OptOutFile) -> Iterator[tuple[str, Coverage, str]]:
    """Yield what `_numbers` does from JSON, which may be several documents, one a line."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        documents = [orjson.loads(content)]
    except orjson.JSONDecodeError:
        try:
            documents = [orjson.loads(line) for line in content.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            raise Refusal(Problem("opt_outs_not_json", "file")) from None
    for place, (raw, remark) in enumerate(opted_out_numbers.read(documents), 1):
        number = phone.normalise(f"+{raw.strip().lstrip('+')}")
        if number:
            yield number, EVERYTHING, storable(remark, LONGEST_NOTE)
        else:
            _complain(result, place, Problem("number_unreadable" if raw.strip() else "number_missing", "phone"))


def _numbers(path: Path, form: Format, result: OptOutFile) -> Iterator[tuple[str, Coverage, str]]:
    """Yield (number, what it refuses, remark) of each good row and count the others as refused."""
    region, known = settings().DEFAULT_REGION, set(all_signatures(current_session()))
    headings = reading.parted(reading.sample(path, form), form)[0]
    names = ["".join(trimmed(heading).split()).casefold() for heading in headings]
    place = coverages.place(names, PHONE_HEADERS)
    places = [
        coverages.place(names, words) for words in (coverages.SCOPE_HEADERS, coverages.SIGNATURE_HEADERS, NOTE_HEADERS)
    ]
    for row_number, cells in reading.numbered(path, form):
        raw = coverages.cell(cells, max(place, 0))
        number = "" if isinstance(cells, BrokenRow) else phone.normalise(whole_number(raw), region)
        if not number:
            _complain(result, row_number, _problem(row_number, cells, max(place, 0), raw))
            continue
        scope, signature, remark = [coverages.cell(cells, at) for at in places]
        refused = coverages.read(scope, signature, known)
        if isinstance(refused, Problem):
            _complain(result, row_number, refused)
        else:
            yield number, refused, storable(remark, LONGEST_NOTE)


def _problem(row_number: int, cells: Row, place: int, raw: str) -> Problem:
    if isinstance(cells, BrokenRow):
        return Problem("record_bad_quotes", "phone")
    if raw == FORMULA:
        return Problem("sheet_formula", "phone", {"cell": f"{get_column_letter(place + 1)}{row_number}"})
    return Problem("number_unreadable" if raw else "number_missing", "phone")


def _complain(result: OptOutFile, row_number: int, problem: Problem) -> None:
    result.refused += 1
    if len(result.complaints) < MOST_COMPLAINTS:
        result.complaints.append((row_number, problem))


def _number(raw: str) -> str:
    number = phone.normalise(raw, settings().DEFAULT_REGION)
    if not number:
        raise Refusal(Problem("number_unreadable" if raw.strip() else "number_missing", "phone"))
    return number


def _rows(
    number: str,
    source: OptOutSource,
    now: dt.datetime,
    refused: Coverage,
    remark: str = "",
    channel_id: int | None = None,
    campaign_id: int | None = None,
) -> list[dict[str, object]]:
    """Return the rows of a refusal as `store/contacts/replies.py` `add_opt_outs` takes them."""
    counted = refused.refused_by(number)
    alone: list[tuple[str, ...]] = [(name,) for name in counted.signatures]
    return [
        {
            "phone": number,
            "source": source,
            "note": remark,
            "channel_id": channel_id,
            "campaign_id": campaign_id,
            "at": now,
            "scope": counted.scope,
            "signatures": scopes.as_text(names),
            "confirmation": Confirmation.NONE,
        }
        for names in alone or [()]
    ]
