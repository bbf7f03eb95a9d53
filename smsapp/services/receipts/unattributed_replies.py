"""Replies whose sender is no readable number: each waits until a person assigns a number or dismisses it."""

from __future__ import annotations

import datetime as dt

from smsapp.domain import phone
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.optout import OptOutSource
from smsapp.domain.refusal import Suspicion, looks_like_refusal
from smsapp.domain.rights import Right
from smsapp.domain.scope import EVERYTHING, Coverage, Scope
from smsapp.services.channels import registry
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import replies as store
from smsapp.store.contacts.likely_text import LikelyText, likely_text
from smsapp.store.contacts.replies import Reply
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

NOUN = "reply"
ANSWERS_WITHIN = dt.timedelta(days=30)
"""A reply is attributed to a campaign that wrote to the number this long ago at most."""
MOST_COUNTED = 99
"""The notice says how many wait, or "more than" this."""
LONGEST_REASON = 255


def count() -> int:
    """Return how many replies wait, MOST_COUNTED + 1 at most."""
    return len(store.waiting(current_session(), None, MOST_COUNTED + 1))


def find_page(before: int | None = None, limit: int = 50) -> list[Reply]:
    """Return one page of waiting replies, newest first."""
    return store.waiting(current_session(), before, limit)


def get(reply_id: int) -> Reply:
    """Return a reply that waits; raises NotFound."""
    reply = current_session().get(Reply, reply_id)
    if reply is None or not reply.waits:
        raise NotFound(NOUN)
    return reply


def meant(channel: ChannelRow | None, answered: LikelyText) -> Coverage:
    """Return what an opt-out through this channel refuses, by the channel's settings and the text that it answers."""
    if channel is None:
        return EVERYTHING
    scope = Scope(channel.refusal_scope)
    return Coverage(scope, (answered.signature,) if scope is Scope.SIGNATURE and answered.signature else ())


def assign(reply_id: int, text: str, actor: Actor, now: dt.datetime) -> bool:
    """Assign a waiting reply to a number; return whether the number is on the opt-out list because of it.

    `text` is read with the channel's country. Raises Refusal if it is no number, NotFound if the reply does not wait.
    """
    require(actor, Right.REPLIES_DECIDE)
    with writing() as session:
        reply = store.waiting_reply(session, reply_id)
        if reply is None:
            raise NotFound(NOUN)
        channel = session.get(ChannelRow, reply.channel_id) if reply.channel_id else None
        number = phone.normalise(text, registry.country_of(channel) if channel else settings().DEFAULT_REGION)
        if not number:
            raise Refusal(Problem("number_unreadable" if text.strip() else "number_missing", "phone"))
        reply.phone, reply.waits = number, False
        answered = LikelyText()
        if channel is not None:
            answered = likely_text(session, channel.id, number, reply.received_at - ANSWERS_WITHIN)
            reply.campaign_id = answered.campaign_id
        if reply.opt_out:
            opt_outs.record(
                session,
                number,
                OptOutSource.REPLY,
                now,
                refused=meant(channel, answered),
                channel_id=reply.channel_id,
                campaign_id=reply.campaign_id,
            )
        elif looks_like_refusal(reply.text):
            reply.suspicion = Suspicion.WAITS
        log_action(session, actor, "assign", NOUN, reply_id, now, number=phone.mask(number))
        return reply.opt_out


def dismiss(reply_id: int, reason: str, actor: Actor, now: dt.datetime) -> None:
    """Dismiss a waiting reply without a number; raises Refusal without a reason, which the audit log keeps."""
    require(actor, Right.REPLIES_DECIDE)
    if not reason.strip():
        raise Refusal(Problem("dismissal_reason_missing", "reason"))
    with writing() as session:
        reply = store.waiting_reply(session, reply_id)
        if reply is None:
            raise NotFound(NOUN)
        reply.waits = False
        log_action(
            session, actor, "dismiss", NOUN, reply_id, now, reason=phone.mask_inside(reason.strip())[:LONGEST_REASON]
        )
