"""Replies: stored, parsed for opt-outs, and attributed to the campaign they answer."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterable

from sqlalchemy.orm import Session

from smsapp.channels.types import Reply as Incoming
from smsapp.domain import phone
from smsapp.domain.optout import OptOutSource, is_opt_out
from smsapp.domain.storable import storable
from smsapp.domain.webhook import EventKind
from smsapp.services.channels import registry
from smsapp.services.contacts import opt_outs
from smsapp.services.receipts import suspected_refusals
from smsapp.services.receipts.unattributed_replies import ANSWERS_WITHIN, meant
from smsapp.store.apps import webhook_outbox
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import replies as store
from smsapp.store.contacts.likely_text import LikelyText, likely_text
from smsapp.store.contacts.replies import Reply
from smsapp.store.db import current_session
from smsapp.store.privacy import erased_numbers
from smsapp.store.settings import settings

log = logging.getLogger(__name__)
LONGEST_SENDER = 80

LONGEST, CUT = 5000, " […]"
"""Stored characters of a reply: more than a phone sends in one text (255 parts in theory, some ten in practice); and
the mark at the end of a longer one."""


def opted_out(phones: Collection[str]) -> set[str]:
    """Return those of these numbers that are on the list."""
    return store.opted_out(current_session(), phones)


def campaign_names(ids: Iterable[int | None]) -> dict[int, str]:
    """Return the names of these campaigns."""
    return store.campaign_names(current_session(), ids)


def take(
    session: Session, channel_id: int, inbox_id: int | None, position: int, reply: Incoming, now: dt.datetime
) -> bool:
    """Store one reply and act on it, in the caller's transaction; False if it was stored before.

    An opt-out puts the number on the list: for every campaign, or for what the channel says a reply means. The campaign
    it answers is a guess by number, channel and time: providers do not name it. A reply without a readable number waits
    for a person (`services/receipts/unattributed_replies.py`). Of a number that was erased and that nobody has written
    to since, the hash and the decision are stored, not the text.
    """
    channel = session.get(ChannelRow, channel_id)
    number = phone.normalise(reply.phone, registry.country_of(channel) if channel else settings().DEFAULT_REGION)
    answered = likely_text(session, channel_id, number, now - ANSWERS_WITHIN) if number else LikelyText()
    refuses = reply.opts_out or is_opt_out(reply.text)
    text, named = reply.text, number
    if named and answered.campaign_id is None and (stored := erased_numbers.hashes_of(session, [named]).get(named)):
        number, text = stored, ""
        answered = likely_text(session, channel_id, number, now - ANSWERS_WITHIN)
    is_new = store.add_reply(
        session,
        {
            "inbox_id": inbox_id,
            "position": position,
            "channel_id": channel_id,
            "campaign_id": answered.campaign_id,
            "phone": number,
            "sender": "" if number else storable(reply.phone)[:LONGEST_SENDER],
            "waits": not number,
            "text": _bounded(storable(text, LONGEST + 1)),
            "opt_out": refuses,
            "suspicion": suspected_refusals.suspicion_of(session, number, reply.text, opts_out=refuses),
            "received_at": now,
        },
    )
    if is_new:
        facts = {"channel": channel_id, "number": phone.mask(number) if number else "", "opt_out": refuses}
        webhook_outbox.note(session, EventKind.REPLY_RECEIVED, answered.campaign_id, now, **facts)
    if is_new and not number:
        log.warning("reply.unattributed channel=%s opt_out=%s", channel_id, refuses)
    if is_new and refuses and number:
        opt_outs.record(
            session,
            number,
            OptOutSource.REPLY,
            now,
            refused=meant(channel, answered).refused_by(named),
            channel_id=channel_id,
            campaign_id=answered.campaign_id,
            # A provider that recognises an opt-out has answered by itself, and delivers no further text.
            confirm=channel is not None
            and channel.opt_out_template_id is not None
            and not reply.opts_out
            and not phone.is_erased(number),
        )
    return is_new


def _bounded(text: str) -> str:
    """Return the text as it is stored: a longer one than a phone can send is cut, with a mark."""
    return text if len(text) <= LONGEST else text[: LONGEST - len(CUT)] + CUT


def find_page(
    *,
    opt_out: bool | None,
    words: str = "",
    before: int | None = None,
    limit: int = 50,
    sees_full_numbers: bool = False,
) -> list[Reply]:
    """Return one page of replies, newest first. `words` may be part of a text or a whole number.

    Without the right to see whole numbers, digits match only whole texts: a part could be of a number.
    """
    words = words.strip()
    number = phone.normalise(words, settings().DEFAULT_REGION)
    return store.replies(
        current_session(),
        opt_out=opt_out,
        phone=number,
        words="" if number else words,
        whole=not sees_full_numbers and phone.reveals(words),
        before=before,
        limit=limit,
    )
