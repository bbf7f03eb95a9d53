"""Segments and, for static and uploaded ones, their members; the rule tree as SQL on both databases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain import segment_reader
from smsapp.domain.audience_rule import AudienceRule, NamedAudience
from smsapp.domain.segment import Kind, Match
from smsapp.domain.tags import Item
from smsapp.store.campaigns.audiences import names_segment, naming
from smsapp.store.campaigns.campaigns import NOT_OVER, Campaign
from smsapp.store.contacts.contacts import Contact, ContactIds
from smsapp.store.contacts.segment_rules import belongs, is_plain, matching
from smsapp.store.db import Base, BigId, changed
from smsapp.store.tags import TagFilter, having
from smsapp.store.users import User


class Segment(Base):
    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(120), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(10))
    """dynamic, static, uploaded"""
    rule: Mapped[dict[str, Any]] = mapped_column(default=dict)
    source: Mapped[dict[str, Any] | None]
    """domain/segment_source.py SegmentSource.as_json() of a static one that was saved from a report; else NULL."""
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    computed_at: Mapped[dt.datetime | None]
    size: Mapped[int | None]
    """Members when last computed; None = never."""
    archived_at: Mapped[dt.datetime | None]
    """An archived segment is in no list and no choice unless asked for; what was sent to it stays as it is."""


class SegmentMember(Base):
    __tablename__ = "segment_member"
    __table_args__ = {"sqlite_with_rowid": False}

    segment_id: Mapped[int] = mapped_column(sa.ForeignKey("segment.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True)


# Built once: pages that name a campaign's segments ask them, and to build them takes longer than to ask them.
_IS_ONE: sa.ColumnElement[bool] = Segment.id.in_(sa.bindparam("ids", expanding=True))
_NAMES = sa.select(Segment.id, Segment.name).where(_IS_ONE)
_ARCHIVED_NAMES = sa.select(Segment.name).where(_IS_ONE, Segment.archived_at.is_not(None)).order_by(Segment.name)
_BY_IDS = sa.select(Segment).where(_IS_ONE)


def names(session: Session, segment_ids: Iterable[int]) -> dict[int, str]:
    """Return {segment id: name}; segments that are gone are absent."""
    rows = session.execute(_NAMES, {"ids": list({*segment_ids})})
    return {id_: name for id_, name in rows}  # noqa: C416 a Row is no pair to mypy


def only(contact_id: int) -> ContactIds:
    """Return the query of this one contact."""
    return sa.select(Contact.id).where(Contact.id == contact_id)


def named(rule: AudienceRule, name_by_id: Mapping[int, str]) -> NamedAudience:
    """Return the rule by the names of its segments; those that are gone are left out."""
    include, exclude = (
        tuple(name_by_id[id_] for id_ in ids if id_ in name_by_id) for ids in (rule.include, rule.exclude)
    )
    return NamedAudience(rule.match, include, exclude)


def members(segment: Segment, now: dt.datetime) -> ContactIds:
    """Return the select of the segment's contact ids: by the rule as of `now` if dynamic, else the stored members.

    Raises Refusal if the stored rule cannot be read.
    """
    if segment.kind == Kind.DYNAMIC:
        return matching(segment_reader.from_json(segment.rule), now)
    return sa.select(SegmentMember.contact_id).where(SegmentMember.segment_id == segment.id)


def together(chosen: Sequence[Segment], match: Match, now: dt.datetime) -> ContactIds:
    """Return the select of the ids, without doubles, of members of any or of all of these segments."""
    if len(chosen) == 1:
        return members(chosen[0], now)
    stored = [segment.id for segment in chosen if segment.kind != Kind.DYNAMIC]
    parts = [members(segment, now) for segment in chosen if segment.kind == Kind.DYNAMIC]
    query = sa.select(Contact.id)
    if match is Match.ALL:
        conditions = [SegmentMember.segment_id == id_ for id_ in stored]
        parts += [sa.select(SegmentMember.contact_id).where(condition) for condition in conditions]
        return query.where(*(belongs(part) for part in parts))
    if not stored and all(is_plain(part) for part in parts):
        return query.where(sa.or_(*(belongs(part) for part in parts)))
    if stored:
        parts.append(sa.select(SegmentMember.contact_id).where(SegmentMember.segment_id.in_(stored)))
    return query.where(Contact.id.in_(sa.union(*parts)))


def count(session: Session, contact_ids: ContactIds) -> int:
    """Return how many contacts these are, counted without a subquery."""
    counting = contact_ids.with_only_columns(sa.func.count(), maintain_column_froms=True)
    return session.execute(counting).scalar_one()


def fill(session: Session, segment_id: int, query: ContactIds) -> int:
    """Replace the members of a static segment by these contacts; return how many there are."""
    empty(session, segment_id)
    rows = query.add_columns(sa.literal(segment_id, sa.Integer()))
    return changed(session, sa.insert(SegmentMember).from_select(["contact_id", "segment_id"], rows))


def empty(session: Session, segment_id: int) -> None:
    session.execute(sa.delete(SegmentMember).where(SegmentMember.segment_id == segment_id))


def copy_members(session: Session, source_id: int, target_id: int) -> None:
    rows = sa.select(SegmentMember.contact_id, sa.literal(target_id, sa.Integer()))
    rows = rows.where(SegmentMember.segment_id == source_id)
    session.execute(sa.insert(SegmentMember).from_select(["contact_id", "segment_id"], rows))


def remove(session: Session, segment_id: int) -> None:
    """Delete a segment with its members; campaigns that were sent to it keep their ledger and lose the link."""
    session.execute(sa.delete(Segment).where(Segment.id == segment_id))


def archive(session: Session, segment_id: int, now: dt.datetime) -> None:
    """Take a segment out of lists and choices, whatever still needs it."""
    session.execute(sa.update(Segment).where(Segment.id == segment_id).values(archived_at=now))


def needed_by(session: Session, segment_id: int) -> list[str]:
    """Return the names of campaigns that will still read the segment's members."""
    query = sa.select(Campaign.name).where(*NOT_OVER, names_segment(segment_id)).order_by(Campaign.id)
    return list(session.scalars(query))


@dataclass(frozen=True)
class ListedSegment:
    """One line of the list of segments."""

    segment: Segment
    creator: str
    campaigns: int
    """How many campaigns name it."""


def listed(
    session: Session, search: str = "", tag: TagFilter | None = None, *, archived: bool = False
) -> list[ListedSegment]:
    """Return the segments whose names contain `search` and that have the tag, newest first; archived ones or others."""
    pairs = naming().subquery()
    used = sa.select(pairs.c.segment_id, sa.func.count().label("n")).group_by(pairs.c.segment_id).subquery()
    query = (
        sa.select(Segment, sa.func.coalesce(User.name, ""), sa.func.coalesce(used.c.n, 0))
        .outerjoin(User, User.id == Segment.created_by)
        .outerjoin(used, used.c.segment_id == Segment.id)
        .where(Segment.archived_at.is_not(None) if archived else Segment.archived_at.is_(None))
        .order_by(Segment.id.desc())
    )
    if tag is not None:
        query = query.where(having(Item.SEGMENT, Segment.id, tag))
    if search.strip():
        query = query.where(Segment.name.icontains(search.strip(), autoescape=True))
    return [ListedSegment(segment, creator, campaigns) for segment, creator, campaigns in session.execute(query)]


@dataclass(frozen=True)
class Use:
    """A campaign that was or will be sent to a segment, or leaves it out."""

    campaign_id: int
    name: str
    status: str


def uses(session: Session, segment_id: int, limit: int = 20) -> list[Use]:
    """Return the newest campaigns that name a segment."""
    query = (
        sa.select(Campaign.id, Campaign.name, Campaign.status)
        .where(names_segment(segment_id), Campaign.deleted_at.is_(None))
        .order_by(Campaign.id.desc())
        .limit(limit)
    )
    return [Use(*row) for row in session.execute(query)]


def all_segments(session: Session) -> list[Segment]:
    """Return all segments in the order of their names."""
    return list(session.scalars(sa.select(Segment).order_by(Segment.name)))


def archived_names(session: Session, segment_ids: Iterable[int]) -> list[str]:
    """Return the names of those of these segments that are archived."""
    return list(session.scalars(_ARCHIVED_NAMES, {"ids": list({*segment_ids})}))


def by_ids(session: Session, segment_ids: Iterable[int]) -> list[Segment]:
    """Return the segments with these ids that are there."""
    return list(session.scalars(_BY_IDS, {"ids": list({*segment_ids})}))


def search(session: Session, words: str, limit: int) -> list[Segment]:
    """Return the first segments, in the order of their names, whose names contain these words."""
    query = sa.select(Segment).where(Segment.archived_at.is_(None)).order_by(Segment.name).limit(limit)
    if words:
        query = query.where(Segment.name.icontains(words, autoescape=True))
    return list(session.scalars(query))


def by_name(session: Session, name: str) -> Segment | None:
    """Return the segment of this name."""
    return session.scalar(sa.select(Segment).where(Segment.name == name))


def is_taken(session: Session, name: str, own_id: int | None) -> bool:
    """Return whether a segment other than `own_id` has this name."""
    query = sa.select(Segment.id).where(Segment.name == name)
    if own_id is not None:
        query = query.where(Segment.id != own_id)
    return session.scalar(query) is not None
