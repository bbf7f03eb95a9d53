"""Tags, and which campaigns, segments and templates have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain import tags as rules
from smsapp.domain.tags import LONGEST, LONGEST_KEY, Item
from smsapp.store.db import Base, Condition, changed, one_of, upsert

FEW = 1000
"""Up to so many rows with a tag are named one by one; of more, each row of the list is asked whether it has it."""


class Tag(Base):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(LONGEST))
    """As it was written first."""
    key: Mapped[str] = mapped_column(sa.String(LONGEST_KEY), unique=True)
    """domain/tags.py key of the name"""


class CampaignTag(Base):
    __tablename__ = "campaign_tag"
    __table_args__ = {"sqlite_with_rowid": False}

    tag_id: Mapped[int] = mapped_column(sa.ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True)
    campaign_id: Mapped[int] = mapped_column(
        sa.ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class SegmentTag(Base):
    __tablename__ = "segment_tag"
    __table_args__ = {"sqlite_with_rowid": False}

    tag_id: Mapped[int] = mapped_column(sa.ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True)
    segment_id: Mapped[int] = mapped_column(
        sa.ForeignKey("segment.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class TemplateTag(Base):
    __tablename__ = "template_tag"
    __table_args__ = {"sqlite_with_rowid": False}

    tag_id: Mapped[int] = mapped_column(sa.ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True)
    template_id: Mapped[int] = mapped_column(
        sa.ForeignKey("sms_template.id", ondelete="CASCADE"), primary_key=True, index=True
    )


LINKS: Mapping[Item, tuple[Any, Any]] = {
    # item: (table of links, its column with the item's id)
    Item.CAMPAIGN: (CampaignTag, CampaignTag.campaign_id),
    Item.SEGMENT: (SegmentTag, SegmentTag.segment_id),
    Item.TEMPLATE: (TemplateTag, TemplateTag.template_id),
}


@dataclass(frozen=True)
class TagFilter:
    """A tag that a list is narrowed to."""

    name: str
    tag_id: int
    """0: there is no such tag, so nothing has it."""
    ids: Sequence[int] | None
    """What has it; None: more than FEW."""


def find(session: Session, name: str) -> Tag | None:
    """Return the tag of this name, however it is written."""
    return session.scalar(sa.select(Tag).where(Tag.key == rules.key(name)))


def filter_by(session: Session, item: Item, name: str) -> TagFilter:
    """Return the filter for a tag, as `having` takes it."""
    tag = find(session, name)
    if tag is None:
        return TagFilter(rules.tidy(name), 0, ())
    link, column = LINKS[item]
    ids = session.scalars(sa.select(column).where(link.tag_id == tag.id).limit(FEW + 1)).all()
    return TagFilter(tag.name, tag.id, None if len(ids) > FEW else ids)


def having(item: Item, item_id: Any, wanted: TagFilter) -> Condition:
    """Return the condition that the row with the id in this column has the tag."""
    if wanted.ids is not None:
        return one_of(item_id, wanted.ids)
    link, column = LINKS[item]
    return sa.exists().where(link.tag_id == wanted.tag_id, column == item_id)


# Built once: every list asks them, and to build them takes longer than to ask them.
_NAMES_OF = {
    item: sa.select(column, Tag.name)
    .join(Tag, Tag.id == link.tag_id)
    .where(column.in_(sa.bindparam("ids", expanding=True)))
    .order_by(Tag.key)
    for item, (link, column) in LINKS.items()
}
_KNOWN_NAMES = sa.select(Tag.name).order_by(Tag.key).limit(sa.bindparam("most", type_=sa.Integer))


def names_of(session: Session, item: Item, ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """Return {id: its tags in the order of their keys}; what has none is absent."""
    if not ids:
        return {}
    result: dict[int, tuple[str, ...]] = {}
    for id_, name in session.execute(_NAMES_OF[item], {"ids": ids}):
        result[id_] = (*result.get(id_, ()), name)
    return result


def known(session: Session, limit: int) -> Sequence[Tag]:
    """Return the tags in the order of their keys."""
    return session.scalars(sa.select(Tag).order_by(Tag.key).limit(limit)).all()


def known_names(session: Session, limit: int) -> Sequence[str]:
    """Return the names of the tags in the order of their keys."""
    return session.scalars(_KNOWN_NAMES, {"most": limit}).all()


def used(session: Session, item: Item, tag_ids: Collection[int]) -> set[int]:
    """Return which of these tags something of this kind has."""
    link, _column = LINKS[item]
    has_one = sa.exists().where(link.tag_id == Tag.id)
    return set(session.scalars(sa.select(Tag.id).where(one_of(Tag.id, tag_ids), has_one)))


def add(session: Session, item: Item, item_id: int, names: Collection[str]) -> None:
    """Give it these tags; new ones are made in the order of their keys, so that two writers cannot deadlock."""
    name_by_key = {rules.key(name): name for name in names}
    if not name_by_key:
        return
    rows = [{"key": key, "name": name_by_key[key]} for key in sorted(name_by_key)]
    session.execute(upsert(Tag).values(rows).on_conflict_do_nothing())
    tag_ids = session.scalars(sa.select(Tag.id).where(one_of(Tag.key, name_by_key)).order_by(Tag.key)).all()
    link, column = LINKS[item]
    links = [{"tag_id": tag_id, column.key: item_id} for tag_id in tag_ids]
    session.execute(upsert(link).values(links).on_conflict_do_nothing())


def take(session: Session, item: Item, item_id: int, names: Collection[str]) -> None:
    """Take these tags from it."""
    link, column = LINKS[item]
    tag_ids = sa.select(Tag.id).where(one_of(Tag.key, [rules.key(name) for name in names]))
    session.execute(sa.delete(link).where(column == item_id, link.tag_id.in_(tag_ids)))


def copy(session: Session, item: Item, source_id: int, target_id: int) -> None:
    """Give the copy of something its tags."""
    link, column = LINKS[item]
    rows = sa.select(link.tag_id, sa.literal(target_id, sa.Integer())).where(column == source_id)
    session.execute(sa.insert(link).from_select(["tag_id", column.key], rows))


def merge(session: Session, source_id: int, target_id: int) -> None:
    """Give everything with one tag the other one, and remove the first."""
    for link, column in LINKS.values():
        rows = sa.select(sa.literal(target_id, sa.Integer()), column).where(link.tag_id == source_id)
        session.execute(upsert(link).from_select(["tag_id", column.key], rows).on_conflict_do_nothing())
    remove(session, source_id)


def remove(session: Session, tag_id: int) -> None:
    """Remove the tag from everything."""
    changed(session, sa.delete(Tag).where(Tag.id == tag_id))
