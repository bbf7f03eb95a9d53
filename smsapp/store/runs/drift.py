"""Counts the numbers of an audience or a run by their first characters, and by their sources."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.drift import LEADING
from smsapp.store.contacts import audience as audiences
from smsapp.store.contacts.contacts import Contact
from smsapp.store.runs.runs import IS_ERASED, Message


def of_audience(session: Session, audience: audiences.Audience) -> tuple[int, dict[str, int]]:
    """Return (people in an audience, first LEADING characters of numbers -> messages)."""
    people = audience.people
    leading = sa.func.substr(people.c.phone, 1, LEADING).label("number_start")
    written_to = people.c.reason.is_(None).label("written_to")
    rows = session.execute(
        sa.select(written_to, leading, sa.func.count(), sa.func.count(people.c.phone.distinct())).group_by(
            written_to, leading
        )
    ).all()
    return sum(n for _, _, n, _ in rows), {start: n for written, start, _, n in rows if written and start}


def of_run(session: Session, run_id: int) -> dict[str, int]:
    """Return first LEADING characters of numbers -> messages of a run."""
    leading = sa.func.substr(Message.phone, 1, LEADING).label("number_start")
    rows = session.execute(
        sa.select(leading, sa.func.count())
        .where(Message.run_id == run_id, ~IS_ERASED)
        .group_by(sa.text("number_start"))
    )
    return {start: n for start, n in rows}  # noqa: C416 a Row is no pair to mypy


def origins(
    session: Session, run_id: int, phone_property: str, since: dt.datetime
) -> list[tuple[bool, bool, str, int]]:
    """Return (contact is newer than `since`, was changed since, first letter of the number's source, messages)."""
    newer = (Contact.created_at > since).label("newer")
    changed = (Contact.updated_at > since).label("changed")
    letter = sa.func.substr(sa.func.coalesce(Contact.sources[phone_property].as_string(), ""), 1, 1).label("letter")
    rows = session.execute(
        sa.select(newer, changed, letter, sa.func.count())
        .select_from(Message)
        .join(Contact, Contact.id == Message.contact_id)
        .where(Message.run_id == run_id)
        .group_by(sa.text("newer"), sa.text("changed"), sa.text("letter"))
    )
    return [(bool(new), bool(is_changed), origin, n) for new, is_changed, origin, n in rows]
