"""What the tables of contacts, replies and opt-outs hold under a person's ids and numbers, and how it goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from smsapp.domain.erasure import Subject
from smsapp.store.contacts import replies
from smsapp.store.contacts.aliases import Alias
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.numbers import SpecialNumber
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.contacts.segments import Segment, SegmentMember
from smsapp.store.db import changed, one_of
from smsapp.store.receipts.inbox import INBOX, InboxState


def delete_contacts(session: Session, subject: Subject) -> int:
    """Delete contacts with their segments and proposals, and the aliases that lead to them; return how many."""
    ids = sorted(subject.user_ids)
    changed(session, sa.delete(Alias).where(sa.or_(one_of(Alias.xwho, ids), one_of(Alias.anonymous_id, ids))))
    mine = sa.or_(one_of(Contact.id, sorted(subject.contact_ids)), one_of(Contact.xwho, ids))
    people = sa.select(Contact.id).where(mine)
    in_segments = sa.select(SegmentMember.segment_id).where(SegmentMember.contact_id.in_(people)).distinct()
    segment_ids = list(session.scalars(in_segments))
    removed = changed(session, sa.delete(Contact).where(mine))
    members = sa.select(sa.func.count()).where(SegmentMember.segment_id == Segment.id).scalar_subquery()
    changed(session, sa.update(Segment).where(Segment.id.in_(segment_ids)).values(size=members))
    return removed


def delete_number_classes(session: Session, numbers: Collection[str]) -> int:
    return changed(session, sa.delete(SpecialNumber).where(one_of(SpecialNumber.phone, numbers)))


def hash_replies(session: Session, hashes: Mapping[str, str]) -> tuple[int, list[int]]:
    """Write hashes over the numbers of replies and drop their texts; return (how many, the callbacks they came in)."""
    rows = session.execute(
        sa.select(Reply.id, Reply.phone, Reply.inbox_id).where(one_of(Reply.phone, hashes)).with_for_update()
    ).all()
    if rows:
        session.connection().execute(_HASH_REPLY, [{"reply": id_, "its_hash": hashes[phone]} for id_, phone, _ in rows])
    return len(rows), [inbox_id for _, _, inbox_id in rows if inbox_id is not None]


_HASH_REPLY = (
    sa.update(Reply).where(Reply.id == sa.bindparam("reply")).values(phone=sa.bindparam("its_hash"), text="", sender="")
)


def empty_callbacks(connection: Connection, inbox_ids: Sequence[int]) -> int:
    """Empty these callbacks, once they are read; return how many."""
    these = sa.update(INBOX).where(one_of(INBOX.c.id, inbox_ids), INBOX.c.state != int(InboxState.NEW))
    return connection.execute(these.values(query="", url="", headers={}, body=b"")).rowcount


def hash_opt_outs(session: Session, hashes: Mapping[str, str]) -> int:
    """Write hashes over the numbers of opt-outs and drop their notes; return how many.

    A number that was erased before has an entry under its hash: the two become one.
    """
    rows = list(session.scalars(sa.select(OptOut).where(one_of(OptOut.phone, hashes)).with_for_update()))
    taken = set(session.scalars(sa.select(OptOut.phone).where(one_of(OptOut.phone, set(hashes.values())))))
    for row in rows:
        its_hash = hashes[row.phone]
        if its_hash not in taken:
            row.phone, row.note = its_hash, ""
            continue
        columns = [column.key for column in OptOut.__table__.columns if column.key not in {"id", "phone", "note"}]
        values = {name: getattr(row, name) for name in columns}
        replies.add_opt_outs(session, [values | {"phone": its_hash, "note": ""}])
        session.delete(row)
    session.flush()
    return len(rows)
