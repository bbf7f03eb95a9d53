"""Segments: created, changed, counted and sampled; a static one is computed when a person asks for it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import current_app
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smsapp.domain import segment as rules
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.phone import mask_inside
from smsapp.domain.rights import Right
from smsapp.domain.segment import Group, Kind
from smsapp.domain.segment_reader import from_json
from smsapp.domain.tags import Item
from smsapp.services.contacts import audience
from smsapp.services.contacts.audience import AudienceCounts
from smsapp.services.platform import audit_log, tags
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store import tags as tag_rows
from smsapp.store.campaigns import archive
from smsapp.store.channels import channels as channel_rows
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import contacts, property_catalogue, property_values, segment_rules
from smsapp.store.contacts import segments as rows
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.contacts import ContactIds
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.privacy import erased_numbers
from smsapp.store.users import User

HOLDERS, HOLDERS_SECONDS = "smsapp.segments.holders", 60.0
"""Seconds for which it is cached whether a property holds numbers: the query reads all its values."""
MAX_NAME = 120
SAMPLE = 50


@dataclass(frozen=True)
class KnownProperty:
    """A property of the catalogue; `label` may be empty."""

    name: str
    type: Type
    label: str


@dataclass(frozen=True)
class Member:
    """One contact of a sample; `values` are raw, in the order of the requested columns."""

    contact_id: int
    xwho: str
    values: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True)
class Reach:
    """How many of a segment's members channels with the same rules for numbers can reach."""

    phone_property: str
    channels: tuple[str, ...]
    counts: AudienceCounts


def get(segment_id: int) -> Segment:
    """Return the segment; raises NotFound."""
    segment = current_session().get(Segment, segment_id)
    if segment is None:
        raise NotFound("segment")
    return segment


def everything() -> list[Segment]:
    """Return all segments in the order of their names, also archived ones."""
    return rows.all_segments(current_session())


def listing(search: str = "", tag: str = "", *, archived: bool = False) -> list[rows.ListedSegment]:
    """Return all segments, newest first, with their creators and the campaigns that use them; archived ones or the
    others."""
    wanted = tags.filter_by(Item.SEGMENT, tag)
    return rows.listed(current_session(), search, wanted, archived=archived)


def uses(segment_id: int) -> list[rows.Use]:
    """Return the newest campaigns that were or will be sent to this segment."""
    return rows.uses(current_session(), segment_id)


def creator(segment: Segment) -> str:
    """Return the name of the person who made the segment, or ""."""
    person = current_session().get(User, segment.created_by) if segment.created_by else None
    return person.name if person else ""


def named(name: str) -> Segment:
    """Return the segment of this name; raises NotFound."""
    segment = rows.by_name(current_session(), name.strip())
    if segment is None:
        raise NotFound("segment")
    return segment


def catalogue() -> list[KnownProperty]:
    """Return the properties that a condition may use, in the order of names."""
    labels = {row.name: row.label for row in property_catalogue.properties(current_session())}
    return [
        KnownProperty(name, kind, labels.get(name, ""))
        for name, kind in sorted(property_catalogue.property_types(current_session()).items())
    ]


# Reading


def count(rule: Group, now: dt.datetime) -> int:
    """Return how many contacts match the rule."""
    return rows.count(current_session(), segment_rules.matching(rule, now))


def size(segment: Segment, now: dt.datetime) -> int:
    """Return how many members the segment has now."""
    return rows.count(current_session(), rows.members(segment, now))


def sample(contact_ids: ContactIds, columns: Sequence[str], limit: int = SAMPLE) -> list[Member]:
    """Return the first members in the order of ids, with the values of these properties."""
    people = contacts.first_of(current_session(), contact_ids, limit)
    return [Member(id_, xwho, tuple(properties.get(name) for name in columns)) for id_, xwho, properties in people]


def members(segment: Segment, now: dt.datetime) -> ContactIds:
    return rows.members(segment, now)


def matching(rule: Group, now: dt.datetime) -> ContactIds:
    return segment_rules.matching(rule, now)


def reach(contact_ids: ContactIds) -> list[Reach]:
    """Count these contacts by what would become of them, once per group of active channels with the same rules."""
    groups: dict[tuple[object, ...], list[ChannelRow]] = {}
    for channel in channel_rows.active(current_session()):
        kinds = (tuple(channel.countries), tuple(channel.number_classes))
        groups.setdefault((channel.phone_property, channel.trusted_numbers, kinds), []).append(channel)
    return [
        Reach(
            channels[0].phone_property,
            tuple(channel.name for channel in channels),
            audience.tally(
                Audience(
                    members=contact_ids,
                    phone_property=channels[0].phone_property,
                    trusted_numbers=channels[0].trusted_numbers,
                    countries=channels[0].countries,
                    number_classes=channels[0].number_classes,
                    erased_key=erased_numbers.key(current_session()),
                )
            ),
        )
        for channels in groups.values()
    ]


def phone_properties() -> set[str]:
    """Return the properties whose values are masked for most readers."""
    return property_catalogue.phone_properties(current_session())


def holds_numbers(name: str) -> bool:
    """Return whether values of this property look like phone numbers, whatever it is meant for; cached."""
    cache: dict[str, tuple[bool, float]] = current_app.extensions.setdefault(HOLDERS, {})
    holds, until = cache.get(name, (False, 0.0))
    if time.monotonic() > until:
        kind = property_catalogue.property_types(current_session()).get(name)
        holds = kind is not None and property_values.holds_numbers(current_session(), name, kind)
        cache[name] = (holds, time.monotonic() + HOLDERS_SECONDS)
    return holds


def suggestions(name: str, *, sees_full_numbers: bool = False) -> list[str]:
    """Return frequent values of this property, from a sample of contacts, the most frequent first; none of a phone.

    Without the right to see whole numbers, values that contain one are left out.
    """
    kind = property_catalogue.property_types(current_session()).get(name)
    if kind not in (Type.STRING, Type.LIST) or name in phone_properties():
        return []
    values = property_values.frequent_values(current_session(), name, kind)
    return [value for value in values if sees_full_numbers or mask_inside(value) == value]


def ledger_problems(rule: Group, now: dt.datetime) -> list[Problem]:
    """Return what keeps conditions on the ledger from being answered: messages that have been removed."""
    try:
        segment_rules.matching(rule, now)
    except Refusal as refusal:
        return list(refusal.problems)
    return []


# Changing


def create(name: str, kind: Kind, rule: Group, *, by: Actor, now: dt.datetime) -> Segment:
    """Store a new segment with a rule and compute it; raises Refusal."""
    require(by, Right.SEGMENTS_WRITE)
    return _keep(None, name, kind, rule, by, now)


def edit(segment_id: int, name: str, kind: Kind, rule: Group, *, by: Actor, now: dt.datetime) -> Segment:
    """Change a segment and compute it anew; raises Refusal. An uploaded one becomes one with a rule, one that was saved
    from a report stays as it is."""
    require(by, Right.SEGMENTS_WRITE)
    if get(segment_id).source:
        raise Refusal(Problem("segment_saved_from_report", "name"))
    return _keep(segment_id, name, kind, rule, by, now)


def _keep(segment_id: int | None, name: str, kind: Kind, rule: Group, by: Actor, now: dt.datetime) -> Segment:
    refuse_unfit(rule)
    with writing() as session:
        segment = prepared(session, segment_id, name, kind, rule, by, now)
        _compute(session, segment, now)
        action = "create" if segment_id is None else "edit"
        audit_log.log_action(session, by, action, "segment", segment.id, now, name=segment.name, size=segment.size)
    return segment


def refuse_unfit(rule: Group) -> None:
    """Raise Refusal for a rule with too much in it, or with properties that the catalogue does not have like this."""
    problems = rules.problems(rule, property_catalogue.property_types(current_session()))
    if problems:
        raise Refusal(*problems)


def prepared(
    session: Session, segment_id: int | None, name: str, kind: Kind, rule: Group, by: Actor, now: dt.datetime
) -> Segment:
    """Return the new or changed segment within this transaction; its members are not computed yet."""
    name = free_name(session, name, segment_id)
    if segment_id is None:
        segment = Segment(created_by=by.user_id, created_at=now)
        session.add(segment)
    else:
        segment = _locked(session, segment_id)
    segment.name, segment.kind, segment.rule, segment.updated_at = name, kind, rule.as_json(), now
    segment.source = None
    _flush(session)
    return segment


def save_as(segment_id: int, name: str, *, by: Actor, now: dt.datetime) -> Segment:
    """Store a copy of the segment under another name; of an uploaded or static one with its present members."""
    require(by, Right.SEGMENTS_WRITE)
    with writing() as session:
        segment = _locked(session, segment_id)
        copy = Segment(
            name=free_name(session, name),
            kind=segment.kind,
            rule=segment.rule,
            source=segment.source,
            created_by=by.user_id,
            created_at=now,
            updated_at=now,
            computed_at=segment.computed_at,
            size=segment.size,
        )
        session.add(copy)
        _flush(session)
        rows.copy_members(session, segment.id, copy.id)
        tag_rows.copy(session, Item.SEGMENT, segment.id, copy.id)
        audit_log.log_action(session, by, "save_as", "segment", copy.id, now, name=copy.name, source=segment.id)
    return copy


def recompute(segment_id: int, *, by: Actor, now: dt.datetime) -> Segment:
    """Compute a static segment's members anew, count a dynamic one's; raises Refusal for one whose members were
    uploaded or saved from a report."""
    require(by, Right.SEGMENTS_WRITE)
    with writing() as session:
        segment = _locked(session, segment_id)
        if segment.kind == Kind.UPLOADED:
            raise Refusal(Problem("segment_upload_again", "segment"))
        if segment.source:
            raise Refusal(Problem("segment_saved_from_report", "segment"))
        _compute(session, segment, now)
        audit_log.log_action(session, by, "recompute", "segment", segment.id, now, size=segment.size)
    return segment


def delete(segment_id: int, *, by: Actor, now: dt.datetime) -> None:
    """Remove the segment; raises Refusal with the names of the campaigns that still need it."""
    require(by, Right.SEGMENTS_WRITE)
    with writing() as session:
        segment = _locked(session, segment_id)
        names = rows.needed_by(session, segment.id)
        if names:
            raise Refusal(Problem("segment_in_use", "segment", {"names": names}))
        if archive.was_sent(session, Item.SEGMENT, segment.id):
            raise Refusal(Problem("segment_was_sent", "segment"))
        audit_log.log_action(session, by, "delete", "segment", segment.id, now, name=segment.name)
        rows.remove(session, segment.id)


def _compute(session: Session, segment: Segment, now: dt.datetime) -> None:
    if segment.kind == Kind.STATIC:
        segment.size = rows.fill(session, segment.id, segment_rules.matching(from_json(segment.rule), now))
    else:
        rows.empty(session, segment.id)
        segment.size = rows.count(session, rows.members(segment, now))
    segment.computed_at = now


def _locked(session: Session, segment_id: int) -> Segment:
    segment = lock_row(session, Segment, segment_id)
    if segment is None:
        raise NotFound("segment")
    return segment


def free_name(session: Session, name: str, own_id: int | None = None) -> str:
    """Return the name without spaces around it; raise Refusal if no segment can have it."""
    name = name.strip()
    if not name:
        raise Refusal(Problem("segment_name_missing", "name"))
    if len(name) > MAX_NAME:
        raise Refusal(Problem("segment_name_too_long", "name", {"limit": MAX_NAME}))
    if rows.is_taken(session, name, own_id):
        raise Refusal(Problem("segment_name_taken", "name", {"name": name}))
    return name


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody took the name between the check and the insert.
        raise Refusal(Problem("segment_name_taken", "name")) from error
