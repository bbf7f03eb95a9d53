"""Old messages go, the numbers stay."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain.run import RunState
from smsapp.services.platform import clock
from smsapp.services.reports import reports, verify
from smsapp.services.sending import retention
from smsapp.store.db import current_session, dialect
from smsapp.store.runs import funnels
from smsapp.store.runs.partitions import RUNS_PER_PARTITION
from smsapp.store.runs.provider_refs import ProviderRef
from smsapp.store.runs.runs import Batch, Exclusion, Message, Run
from tests import ledgers

OVER: dict[str, Any] = {"state": RunState.DONE, "verdict": "sent"}


def rows(table: type[Batch | Exclusion | Message | ProviderRef], run_id: int) -> int:
    return current_session().scalar(sa.select(sa.func.count()).select_from(table).where(table.run_id == run_id)) or 0


def old_and_young(now: dt.datetime) -> tuple[Run, Run]:
    """A run that ended a year ago, and, in the next partition, one of yesterday."""
    year, day = now - dt.timedelta(days=365), now - dt.timedelta(days=1)
    old = ledgers.run(ledgers.campaign(), slot=year, finished_at=year, **OVER)
    later: dict[str, Any] = {"id": RUNS_PER_PARTITION + 1, "finished_at": day}
    young = ledgers.run(ledgers.campaign(), slot=day, **later, **OVER)
    current_session().add(
        ProviderRef(channel_id=old.channel_id, ref="ref-1", phone="+8613800138000", run_id=old.id, seq=1, at=0)
    )
    current_session().commit()
    return old, young


def test_messages_of_old_runs_go_and_their_numbers_stay(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 7)
    old, young = old_and_young(now)
    before = funnels.run_funnels(current_session(), [old.id])[old.id]
    messages = rows(Message, young.id)

    forgotten = retention.forget_messages(now, 6)

    assert forgotten == [old.id]
    assert [rows(table, old.id) for table in (Message, Exclusion, Batch, ProviderRef)] == [0, 0, 0, 0]
    assert rows(Message, young.id) == messages > 0
    current_session().expire_all()
    assert funnels.run_funnels(current_session(), [old.id])[old.id] == before
    assert reports.report(old.campaign_id, None, now).forgotten
    # and nothing is left to do, nor is a run without rows taken for one with wrong numbers
    assert retention.forget_messages(now, 6) == []
    assert [check.broken for check in verify.verify(old.campaign_id)] == [[]]


def test_nothing_is_forgotten_unless_somebody_says_so(app: Flask, now: dt.datetime) -> None:
    old, _young = old_and_young(now)
    assert retention.forget_messages(now) == []
    assert rows(Message, old.id) > 0


def test_a_partition_with_one_young_run_stays(app: Flask, now: dt.datetime) -> None:
    old, _young = old_and_young(now)
    ledgers.run(ledgers.campaign(), slot=now, finished_at=now, **OVER, id=old.id + 1)
    if dialect() == "postgresql":
        assert retention.forget_messages(now, 6) == []
    else:
        assert retention.forget_messages(now, 6) == [old.id]


def test_it_is_done_by_hand_too(runner: FlaskCliRunner, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: now)
    old_and_young(now)
    done = runner.invoke(args=["retention", "--months", "1"])
    assert (done.exit_code, done.output) == (0, "The single messages of 1 runs were removed.\n")
