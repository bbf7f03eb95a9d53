"""`flask segments` and `flask campaigns audience`, as a script calls them."""

from __future__ import annotations

import json

from flask.testing import FlaskCliRunner

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.message import Status
from smsapp.domain.segment import Match
from smsapp.store.campaigns.campaigns import audience_of
from smsapp.store.db import current_session
from tests import builders, ledgers


def test_a_script_builds_an_audience_from_the_ledger(runner: FlaskCliRunner) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign, [(Status.DELIVERED, "", "", 4), (Status.UNDELIVERED, "switched_off", "", 2)], {})
    everybody = builders.segment(name="所有人")
    rule = {"match": "all", "children": [{"ledger": "received", "params": [str(campaign.id)]}]}

    created = runner.invoke(args=["segments", "create", "收到过", "-"], input=json.dumps(rule))
    saved = runner.invoke(
        args=["segments", "save", str(campaign.id), "undelivered", "关机", "--reason", "switched_off"]
    )
    draft = builders.campaign()
    chosen = runner.invoke(
        args=["campaigns", "audience", str(draft.id), "--in", "所有人", "--in", "收到过", "--all", "--not-in", "关机"]
    )

    assert (created.output, saved.output) == ("4 members\n", "2 members\n")
    assert chosen.output == "4 target users: 4 would get it\n"
    current_session().expire_all()
    rule_of_draft = audience_of(draft)
    assert (rule_of_draft.match, rule_of_draft.include[0], len(rule_of_draft.exclude)) == (Match.ALL, everybody.id, 1)
    assert "(所有人 ∩ 收到过) ∖ 关机" in runner.invoke(args=["campaigns", "show", str(draft.id)]).output


def test_what_a_script_gets_wrong_is_said(runner: FlaskCliRunner) -> None:
    draft = builders.campaign()
    unknown = runner.invoke(args=["campaigns", "audience", str(draft.id), "--in", "没有"])
    no_json = runner.invoke(args=["segments", "create", "新", "-"], input="{")
    unread = runner.invoke(args=["segments", "create", "新", "-"], input='{"children": [{"ledger": "x"}]}')
    nowhere = runner.invoke(args=["segments", "save", "999", "planned", "新"])
    assert [result.exit_code for result in (unknown, no_json, unread, nowhere)] == [1, 1, 1, 1]
    assert "no segment of this name" in unknown.output
    assert audience_of(draft) == AudienceRule.of(draft.segment_id)
