"""`flask calendar` and `flask campaigns skip`, as a script calls them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from flask.testing import FlaskCliRunner

from smsapp.domain.campaign import Status
from smsapp.domain.schedule import Kind, Schedule
from tests import builders


def test_days_are_listed_imported_and_taken_back(runner: FlaskCliRunner, tmp_path: Path) -> None:
    shipped = runner.invoke(args=["calendar", "list", "--year", "2027"])
    assert "2027-02-05  off       春节  (provisional)" in shipped.output
    file = tmp_path / "days.csv"
    file.write_text("2027-02-05,off,New Year\n", encoding="utf-8")
    imported = runner.invoke(args=["calendar", "import", str(file)])
    assert (imported.exit_code, imported.output) == (0, "1 days of 2027 were imported.\n")
    listed = runner.invoke(args=["calendar", "list", "--year", "2027"])
    assert listed.output == "2027-02-05  off       New Year\n"
    assert runner.invoke(args=["calendar", "restore", "2027"]).exit_code == 0
    assert runner.invoke(args=["calendar", "restore", "2027"]).exit_code == 1
    file.write_text("sometime,off\n", encoding="utf-8")
    assert runner.invoke(args=["calendar", "import", str(file)]).exit_code == 1


def test_a_date_of_a_waiting_campaign_is_skipped(runner: FlaskCliRunner, valkey: object) -> None:
    schedule = Schedule(Kind.DAILY, "UTC", dt.time(10), dt.date(2031, 3, 1))
    due = dt.datetime(2031, 3, 1, 10, tzinfo=dt.UTC)
    campaign = builders.campaign(
        status=Status.WAITING, recurring=True, schedule=schedule.as_json(), zone="UTC", next_due_at=due
    )
    done = runner.invoke(args=["campaigns", "skip", str(campaign.id), "2031-03-01"])
    assert "is 2031-03-02T10:00:00+00:00." in done.output
    undone = runner.invoke(args=["campaigns", "skip", str(campaign.id), "2031-03-01", "--undo"])
    assert "is 2031-03-01T10:00:00+00:00." in undone.output
    shown = runner.invoke(args=["schedule", "preview", str(campaign.id), "-n", "1"])
    assert "2031-03-01" in shown.output
    assert runner.invoke(args=["campaigns", "skip", str(campaign.id), "2030-01-01"]).exit_code == 1
    assert runner.invoke(args=["campaigns", "skip", str(builders.campaign().id), "2031-03-01"]).exit_code == 1
