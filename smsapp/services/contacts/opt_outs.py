"""The opt-out list: how numbers are added to it, and how a person removes one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openpyxl.utils import get_column_letter
from sqlalchemy.orm import Session

from smsapp.domain import phone
from smsapp.domain.cells import FORMULA, BrokenRow, Row, whole_number
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.invisible import trimmed
from smsapp.domain.optout import Confirmation, OptOutSource
from smsapp.domain.storable import storable
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.tables import limited, reading
from smsapp.services.tables.formats import Format
from smsapp.store.contacts import replies as store
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

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
    remark: str = "",
    channel_id: int | None = None,
    campaign_id: int | None = None,
    confirm: bool = False,
) -> bool:
    """Put a number (E.164) on the list, in the caller's transaction; False if it is there already.

    `confirm`: a new entry's person gets a text that confirms it, once.
    """
    row = _row(number, source, now, remark, channel_id, campaign_id)
    row["confirmation"] = Confirmation.DUE if confirm else Confirmation.NONE
    return store.add_opt_outs(session, [row]) == 1


def record_told(session: Session, keys: Sequence[tuple[int, int]], now: dt.datetime) -> int:
    """Put numbers on the list that the provider reports as opted out, in the caller's transaction; return how many.

    `keys` are (run, seq) of the messages that it did not deliver for that reason.
    """
    rows = {
        message.phone: _row(message.phone, OptOutSource.PROVIDER, now, "", message.channel_id, message.campaign_id)
        for message in store.recipients(session, keys)
    }
    # In the order of numbers, so that two workers do not deadlock.
    return store.add_opt_outs(session, [rows[number] for number in sorted(rows)])


def add(raw: str, remark: str, actor: Actor, now: dt.datetime) -> bool:
    """Put a number on the list for a person; False if it is there already. Raises Refusal if it is no number."""
    number = _number(raw)
    with writing() as session:
        is_new = record(session, number, OptOutSource.PERSON, now, remark=remark.strip()[:LONGEST_NOTE])
        if is_new:
            log_action(session, actor, "create", NOUN, phone.mask(number), now)
    return is_new


def remove(opt_out_id: int, reason: str, actor: Actor, now: dt.datetime) -> None:
    """Take a number off the list because the person agreed again; raises Refusal without a reason.

    The reason is kept in the audit log.
    """
    if not reason.strip():
        raise Refusal(Problem("consent_reason_missing", "reason"))
    with writing() as session:
        entry = session.get(OptOut, opt_out_id)
        if entry is None:
            raise NotFound(NOUN)
        log_action(session, actor, "delete", NOUN, phone.mask(entry.phone), now, reason=reason.strip()[:LONGEST_NOTE])
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
    """Put the numbers of a CSV, text or XLSX file on the list; rows without a readable number are reported.

    The number is in the column 手机号 or phone, else in the first; 备注 or note is stored with it. Raises Refusal if
    the file cannot be read at all.
    """
    result = OptOutFile()
    rows: dict[str, dict[str, object]] = {}
    with limited.small_table(content) as (path, form):
        for number, remark in _numbers(path, form, result):
            if number in rows:
                result.known += 1
            else:
                rows[number] = _row(number, OptOutSource.IMPORT, now, remark)
    if not rows and not result.refused:
        raise Refusal(Problem("file_only_headings", "file"))
    with writing() as session:
        result.added = store.add_opt_outs(session, list(rows.values()))
        result.known += len(rows) - result.added
        log_action(
            session, actor, "import", NOUN, "", now, added=result.added, known=result.known, refused=result.refused
        )
    return result


def _numbers(path: Path, form: Format, result: OptOutFile) -> Iterator[tuple[str, str]]:
    """Yield (number, remark) of each good row and count the others as refused."""
    region = settings().DEFAULT_REGION
    headings = reading.parted(reading.sample(path, form), form)[0]
    names = ["".join(trimmed(heading).split()).casefold() for heading in headings]
    place = next((index for index, name in enumerate(names) if name in PHONE_HEADERS), 0)
    remark_place = next((index for index, name in enumerate(names) if name in NOTE_HEADERS), -1)
    for row_number, cells in reading.numbered(path, form):
        raw = trimmed(cells[place]) if place < len(cells) else ""
        number = "" if isinstance(cells, BrokenRow) else phone.normalise(whole_number(raw), region)
        if number:
            remark = trimmed(cells[remark_place]) if 0 <= remark_place < len(cells) else ""
            yield number, storable(remark, LONGEST_NOTE)
        else:
            _complain(result, row_number, _problem(row_number, cells, place, raw))


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


def _row(
    number: str,
    source: OptOutSource,
    now: dt.datetime,
    remark: str = "",
    channel_id: int | None = None,
    campaign_id: int | None = None,
) -> dict[str, object]:
    return {
        "phone": number,
        "source": source,
        "note": remark,
        "channel_id": channel_id,
        "campaign_id": campaign_id,
        "at": now,
        "confirmation": Confirmation.NONE,
    }
