"""`flask reports` for people and for scripts."""

from __future__ import annotations

import json
from dataclasses import replace

from flask.testing import FlaskCliRunner

from smsapp.store.db import current_session
from smsapp.store.runs.tallies import Tally
from tests import ledgers


def test_a_report_is_printed_for_people(runner: FlaskCliRunner) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)

    result = runner.invoke(args=["reports", "show", str(campaign.id)])

    assert result.exit_code == 0, result.output
    assert "effective" in result.output
    assert "undelivered: switched_off" in result.output
    assert "22 billed parts, 0.99 CNY" in result.output


def test_a_report_is_one_json_object_for_scripts(runner: FlaskCliRunner) -> None:
    campaign = ledgers.campaign()
    run = ledgers.run(campaign, ledgers.EVERY_STATE, snapshot=replace(ledgers.SNAPSHOT, price=None))

    result = runner.invoke(args=["reports", "show", str(campaign.id), "--json"])

    report = json.loads(result.stdout)
    target = 35 + sum(ledgers.EVERY_LEFT.values())
    assert report["steps"] == {"target": target, "effective": target - 3, "accepted": 22, "delivered": 12}
    assert report["runs"][0]["id"] == run.id
    assert report["costs"] == [{"parts": 22, "amount": None, "currency": ""}]
    assert {line["reason"] for line in report["reasons"]} >= {"switched_off", "worker_lost"}


def test_a_campaign_that_is_not_there_ends_with_one(runner: FlaskCliRunner) -> None:
    for command in (["show", "7"], ["verify", "7"]):
        result = runner.invoke(args=["reports", *command])

        assert result.exit_code == 1
        assert "There is no campaign 7." in result.stderr


def test_verify_is_content_with_true_numbers_and_names_false_ones(runner: FlaskCliRunner) -> None:
    campaign = ledgers.campaign()
    run = ledgers.run(campaign)

    good = runner.invoke(args=["reports", "verify"])
    current_session().get_one(Tally, (run.id, "delivered", "")).n -= 1
    current_session().commit()
    bad = runner.invoke(args=["reports", "verify", str(campaign.id)])

    assert (good.exit_code, good.output) == (0, "1 runs checked; numbers are off in 0 places.\n")
    assert bad.exit_code == 1
    assert f"run {run.id}: delivered: stored 11 != rows 12" in bad.output
