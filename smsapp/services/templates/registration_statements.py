"""What people say that carriers have registered, where no provider says it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier
from smsapp.domain.contact_details import contact_details
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.registration import (
    GOOD,
    LONGEST_REASON,
    LONGEST_REMINDER,
    LONGEST_VALUE,
    REMIND_DAYS,
    Registration,
    RegistrationKind,
    RegistrationSource,
    RegistrationState,
)
from smsapp.domain.rights import Right
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.templates import registration_guard
from smsapp.store import registrations as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import writing
from smsapp.store.settings import settings

NOUN = "registration"
FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(9000, 12, 31)
"""A day beyond these has no moment in every zone."""


@dataclass(frozen=True)
class Statement:
    """What a person says of one value at some carriers."""

    kind: RegistrationKind
    value: str
    carriers: Sequence[Carrier]
    state: RegistrationState
    words: str = ""
    """Why, as the carrier or the provider said it."""
    expires_at: dt.datetime | None = None
    remind_days: int = REMIND_DAYS


def say(channel_id: int, statement: Statement, actor: Actor, now: dt.datetime) -> None:
    """Store what a person says; raises Refusal with every problem, NotFound if the channel is gone.

    A provider's next answer about the same signature counts instead, unless it does not know. Runs being sent to a
    carrier that has turned red are held.
    """
    require(actor, Right.REGISTRATION_WRITE)
    statement = dataclasses.replace(statement, value=tidy(statement.kind, statement.value))
    problems = _problems(statement, now)
    if problems:
        raise Refusal(*problems)
    words = (statement.words.strip(),) if statement.words.strip() else ()
    with writing() as session:
        if session.get(ChannelRow, channel_id) is None:
            raise NotFound("channel")
        known = store.of_values(session, channel_id, [(str(statement.kind), statement.value)])
        before = {entry.carrier: entry for entry in known}
        entries = [
            Registration(
                statement.kind,
                statement.value,
                carrier,
                statement.state,
                words,
                _since(before.get(carrier), statement.state, now),
                now,
                RegistrationSource.PERSON,
                statement.expires_at if statement.state in GOOD else None,
                statement.remind_days,
            )
            for carrier in statement.carriers
        ]
        store.store(session, channel_id, entries)
        registration_guard.hold_running(session, channel_id, now)
        facts = {"kind": str(statement.kind), "state": str(statement.state), "value": statement.value}
        log_action(session, actor, "say", NOUN, channel_id, now, **facts)


def _since(before: Registration | None, state: RegistrationState, now: dt.datetime) -> dt.datetime:
    return before.since if before and before.state is state and before.since else now


def forget(channel_id: int, kind: RegistrationKind, value: str, actor: Actor, now: dt.datetime) -> None:
    """Remove what is stored of a value; raises NotFound if nothing is."""
    require(actor, Right.REGISTRATION_WRITE)
    with writing() as session:
        if not store.forget(session, channel_id, str(kind), value):
            raise NotFound(NOUN)
        log_action(session, actor, "delete", NOUN, channel_id, now, value=value, kind=str(kind))


def end_of_day(day: dt.date) -> dt.datetime:
    """Return the last second of a day in the default zone: a term lasts until then."""
    day = min(max(day, FIRST_DAY), LAST_DAY)
    return dt.datetime.combine(day, dt.time(23, 59, 59), ZoneInfo(settings().DEFAULT_ZONE)).astimezone(dt.UTC)


def tidy(kind: RegistrationKind, value: str) -> str:
    """Return a value as it is stored: a signature without brackets, a link and a number as texts are read."""
    value = value.strip()
    if kind is RegistrationKind.SIGNATURE:
        return value.strip("【】").strip()
    if kind in (RegistrationKind.LINK, RegistrationKind.PHONE):
        infos = [info for info in contact_details(value) if info.is_link == (kind is RegistrationKind.LINK)]
        return infos[0].value if infos else value
    return value


def _problems(statement: Statement, now: dt.datetime) -> list[Problem]:
    problems = []
    if not statement.value:
        problems.append(Problem("registration_value_missing", "value"))
    elif len(statement.value) > LONGEST_VALUE:
        problems.append(Problem("registration_value_long", "value", {"most": LONGEST_VALUE}))
    if not statement.carriers or any(carrier not in REGISTRARS for carrier in statement.carriers):
        problems.append(Problem("registration_carrier_missing", "carriers"))
    if len(statement.words) > LONGEST_REASON:
        problems.append(Problem("registration_words_long", "words", {"most": LONGEST_REASON}))
    if statement.expires_at is not None and statement.expires_at <= now:
        problems.append(Problem("registration_term_over", "expires"))
    if not 0 <= statement.remind_days <= LONGEST_REMINDER:
        problems.append(Problem("registration_remind_days", "remind", {"most": LONGEST_REMINDER}))
    return problems
