"""Tags of campaigns, segments and templates: given, taken away, renamed and merged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

from sqlalchemy.orm import Session

from smsapp.domain import tags as rules
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.tags import RIGHTS, Item
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store import tags
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.tags import Tag, TagFilter

NOUN = "tag"
SUGGESTED = 100
"""Most tags that a form suggests."""
LISTED = 1000
"""Most tags on the page of all tags."""


def of(item: Item, item_id: int) -> tuple[str, ...]:
    """Return the tags of one campaign, segment or template."""
    return tags.names_of(current_session(), item, [item_id]).get(item_id, ())


def of_each(item: Item, ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """Return {id: its tags}; what has none is absent."""
    return tags.names_of(current_session(), item, ids)


def filter_by(item: Item, name: str) -> TagFilter | None:
    """Return the filter of a list for a tag as typed; None if nothing is typed."""
    return tags.filter_by(current_session(), item, name) if rules.tidy(name) else None


def suggestions() -> Sequence[str]:
    """Return known tags for a form or a filter."""
    return tags.known_names(current_session(), SUGGESTED)


def listing() -> list[tuple[Tag, list[Item]]]:
    """Return the tags, each with the kinds of things that have it."""
    rows = tags.known(current_session(), LISTED)
    users = {item: tags.used(current_session(), item, [tag.id for tag in rows]) for item in Item}
    return [(tag, [item for item in Item if tag.id in users[item]]) for tag in rows]


def change(
    item: Item, item_id: int, names: Sequence[str], actor: Actor, now: dt.datetime, *, seen: Sequence[str] | None = None
) -> None:
    """Give it these tags in place of the `seen` ones (None: of all); what others changed meanwhile stays.

    Neither the version of a campaign nor the mark of a template changes, so approvals and open forms stay valid.
    Raises Refusal for tags that are too long or too many.
    """
    require(actor, RIGHTS.get(item, Right.CAMPAIGNS_WRITE))
    with writing() as session:
        change_within(session, item, item_id, names, actor, now, seen=seen)


def change_within(
    session: Session,
    item: Item,
    item_id: int,
    names: Sequence[str],
    actor: Actor,
    now: dt.datetime,
    *,
    seen: Sequence[str] | None = None,
) -> None:
    """Do the same as a part of a transaction."""
    names = rules.once(names)
    before = {rules.key(name): name for name in tags.names_of(session, item, [item_id]).get(item_id, ())}
    typed = {rules.key(name): name for name in names}
    replaced = set(before) if seen is None else {rules.key(name) for name in seen}
    taken = [name for key, name in before.items() if key in replaced - typed.keys()]
    added = [name for key, name in typed.items() if key not in before and (seen is None or key not in replaced)]
    if not taken and not added:
        return
    problems = rules.problems([name for name in before.values() if name not in taken] + added)
    if problems:
        raise Refusal(*problems)
    tags.take(session, item, item_id, taken)
    tags.add(session, item, item_id, added)
    log_action(session, actor, "tag", item.value, item_id, now, added=added, taken=taken)


def rename(tag_id: int, name: str, actor: Actor, now: dt.datetime, *, merge: bool = False) -> None:
    """Call a tag otherwise; with `merge` also if there is a tag of that name, which then stands for both.

    Raises Refusal without `merge` in this case.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    with writing() as session:
        tag = _locked(session, tag_id)
        name = rules.tidy(name)
        problems = rules.problems([name]) if name else [Problem("tag_missing", "name")]
        other = tags.find(session, name)
        if other is not None and other.id != tag.id and not merge:
            problems = [Problem("tag_exists", "name", {"name": other.name})]
        if problems:
            raise Refusal(*problems)
        if other is not None and other.id != tag.id:
            log_action(session, actor, "merge", NOUN, other.id, now, name=other.name, merged=tag.name)
            tags.merge(session, tag.id, other.id)
            return
        log_action(session, actor, "edit", NOUN, tag.id, now, name=name, was=tag.name)
        tag.name, tag.key = name, rules.key(name)


def remove(tag_id: int, actor: Actor, now: dt.datetime) -> str:
    """Take a tag from everything that has it; return its name."""
    require(actor, Right.CAMPAIGNS_WRITE)
    with writing() as session:
        tag = _locked(session, tag_id)
        log_action(session, actor, "delete", NOUN, tag.id, now, name=tag.name)
        tags.remove(session, tag.id)
        return tag.name


def get(tag_id: int) -> Tag:
    """Return the tag; raises NotFound."""
    tag = current_session().get(Tag, tag_id)
    if tag is None:
        raise NotFound(NOUN)
    return tag


def _locked(session: Session, tag_id: int) -> Tag:
    tag = lock_row(session, Tag, tag_id)
    if tag is None:
        raise NotFound(NOUN)
    return tag
