"""Consents: what persons have agreed to, recorded by people, files and a declared property; kept as history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from smsapp.domain import phone
from smsapp.domain import scope as scopes
from smsapp.domain.cells import BrokenRow, Row, whole_number
from smsapp.domain.consent import LONGEST_WORDS, NO, YES, ConsentProperty, ConsentSource
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.invisible import trimmed
from smsapp.domain.rights import Right
from smsapp.domain.scope import EVERYTHING, Coverage
from smsapp.domain.storable import storable
from smsapp.services.contacts import coverages
from smsapp.services.contacts.opt_outs import MOST_COMPLAINTS, PHONE_HEADERS
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.tables import limited, reading
from smsapp.services.tables.formats import Format
from smsapp.store import users
from smsapp.store.contacts import consents as store
from smsapp.store.contacts import contacts, property_catalogue
from smsapp.store.contacts.consents import Consent, NewConsent
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

ID_HEADERS = frozenset({"用户id", "会员号", "userid", "xwho"})
GIVEN_HEADERS = frozenset({"同意", "是否同意", "consent", "given"})
WORDS_HEADERS = frozenset({"同意内容", "内容", "words", "text"})
TIME_HEADERS = frozenset({"时间", "同意时间", "日期", "time", "at", "date"})
TIME_UNREADABLE = Problem("consent_time_unreadable", "day")
SHOWN = 20
"""The newest records on the page of one contact."""


@dataclass(frozen=True)
class Statement:
    """What a person has said: agreed to texts, or withdrawn that; `words` are what was agreed to, or how."""

    given: bool
    words: str
    at: dt.datetime
    coverage: Coverage = EVERYTHING


@dataclass
class ConsentFile:
    """The result of an import of consents."""

    added: int = 0
    refused: int = 0
    complaints: list[tuple[int, Problem]] = field(default_factory=list)
    """(row number, problem), at most MOST_COMPLAINTS of them."""


def record_of_contact(contact_id: int, statement: Statement, actor: Actor, now: dt.datetime, number: str = "") -> None:
    """Record what a contact said: for whatever number it has, or for this one of its numbers (E.164).

    Raises Refusal without words, for a time to come, and for a signature that is not ours.
    """
    require(actor, Right.REPLIES_DECIDE)
    contact = contacts.find(current_session(), contact_id)
    if contact is None or (number and number not in contact.phones.values()):
        raise NotFound("contact")
    if number:
        _record(statement, None, number, actor, now)
    else:
        _record(statement, contact_id, "", actor, now)


def record_of_number(raw: str, statement: Statement, actor: Actor, now: dt.datetime) -> None:
    """Record what the owner of a number said, whichever contacts have it; raises Refusal also if it is no number."""
    require(actor, Right.REPLIES_DECIDE)
    _record(statement, None, read_number(raw), actor, now)


def read_number(raw: str) -> str:
    """Return a number as E.164; raises Refusal if it is none."""
    number = phone.normalise(raw, settings().DEFAULT_REGION)
    if not number:
        raise Refusal(Problem("number_unreadable" if raw.strip() else "number_missing", "phone"))
    return number


def _record(statement: Statement, contact_id: int | None, number: str, actor: Actor, now: dt.datetime) -> None:
    problems = []
    if not statement.words.strip():
        problems.append(Problem("consent_words_missing", "words"))
    if statement.at > now:
        problems.append(Problem("consent_in_future", "day"))
    if problems:
        raise Refusal(*problems)
    statement = replace(statement, words=storable(statement.words.strip(), LONGEST_WORDS))
    with writing() as session:
        coverages.check(session, statement.coverage)
        records = _records(statement, contact_id, number, ConsentSource.PERSON, actor)
        store.add(session, records, now)
        action = "consent" if statement.given else "withdraw_consent"
        noun_id = contact_id or phone.mask(number)
        log_action(session, actor, action, "contact", noun_id, now, scope=coverages.as_words(statement.coverage))


def _records(
    statement: Statement, contact_id: int | None, number: str, source: ConsentSource, actor: Actor
) -> list[NewConsent]:
    record = NewConsent(
        statement.given,
        statement.coverage.scope,
        source,
        statement.words,
        actor.name[:120],
        statement.at,
        contact_id=contact_id,
        phone=number,
    )
    names = statement.coverage.signatures
    return [replace(record, signatures=scopes.as_text([name])) for name in names] or [record]


def of_contact(contact: Contact) -> list[Consent]:
    """Return the newest records of a contact and of its numbers."""
    numbers = {number for number in contact.phones.values() if number}
    return store.history(current_session(), contact.id, numbers, SHOWN)


def of_number(raw: str) -> list[Consent]:
    """Return the newest records of a number; raises Refusal if it is none."""
    return store.history(current_session(), None, [read_number(raw)], SHOWN)


# The declared property


def declared() -> ConsentProperty | None:
    """Return the property whose values are consents; None if none is declared."""
    return store.declared(current_session())


def choices() -> list[str]:
    """Return the properties that can be declared: those that are yes or no."""
    return sorted(
        name for name, kind in property_catalogue.property_types(current_session()).items() if kind is Type.BOOL
    )


def declare(declaration: ConsentProperty | None, actor: Actor, now: dt.datetime) -> None:
    """Take the values of this property as consents from now on; None: of no property.

    What was recorded stays. Raises Refusal for a property that is not yes or no, and without words.
    """
    require(actor, Right.SENDING_WRITE)
    problems = []
    if declaration and declaration.name not in choices():
        problems.append(Problem("consent_property_unfit", "property"))
    if declaration and not declaration.words.strip():
        problems.append(Problem("consent_words_missing", "words"))
    if problems:
        raise Refusal(*problems)
    with writing() as session:
        if declaration:
            coverages.check(session, declaration.coverage)
        users.save_preference(session, store.PREFERENCE, declaration.as_json() if declaration else {})
        facts = {"name": declaration.name, "scope": coverages.as_words(declaration.coverage)} if declaration else {}
        log_action(session, actor, "change", "preference", store.PREFERENCE, now, **facts)


# Files


def take_file(content: bytes, words: str, actor: Actor, now: dt.datetime) -> ConsentFile:
    """Record the consents of a CSV, text or XLSX file; rows that cannot be read are reported.

    Columns by their headings: 用户ID or xwho (of a known contact), else 手机号 or phone; 同意 or consent (yes or no;
    yes if there is none); 同意内容 or words (else `words`); 时间 or time (else now); 范围 or scope; 签名 or signature.
    Raises Refusal if the file cannot be read at all.
    """
    require(actor, Right.REPLIES_DECIDE)
    result = ConsentFile()
    records: list[NewConsent] = []
    with limited.small_table(content) as (path, form):
        rows = list(_rows(path, form, words.strip(), now, result))
    known = contacts.ids_of(current_session(), {xwho for _row, xwho, _number, _statement in rows if xwho})
    for row_number, xwho, number, statement in rows:
        if xwho and xwho not in known:
            _complain(result, row_number, Problem("consent_contact_unknown", "file"))
        else:
            records += _records(statement, known.get(xwho), "" if xwho else number, ConsentSource.IMPORT, actor)
            result.added += 1
    if not records and not result.refused:
        raise Refusal(Problem("file_only_headings", "file"))
    with writing() as session:
        store.add(session, records, now)
        log_action(session, actor, "import", "consent", "", now, added=result.added, refused=result.refused)
    return result


def _rows(
    path: Path, form: Format, words: str, now: dt.datetime, result: ConsentFile
) -> Iterator[tuple[int, str, str, Statement]]:
    """Yield (row number, user id, number, statement) of each good row and count the others as refused."""
    signatures = set(coverages.signatures())
    headings = reading.parted(reading.sample(path, form), form)[0]
    names = ["".join(trimmed(heading).split()).casefold() for heading in headings]
    columns = (ID_HEADERS, PHONE_HEADERS, GIVEN_HEADERS, WORDS_HEADERS, TIME_HEADERS)
    places = [coverages.place(names, column) for column in columns]
    at_scope = coverages.place(names, coverages.SCOPE_HEADERS)
    at_signature = coverages.place(names, coverages.SIGNATURE_HEADERS)
    if places[0] < 0 and places[1] < 0:
        raise Refusal(Problem("consent_column_missing", "file"))
    for row_number, cells in reading.numbered(path, form):
        xwho, raw, given, own_words, at = [coverages.cell(cells, place) for place in places]
        number = phone.normalise(whole_number(raw), settings().DEFAULT_REGION)
        is_said = places[2] >= 0
        problem = _problem(cells, xwho, number, given if is_said else "yes", own_words or words, at, now)
        coverage = problem or coverages.read(
            coverages.cell(cells, at_scope), coverages.cell(cells, at_signature), signatures
        )
        if isinstance(coverage, Problem):
            _complain(result, row_number, coverage)
        else:
            agreed_to = storable(own_words or words, LONGEST_WORDS)
            is_given = not is_said or given.casefold() in YES
            yield row_number, xwho, number, Statement(is_given, agreed_to, read_time(at) or now, coverage)


def _problem(cells: Row, xwho: str, number: str, given: str, words: str, at: str, now: dt.datetime) -> Problem | None:
    """Return what is wrong with a row; None if nothing is."""
    moment = read_time(at) if at else now
    checks = (
        (isinstance(cells, BrokenRow), "record_bad_quotes"),
        (not xwho and not number, "number_unreadable"),
        (given.casefold() not in YES | NO, "consent_unreadable"),
        (not words, "consent_words_missing"),
        (moment is None, "consent_time_unreadable"),
        (moment is not None and moment > now, "consent_in_future"),
    )
    return next((Problem(code, "file") for is_wrong, code in checks if is_wrong), None)


def read_time(text: str) -> dt.datetime | None:
    """Return a date or a time, as 2026-05-03 or 2026-05-03 14:30, in the product's zone; None if it is none."""
    try:
        moment = dt.datetime.fromisoformat(text.strip().replace("/", "-"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(settings().DEFAULT_ZONE))


def _complain(result: ConsentFile, row_number: int, problem: Problem) -> None:
    result.refused += 1
    if len(result.complaints) < MOST_COMPLAINTS:
        result.complaints.append((row_number, problem))


def note_values(xwhos: Collection[str], now: dt.datetime, *names: str) -> None:
    """Record what the declared property says of these contacts, in the caller's transaction, if it is among `names`."""
    declaration = declared()
    if declaration is not None and declaration.name in names:
        store.note_values(current_session(), declaration, xwhos, now)
