"""`flask campaigns` and `flask schedule`, as a script calls them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from flask.testing import FlaskCliRunner

from smsapp.domain.approval import ApprovalRule
from smsapp.domain.campaign import Status
from smsapp.domain.message import Status as MessageStatus
from smsapp.domain.run import HoldReason, RunState
from smsapp.services.campaigns import campaign_approvals
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import approval_rule
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from tests import builders, ledgers

AUDIENCE = {"target": 350, "planned": 350, "prefixes": {"+86138": 50, "+979": 300}}
DAILY = {"kind": "daily", "zone": "Europe/Berlin", "time": "02:30:00", "start": "2031-03-29", "end": "2031-03-31"}


@pytest.fixture
def waiting(app: object) -> Campaign:
    due = dt.datetime(2031, 3, 29, 1, 30, tzinfo=dt.UTC)
    return builders.campaign(
        name="柏林早安", status=Status.WAITING, recurring=True, schedule=DAILY, zone="Europe/Berlin", next_due_at=due
    )


def test_the_list_has_a_line_per_campaign(runner: FlaskCliRunner, waiting: Campaign) -> None:
    builders.campaign(name="草稿")

    done = runner.invoke(args=["campaigns", "list", "--status", "waiting"])
    by_keyword = runner.invoke(args=["campaigns", "list", "--keyword", "草"])
    short = runner.invoke(args=["campaigns", "list", "--limit", "1"])

    assert done.exit_code == by_keyword.exit_code == short.exit_code == 0
    assert done.output.split() == [str(waiting.id), "waiting", "2031-03-29T01:30:00Z", "-", "-", "-", "柏林早安"]
    assert by_keyword.output.split()[-1] == "草稿"
    assert "There are more" in short.output


def test_one_campaign_is_shown_with_what_it_lacks(runner: FlaskCliRunner, waiting: Campaign) -> None:
    draft = builders.campaign(name="半成品", template_id=None)

    result = runner.invoke(args=["campaigns", "show", str(waiting.id)])
    lacking = runner.invoke(args=["campaigns", "show", str(draft.id)])

    assert result.exit_code == 0
    assert "2031-03-29T02:30:00+01:00" in result.output
    assert "lacks" not in result.output
    assert "lacks" in lacking.output


def test_what_waits_can_be_stopped_once(runner: FlaskCliRunner, waiting: Campaign) -> None:
    first = runner.invoke(args=["campaigns", "stop", str(waiting.id)])
    second = runner.invoke(args=["campaigns", "stop", str(waiting.id)])

    assert (first.exit_code, second.exit_code) == (0, 1)
    assert "is stopped, not waiting" in second.output
    current_session().expire_all()
    assert current_session().get_one(Campaign, waiting.id).status == "stopped"


def test_a_campaign_whose_audience_grew_is_accepted_as_it_was_shown(runner: FlaskCliRunner, valkey: object) -> None:
    campaign = builders.campaign(
        status=Status.SENDING, reviewed={"confirmed": AUDIENCE | {"planned": 50}, "previous": None}
    )
    grown = {"now": AUDIENCE, "before": 50, "countries": {"+979": 300}, "prefixes": {}, "groups": []}
    columns: dict[str, Any] = {
        "state": RunState.HELD,
        "hold_reason": HoldReason.AUDIENCE_GREW,
        "drift": grown,
        "started_at": None,
    }
    run = ledgers.run(campaign, [], {}, **columns)

    result = runner.invoke(args=["campaigns", "show", str(campaign.id)])
    wrong = runner.invoke(args=["campaigns", "accept", str(campaign.id), "--mark", "another", "--yes"])
    prompt = runner.invoke(args=["campaigns", "accept", str(campaign.id)], input="n\n")
    command = next(line for line in result.output.splitlines() if line.startswith("accept with")).split("flask ")[1]
    done = runner.invoke(args=[*command.split(), "--yes"])
    again = runner.invoke(args=["campaigns", "accept", str(campaign.id), "--yes"])

    assert {"reviewed       50", "now            350", "new +979       300"} <= set(result.output.splitlines())
    assert (wrong.exit_code, prompt.exit_code, done.exit_code, again.exit_code) == (1, 1, 0, 1)
    assert "Its audience is another one by now" in wrong.output
    assert "50 messages were reviewed, 350 would be sent." in prompt.output
    assert done.output == f"Campaign {campaign.id} goes on with 350 messages.\n"
    assert "is not held because of its audience" in again.output
    current_session().expire_all()
    assert current_session().get_one(Run, run.id).state == RunState.OPEN


def test_what_is_due_is_printed_in_order(runner: FlaskCliRunner) -> None:
    soon = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=2)
    schedule = {"kind": "once", "zone": "UTC", "time": f"{soon:%H:%M:%S}", "start": f"{soon:%Y-%m-%d}"}
    builders.campaign(name="快了", status=Status.WAITING, schedule=schedule, next_due_at=soon)

    assert "快了" in runner.invoke(args=["campaigns", "due"]).output
    assert "快了" not in runner.invoke(args=["campaigns", "due", "--hours", "1"]).output


@pytest.mark.parametrize("command", [["show", "99"], ["stop", "99"]])
def test_an_unknown_campaign_is_an_error_in_words(runner: FlaskCliRunner, command: list[str]) -> None:
    done = runner.invoke(args=["campaigns", *command])

    assert done.exit_code == 1
    assert done.output == "Error: There is no campaign 99.\n"


def test_the_sends_of_a_campaign_are_previewed_with_notes(runner: FlaskCliRunner, waiting: Campaign) -> None:
    done = runner.invoke(args=["schedule", "preview", str(waiting.id)])

    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert [line.split()[-1 if n != 1 else 3] for n, line in enumerate(lines[1:])] == [
        "2031-03-29T01:30:00Z", "2031-03-30T01:00:00Z", "2031-03-31T00:30:00Z",
    ]  # fmt: skip
    assert len(lines[2].split()) > 4, "clocks go forward"


def test_any_schedule_can_be_tried(runner: FlaskCliRunner) -> None:
    args = ["--kind", "monthly", "--days", "31,last", "--time", "09:30:15", "--start", "2031-02-01", "-n", "2"]
    done = runner.invoke(args=["schedule", "preview", *args])
    weekly = runner.invoke(args=["schedule", "preview", "--kind", "weekly", "--days", "1,4", "-n", "4"])

    assert [line.split()[:3] for line in done.output.splitlines()[1:]] == [
        ["2031-02-28", "Fri", "09:30:15+0800"],
        ["2031-03-31", "Mon", "09:30:15+0800"],
    ]
    assert {line.split()[1] for line in weekly.output.splitlines()[1:]} == {"Mon", "Thu"}


@pytest.mark.parametrize(
    "args",
    [
        ["--kind", "weekly"],
        ["--kind", "weekly", "--days", "8"],
        ["--kind", "monthly", "--days", "first"],
        ["--days", "1"],
        ["--time", "25:00"],
        ["--zone", "Mars/Olympus"],
        ["--kind", "now"],
        ["--start", "31.12.2031"],
    ],
)
def test_options_that_make_no_sense_are_refused(runner: FlaskCliRunner, args: list[str]) -> None:
    assert runner.invoke(args=["schedule", "preview", *args]).exit_code == 2


def test_a_preview_of_an_unknown_campaign_is_an_error(runner: FlaskCliRunner) -> None:
    assert runner.invoke(args=["schedule", "preview", "99"]).exit_code == 1


def test_messages_unconfirmed_are_listed_and_decided(runner: FlaskCliRunner) -> None:
    campaign = ledgers.campaign(status="sent")
    ended: dict[str, Any] = {"state": RunState.DONE, "verdict": "sent", "finished_at": ledgers.OPENED}
    run = ledgers.run(campaign, [(MessageStatus.UNCONFIRMED, "worker_lost", "", 3)], {}, **ended)

    listed = runner.invoke(args=["campaigns", "unconfirmed"])
    done = runner.invoke(args=["campaigns", "resolve", str(run.id), "sent", "--yes"])
    late = runner.invoke(args=["campaigns", "resolve", str(run.id), "resend", "--yes"])
    verified = runner.invoke(args=["reports", "verify"])

    assert f"{run.id}  2026-03-02T02:00:00Z" in listed.output
    assert "worker_lost 3" in listed.output
    assert done.output == "3 messages: sent.\n"
    assert (late.exit_code, late.stderr) == (1, f"Error: Nothing of run {run.id} is unconfirmed.\n")
    assert verified.exit_code == 0, verified.output


def test_what_is_being_sent_is_paused_resumed_and_ended(runner: FlaskCliRunner) -> None:
    # given a campaign with five messages not sent, three at the provider and two unconfirmed
    campaign = ledgers.campaign()
    run = ledgers.run(campaign)
    number = str(campaign.id)

    paused = runner.invoke(args=["campaigns", "pause", number])
    state = current_session().get_one(type(run), run.id, populate_existing=True).state
    again = runner.invoke(args=["campaigns", "pause", number])
    resumed = runner.invoke(args=["campaigns", "resume", number])
    prompt = runner.invoke(args=["campaigns", "end", number], input="n\n")
    ended = runner.invoke(args=["campaigns", "end", number, "--yes"])
    late = runner.invoke(args=["campaigns", "resume", number])

    assert (paused.exit_code, state) == (0, RunState.HELD)
    assert "3 at the provider, 5 not sent, 2 unconfirmed" in paused.output
    assert (again.exit_code, resumed.exit_code, prompt.exit_code, ended.exit_code, late.exit_code) == (1, 0, 1, 0, 1)
    assert "0 not sent, 2 unconfirmed, 6 cancelled" in ended.output
    assert runner.invoke(args=["campaigns", "pause", "4711"]).exit_code == 1


def test_a_draft_is_rehearsed_and_printed_for_people_and_scripts(runner: FlaskCliRunner, app: object) -> None:
    builders.contacts(3)
    draft = builders.campaign(name="预演", channel_id=builders.channel(price="0.05").id)
    incomplete = builders.campaign(template_id=None)
    sent = builders.campaign(status=Status.SENT)

    printed = runner.invoke(args=["campaigns", "rehearse", str(draft.id)])
    as_json = runner.invoke(args=["campaigns", "rehearse", str(draft.id), "--json"])
    lacking = runner.invoke(args=["campaigns", "rehearse", str(incomplete.id)])
    over = runner.invoke(args=["campaigns", "rehearse", str(sent.id)])
    nowhere = runner.invoke(args=["campaigns", "rehearse", "999"])

    assert printed.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in printed.output.splitlines() if len(line.split()) == 2)
    assert lines["planned"] == "3"
    assert "billed parts   3" in printed.output
    result = json.loads(as_json.output)
    assert (result["planned"], result["spread"], result["parts"]) == (3, {"1": 3}, 3)
    assert float(result["price"]) == 0.05
    assert (lacking.exit_code, over.exit_code, nowhere.exit_code) == (1, 1, 1)
    assert "is sent by now" in over.output


def test_what_waits_for_a_second_person_is_listed(runner: FlaskCliRunner, now: dt.datetime) -> None:
    approval_rule.save(ApprovalRule(True, 2, None, 10), Actor("test"), now)
    builders.contacts(3)
    campaign = builders.campaign(name="会员日")
    short = campaign_approvals.ask(campaign.id, campaign.version, Actor("test"), now)
    result = runner.invoke(args=["campaigns", "approvals"])
    assert result.output.strip("\n").split("\t") == [str(campaign.id), "", short, "3", "", "会员日"]
