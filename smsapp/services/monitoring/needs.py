"""What needs a person: a registry of questions, each asked by one or two bounded queries.

To add one: a function that returns needs, its line in NEEDS, its sentence in labels/home.py, its page in web/home.py.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain.rights import Right
from smsapp.domain.run import HOLD_RULES, HoldReason
from smsapp.domain.sms_template import Audit
from smsapp.services.apps import key_watch, webhooks
from smsapp.services.campaigns import campaign_approvals
from smsapp.services.channels import accounts
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import suspected_refusals, unconfirmed
from smsapp.services.sending import budgets
from smsapp.services.templates import registrations
from smsapp.store import queue
from smsapp.store.campaigns import campaigns, home
from smsapp.store.db import current_session
from smsapp.store.settings import settings

LATE = dt.timedelta(minutes=3)
"""Nothing starts campaigns if one is this long overdue."""
UNREACHED = dt.timedelta(minutes=30)
"""A receiver that restarts needs nobody."""
MOST = 5
"""Needs of one kind that are named one by one."""
FOR_A_PERSON = frozenset(reason for reason, rule in HOLD_RULES.items() if not rule.ends_by_itself)


@dataclass(frozen=True)
class Need:
    """Something that does not end by itself: `facts` fill its sentence, `place` the address of the page that helps."""

    code: str
    facts: dict[str, Any] = field(default_factory=dict)
    place: dict[str, Any] = field(default_factory=dict)
    grave: bool = False
    """Whether nothing, or not this, is sent until somebody acts."""


Question = Callable[[Actor, dt.datetime], Iterable[Need]]


def _nobody_works(_reader: Actor, now: dt.datetime) -> Iterable[Need]:
    if settings().NO_SEND:
        return  # every page says so
    health = queue.queue_health()
    if not health.answers:
        yield Need("queue_down", grave=True)
    elif not health.workers:
        yield Need("no_worker", grave=True)
    elif late := len(campaigns.due(current_session(), now - LATE, limit=MOST)):
        yield Need("late", {"n": late}, grave=True)


def _held_runs(_reader: Actor, _now: dt.datetime) -> Iterable[Need]:
    for run in home.held(current_session(), FOR_A_PERSON, MOST):
        facts = {"name": run.name, "reason": HoldReason(run.reason)}
        yield Need("held", facts, {"campaign_id": run.campaign_id}, grave=True)


def _approvals(reader: Actor, _now: dt.datetime) -> Iterable[Need]:
    if n := sum(not line.own for line in campaign_approvals.waiting_for_approval(reader)):
        yield Need("approval", {"n": n})


def _bad_templates(_reader: Actor, _now: dt.datetime) -> Iterable[Need]:
    for template in home.bad_templates(current_session(), (Audit.REFUSED, Audit.WITHDRAWN), MOST):
        facts = {"name": template.name, "audit": Audit(template.audit), "n": template.campaigns}
        yield Need("template", facts, {"template_id": template.template_id})


def _unconfirmed(_reader: Actor, _now: dt.datetime) -> Iterable[Need]:
    if n := unconfirmed.total():
        yield Need("unconfirmed", {"n": n})


def _suspected(_reader: Actor, _now: dt.datetime) -> Iterable[Need]:
    if n := suspected_refusals.count():
        yield Need("suspected", {"n": n})


def _key_alarms(_reader: Actor, _now: dt.datetime) -> Iterable[Need]:
    alarms = key_watch.unnoted()
    if alarms:
        yield Need("key_alarm", {"n": len(alarms), "name": alarms[0][1]}, {"key_id": alarms[0][0].app_key_id})


def _silent_webhooks(_reader: Actor, now: dt.datetime) -> Iterable[Need]:
    for webhook in webhooks.unreachable(now - UNREACHED)[:MOST]:
        yield Need("webhook", {"name": webhook.name}, {"webhook_id": webhook.id})


def _low_balances(_reader: Actor, _now: dt.datetime) -> Iterable[Need]:
    for channel in [row for row in accounts.choices() if row.is_low][:MOST]:
        facts = {"name": channel.name, "amount": channel.balance, "currency": channel.balance_currency}
        yield Need("balance", facts, {"channel_id": channel.id})


def _budgets_near_their_end(_reader: Actor, now: dt.datetime) -> Iterable[Need]:
    for bar in [bar for bar in budgets.bars(now) if bar.use.is_nearly_taken][:MOST]:
        yield Need("budget", {"scope": bar.scope, "of": bar.of, "part": bar.taken / bar.use.most})


def _lapsing_registrations(_reader: Actor, now: dt.datetime) -> Iterable[Need]:
    for line in registrations.lapsing(now)[:MOST]:
        facts = {"name": line.shown, "channel": line.channel, "at": line.lapses_at, "over": line.lapses_at <= now}
        yield Need("lapsing", facts, {"channel": line.channel_id})


NEEDS: tuple[tuple[Question, Right], ...] = (
    (_nobody_works, Right.WORK_VIEW),
    (_held_runs, Right.WORK_VIEW),
    (_approvals, Right.RUNS_ACCEPT),
    (_bad_templates, Right.WORK_VIEW),
    (_lapsing_registrations, Right.REGISTRATION_WRITE),
    (_low_balances, Right.CHANNELS_WRITE),
    (_budgets_near_their_end, Right.SENDING_WRITE),
    (_unconfirmed, Right.WORK_VIEW),
    (_suspected, Right.WORK_VIEW),
    (_key_alarms, Right.KEYS_WRITE),
    (_silent_webhooks, Right.KEYS_WRITE),
)
"""Each question, and the right to act on its answer; in the order of the page."""


def needs(reader: Actor, may: Callable[[Right], bool], now: dt.datetime) -> list[Need]:
    """Return what needs this reader, who has these rights, the gravest first."""
    require(reader, Right.WORK_VIEW)
    every = [need for question, right in NEEDS if may(right) for need in question(reader, now)]
    return sorted(every, key=lambda need: not need.grave)
