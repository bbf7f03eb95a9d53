"""Who may do what, asked at the top of each service that changes something: pages are not the only way in."""

from __future__ import annotations

from smsapp.domain.rights import Forbidden, Right, may
from smsapp.services.platform.audit_log import Actor


def holds(actor: Actor, right: Right) -> bool:
    """Return whether the actor has the right; commands and jobs, which are not persons, have all of them."""
    return actor.is_system or may(actor.role, right)


def require(actor: Actor, right: Right) -> None:
    """Raise Forbidden unless the actor has the right."""
    if not holds(actor, right):
        raise Forbidden(right)


def require_own(actor: Actor, user_id: int, others: Right | None = None) -> None:
    """Raise Forbidden unless this account is the actor's own; with `others`, whoever has that right may, too."""
    own = actor.is_system or actor.user_id == user_id
    if not own and others is None:
        raise Forbidden(Right.ACCOUNT_OWN)
    require(actor, Right.ACCOUNT_OWN if own or others is None else others)
