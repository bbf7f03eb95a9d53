"""Replies that look like refusals: each waits until a person decides, and the decision can be undone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from sqlalchemy.orm import Session

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.optout import OptOutSource
from smsapp.domain.refusal import Suspicion, looks_like_refusal
from smsapp.domain.rights import Right
from smsapp.domain.scope import Coverage, Scope
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.receipts.unattributed_replies import ANSWERS_WITHIN, MOST_COUNTED, NOUN
from smsapp.store.contacts import replies as store
from smsapp.store.contacts.likely_text import likely_text
from smsapp.store.contacts.replies import Reply
from smsapp.store.db import current_session, writing


def suspicion_of(session: Session, number: str, text: str, *, opts_out: bool) -> Suspicion:
    """Return whether a reply waits for a decision: it looks like a refusal, and its number does not refuse all."""
    if opts_out or not number or not looks_like_refusal(text):
        return Suspicion.NONE
    return Suspicion.NONE if store.refusing(session, [number], marketing=False, signature="") else Suspicion.WAITS


def count() -> int:
    """Return how many replies wait for a decision, MOST_COUNTED + 1 at most."""
    return len(store.suspected(current_session(), decided=False, before=None, limit=MOST_COUNTED + 1))


def find_page(*, decided: bool = False, before: int | None = None, limit: int = 50) -> list[Reply]:
    """Return one page of replies that wait for a decision, or that were decided; newest first."""
    return store.suspected(current_session(), decided=decided, before=before, limit=limit)


def decide(ids: Collection[int], scope: Scope | None, actor: Actor, now: dt.datetime) -> int:
    """Decide about replies that wait: they are refusals of this scope, None: they are none; return how many.

    A signature is that of the text which the reply most likely answers; if nobody knows it, everything is refused.
    Replies that somebody else has decided about meanwhile are skipped.
    """
    require(actor, Right.REPLIES_DECIDE)
    with writing() as session:
        waiting = store.lock_suspected(session, ids, decided=False)
        for reply in waiting:
            reply.suspicion, reply.decided_at = Suspicion.HARMLESS, now
            if scope is not None:
                reply.suspicion = Suspicion.OPT_OUT
                reply.replaced = _opt_out(session, reply, scope, now)
        if waiting:
            facts = {"rows": len(waiting)} | ({"scope": str(scope)} if scope else {})
            named = ",".join(str(reply.id) for reply in waiting)[:40]
            log_action(session, actor, "decide_replies" if scope else "acquit_replies", NOUN, named, now, **facts)
    return len(waiting)


def _opt_out(session: Session, reply: Reply, scope: Scope, now: dt.datetime) -> dict[str, object] | None:
    """Put the number on the list; return what it had refused before if that changed it, else None."""
    signature = ""
    if scope is Scope.SIGNATURE and reply.channel_id is not None:
        since = reply.received_at - ANSWERS_WITHIN
        signature = likely_text(session, reply.channel_id, reply.phone, since).signature
    entry = store.lock_opt_out(session, reply.phone)
    before: dict[str, object] = entry.as_json() if entry else {}
    is_new = opt_outs.record(
        session,
        reply.phone,
        OptOutSource.REPLY,
        now,
        refused=Coverage(scope, (signature,) if signature else ()),
        channel_id=reply.channel_id,
        campaign_id=reply.campaign_id,
    )
    return before if is_new else None


def undo(reply_id: int, actor: Actor, now: dt.datetime) -> None:
    """Take a decision back: the reply waits again, and the number refuses what it refused before.

    Raises NotFound if it was not decided, Refusal if the number's entry was changed since then.
    """
    require(actor, Right.REPLIES_DECIDE)
    with writing() as session:
        replies = store.lock_suspected(session, [reply_id], decided=True)
        if not replies:
            raise NotFound(NOUN)
        reply = replies[0]
        if reply.replaced is not None:
            entry = store.lock_opt_out(session, reply.phone)
            if entry is None or entry.at != reply.decided_at:
                raise Refusal(Problem("decision_overtaken"))
            if reply.replaced:
                entry.restore(reply.replaced)
            else:
                session.delete(entry)
        reply.suspicion, reply.decided_at, reply.replaced = Suspicion.WAITS, None, None
        log_action(session, actor, "reopen", NOUN, reply_id, now)
