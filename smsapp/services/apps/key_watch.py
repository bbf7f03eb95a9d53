"""Watching AppKeys: what each brought, hour by hour, and the alarms that unusual hours raise."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from sqlalchemy.orm import Session

from smsapp.domain import key_undo, key_watch, numbering
from smsapp.domain.key_watch import BLOCK_DIGITS, PAST_DAYS, RULES, TALLY_DAYS, AlarmKind, Hour, Measure
from smsapp.domain.rights import Right
from smsapp.domain.trust import KeyKind, of_key
from smsapp.services.apps import app_keys
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps import key_alarms, key_journal, key_tallies, key_undos
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.apps.key_alarms import KeyAlarm
from smsapp.store.contacts import property_catalogue
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

SHOWN_HOURS = 72
SHOWN_ALARMS = 20
MOST_BLOCKS = 10
WATCH = Actor("AppKey watch")


def hours(key_id: int, now: dt.datetime) -> list[Hour]:
    """Return the latest hours in which this key brought something, the newest first."""
    since = key_watch.hour_of(now) - dt.timedelta(days=TALLY_DAYS)
    return key_watch.by_hour(key_tallies.of_key(current_session(), key_id, since))[:SHOWN_HOURS]


def alarms(key_id: int) -> list[KeyAlarm]:
    """Return the latest alarms of this key, those first that nobody has taken note of."""
    return key_alarms.of_key(current_session(), key_id, SHOWN_ALARMS)


def unnoted() -> list[tuple[KeyAlarm, str]]:
    """Return the alarms of all keys that nobody has taken note of, each with its key's name; the newest."""
    return key_alarms.unnoted(current_session(), SHOWN_ALARMS)


def note(key_id: int, until: int, by: Actor, now: dt.datetime) -> int:
    """Take note of the alarms of this key up to this one; return how many."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        row = app_keys.key(key_id)
        n = key_alarms.note_all(session, key_id, until, by.name, now)
        if n:
            audit_log.log_action(session, by, "note_alarms", "app_key", row.name, now, rows=n)
    return n


def set_pausing(key_id: int, pauses: bool, by: Actor, now: dt.datetime) -> AppKey:
    """Say whether an alarm disables this key."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        row = app_keys.key(key_id)
        if row.pauses_on_alarm is not pauses:
            row.pauses_on_alarm = pauses
            audit_log.log_action(session, by, "change", "app_key", row.name, now, pauses_on_alarm=pauses)
    return row


def has_work(now: dt.datetime) -> bool:
    """Return whether a key brought something lately, or an undo is to be gone on with."""
    session = current_session()
    return bool(key_undos.unfinished(session)) or any(key_tallies.active_keys(session, hour) for hour in _watched(now))


def _watched(now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    hour = key_watch.hour_of(now)
    return hour - dt.timedelta(hours=1), hour


def look(now: dt.datetime) -> int:
    """Compare this hour and the one before with the days before them; return how many new alarms there are."""
    raised = 0
    for looked_at in _watched(now):
        for key_id in key_tallies.active_keys(current_session(), looked_at):
            raised += _look_at(key_id, looked_at, now)
    return raised


def _look_at(key_id: int, hour: dt.datetime, now: dt.datetime) -> int:
    session = current_session()
    row = app_keys.key(key_id)
    since = hour - dt.timedelta(days=PAST_DAYS)
    all_hours = key_watch.by_hour(key_tallies.of_key(session, key_id, since))
    present = next((one for one in all_hours if one.at == hour), Hour(hour))
    past = [one for one in all_hours if one.at < hour]
    home = numbering.calling_code(settings().DEFAULT_REGION)
    unusual = key_watch.alarms(present, past, home, _blocks(session, row, present))
    if not unusual:
        return 0
    with writing() as session:
        row = app_keys.key(key_id)
        pauses = row.pauses_on_alarm and row.active
        raised = [alarm for alarm in unusual if key_alarms.add(session, key_id, hour, alarm, now, disabled=pauses)]
        if raised and pauses:
            row.active = False
            audit_log.log_action(session, WATCH, "disable", "app_key", row.name, now, cause=raised[0].kind.value)
    return len(raised)


def _blocks(session: Session, row: AppKey, hour: Hour) -> Mapping[str, int]:
    rule = RULES[AlarmKind.BLOCK]
    if hour.total(Measure.CREATED) < rule.fewest:
        return {}
    prefix = of_key(KeyKind(row.kind), row.id, hour.at).as_text().rpartition(":")[0] + ":"
    properties = property_catalogue.phone_properties(session)
    return key_alarms.blocks(session, prefix, properties, hour.at, BLOCK_DIGITS, rule.fewest, MOST_BLOCKS)


def forget_old(now: dt.datetime) -> None:
    """Remove tallies and noted alarms past TALLY_DAYS, and replaced values past their days or their room."""
    with writing() as session:
        before = key_watch.hour_of(now) - dt.timedelta(days=TALLY_DAYS)
        key_tallies.delete_old(session, before)
        key_alarms.delete_old(session, before)
        oldest = now - dt.timedelta(days=key_undo.KEPT_DAYS)
        for key_id, floor in key_journal.delete_old(session, oldest, settings().UP_UNDO_MB * 2**20).items():
            row = app_keys.key(key_id)
            # A moment later: what was replaced at that very moment is gone.
            row.undo_from = max(row.undo_from or row.created_at, floor + dt.timedelta(seconds=1))
