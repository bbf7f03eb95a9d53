"""Exports all that is stored about one person, section by section, so that memory does not grow with the messages."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smsapp.domain.erasure import Subject
from smsapp.domain.errors import Refusal
from smsapp.domain.message import Status
from smsapp.domain.rights import Right
from smsapp.services.contacts import audience, segments, value_sources
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import erasing
from smsapp.store.db import current_session, writing
from smsapp.store.privacy import person_records
from smsapp.store.runs import proofs

Line = Mapping[str, Any]
"""Name -> text, number, moment, list or None: one row as it is exported."""


@dataclass(frozen=True)
class Section:
    """What one table holds of the person."""

    name: str
    lines: Callable[[Subject, dt.datetime], Iterable[Line]]


def export(text: str, by: Actor, now: dt.datetime) -> Iterator[tuple[str, Iterator[Line]]]:
    """Add a line to the audit log and return (section, its lines), read one after the other.

    `text` is a user id or a number; raises Refusal if it names nobody.
    """
    require(by, Right.PRIVACY_WRITE)
    subject = erasing.named([text])
    with writing() as session:
        people = sorted(subject.contact_ids)
        audit_log.log_action(session, by, "export_person", "contact", people[0] if people else "", now)
    return ((section.name, iter(section.lines(subject, now))) for section in SECTIONS)


def as_json(sections: Iterable[tuple[str, Iterator[Line]]], now: dt.datetime) -> Iterator[str]:
    """Yield the export as the parts of one JSON object: {"exported_at": .., section: [lines]}."""
    yield f'{{"exported_at": {json.dumps(now.isoformat())}'
    for name, lines in sections:
        yield f",\n{json.dumps(name)}: ["
        for place, line in enumerate(lines):
            yield ("," if place else "") + "\n  " + json.dumps(line, ensure_ascii=False, default=_written)
        yield "]"
    yield "}\n"


def _written(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not exported")


def _profiles(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for contact in person_records.contacts(current_session(), subject):
        sources = value_sources.described(contact.sources)
        yield {
            "user_id": contact.xwho,
            "known_since": contact.created_at,
            "changed_at": contact.updated_at,
            "numbers": sorted({number for number in contact.phones.values() if number}),
        }
        for name, value in sorted(contact.properties.items()):
            source = sources.get(name)
            where = {} if source is None else {"source": source.origin, "from": source.name, "at": source.at}
            yield {"user_id": contact.xwho, "property": name, "value": value, **where}


def _aliases(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for alias in person_records.aliases(current_session(), subject.user_ids):
        yield {"anonymous_id": alias.anonymous_id, "user_id": alias.xwho, "since": alias.created_at}


def _segments(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for segment in segments.everything():
        try:
            members = segments.members(segment, now)
        except Refusal:
            continue
        if person_records.is_among(current_session(), members, subject.contact_ids):
            yield {"segment": segment.name}


def _proposals(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for proposal in person_records.proposals(current_session(), subject.contact_ids):
        yield {"property": proposal.name, "old": proposal.old, "new": proposal.new, "at": proposal.at}


def _messages(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for message, run, campaign in person_records.messages(current_session(), subject.numbers):
        values = audience.filled(run.snapshot.variables, run.snapshot.mapping, message.params)
        yield {
            "campaign": campaign,
            "run": run.id,
            "planned_for": run.slot,
            "number": message.phone,
            "text": run.snapshot.template.renderer()(values),
            "signature": run.snapshot.signature,
            "state": Status(message.status).name.lower(),
            "reason": message.reason,
            "provider_id": message.provider_ref,
            "answered_at": _moment(message.answered_at),
            "receipt_at": _moment(message.receipt_at),
        }


def _moment(seconds: int | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)


def _exclusions(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for exclusion, run, campaign in person_records.exclusions(current_session(), subject.contact_ids):
        yield {"campaign": campaign, "run": run.id, "planned_for": run.slot, "reason": exclusion.reason}


def _replies(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for reply in person_records.replies(current_session(), subject.numbers):
        yield {"number": reply.phone, "text": reply.text, "at": reply.received_at, "refuses": reply.opt_out}


def _opt_outs(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for row in person_records.opt_outs(current_session(), subject.numbers):
        yield {
            "number": row.phone,
            "source": row.source,
            "scope": row.scope,
            "signatures": row.signatures,
            "note": row.note,
            "at": row.at,
        }


def _consents(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for row in person_records.consents(current_session(), subject):
        yield {
            "number": row.phone,
            "given": row.given,
            "scope": row.scope,
            "signatures": row.signatures,
            "source": row.source,
            "words": row.words,
            "from": row.by,
            "at": row.at,
        }


def _test_group(subject: Subject, now: dt.datetime) -> Iterator[Line]:
    for row in proofs.colleagues_with(current_session(), subject.numbers):
        yield {"name": row.name, "number": row.phone, "since": row.created_at}
    for message, proof in proofs.to_numbers(current_session(), subject.numbers):
        yield {
            "number": message.phone,
            "at": proof.made_at,
            "state": Status(message.status).name.lower(),
            "reason": message.reason,
            "provider_id": message.provider_ref,
            "receipt_at": message.receipt_at,
        }


SECTIONS = (
    Section("profile", _profiles),
    Section("earlier_ids", _aliases),
    Section("segments", _segments),
    Section("proposals", _proposals),
    Section("messages", _messages),
    Section("exclusions", _exclusions),
    Section("replies", _replies),
    Section("opt_outs", _opt_outs),
    Section("consents", _consents),
    Section("test_group", _test_group),
)
"""Everything that is stored about a person, in this order."""
