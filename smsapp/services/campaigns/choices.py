"""What a campaign can choose among: segments, channels and templates, found by words or known by their ids."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from smsapp.domain.billed_parts import measure
from smsapp.domain.sms_template import is_usable
from smsapp.services.channels import registry
from smsapp.store import sms_templates
from smsapp.store.channels import channels
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import segments
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

Row = Segment | ChannelRow | SmsTemplate


class Choosable(StrEnum):
    """What is chosen."""

    SEGMENT = "segment"
    CHANNEL = "channel"
    TEMPLATE = "template"


@dataclass(frozen=True)
class Choice:
    """A row to choose, with what tells rows of one name apart."""

    id: int
    name: str
    available: bool = True
    """Whether a campaign may begin to use it."""
    kind: str = ""
    """A segment's kind, a channel's kind in English words, a template's purpose."""
    size: int | None = None
    """Members of a segment when last computed, billed parts of a template without values."""
    text: str = ""
    row: Row | None = field(default=None, repr=False, compare=False)
    """Who keeps it spares the session to load it again."""


def search(kind: Choosable, words: str, channel_id: int | None, limit: int) -> list[Choice]:
    """Return the first rows whose names (or texts) contain these words; templates are those of the channel."""
    session, words = current_session(), words.strip()
    rows: Sequence[Row] = ()
    if kind is Choosable.SEGMENT:
        rows = segments.search(session, words, limit)
    elif kind is Choosable.CHANNEL:
        rows = channels.search(session, words, limit)
    elif channel_id:
        rows = sms_templates.approved(session, channel_id, words, limit)
    return [_choice(row) for row in rows]


def chosen(kind: Choosable, ids: Collection[int]) -> dict[int, Choice]:
    """Return the rows with these ids that are there, also those that may not be chosen any more."""
    session = current_session()
    rows: Sequence[Row | None]
    if kind is Choosable.SEGMENT:
        rows = segments.by_ids(session, ids) if ids else ()
    elif kind is Choosable.CHANNEL:
        rows = [session.get(ChannelRow, id_) for id_ in ids]
    else:
        rows = [session.get(SmsTemplate, id_) for id_ in ids]
    return {row.id: _choice(row) for row in rows if row is not None}


def _choice(row: Row) -> Choice:
    if isinstance(row, Segment):
        return Choice(row.id, row.name, row.archived_at is None, row.kind, row.size, row=row)
    if isinstance(row, ChannelRow):
        known = registry.kinds().get(row.kind)
        return Choice(row.id, row.name, row.active, known.label if known else row.kind, row=row)
    parts = measure(row.signature, row.text).parts
    available = is_usable(row.audit, row.purpose) and row.archived_at is None
    return Choice(row.id, row.name, available, row.purpose, parts, row.text, row)
