"""Tags, the archive and refusals on the command line."""

from __future__ import annotations

import pytest
import redis
from flask import Flask
from flask.testing import FlaskCliRunner

from config import Config
from smsapp.cli.output import CommandGroup
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Problem, Refusal
from tests import builders

TWO = Refusal(Problem("tag_missing"), Problem("campaigns_unknown"))


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: what a command prints does not depend on the database."""
    return sqlite_config


def test_each_noun_is_tagged_archived_and_brought_back(runner: FlaskCliRunner) -> None:
    campaign = builders.campaign(name="结束", status=Status.SENT, segment_id=builders.segment(name="老 客").id)
    for noun, which in (
        ("campaigns", str(campaign.id)),
        ("segments", "老 客"),
        ("templates", str(campaign.template_id)),
    ):
        tagged = runner.invoke(args=[noun, "tag", which, "--add", "会员日", "--add", "VIP"])
        taken = runner.invoke(args=[noun, "tag", which, "--take", "vip"])
        assert (tagged.output.split(), taken.output.split()) == (["VIP", "会员日"], ["会员日"])
        assert runner.invoke(args=[noun, "list", "--tag", "会员日"]).output.count("\n") == 1
        assert runner.invoke(args=[noun, "list", "--tag", "VIP"]).output == ""

        archived = runner.invoke(args=[noun, "archive", which])
        assert archived.exit_code == 0, archived.output
        assert runner.invoke(args=[noun, "list"]).output == ""
        assert runner.invoke(args=[noun, "list", "--archived", "--tag", "会员日"]).output.count("\n") == 1
        assert runner.invoke(args=[noun, "restore", which]).output == "1 back.\n"
        assert runner.invoke(args=[noun, "list"]).output.count("\n") == 1
        assert f"flask {noun} archive" in runner.invoke(args=[noun, "archive", "--help"]).output


def test_what_cannot_be_archived_is_said_and_the_rest_is_done(runner: FlaskCliRunner) -> None:
    waiting, ended = (builders.campaign(name=name, status=name) for name in (Status.WAITING, Status.STOPPED))

    done = runner.invoke(args=["campaigns", "archive", str(waiting.id), str(ended.id)])
    segment = runner.invoke(args=["templates", "archive", str(waiting.template_id)])

    assert done.exit_code == segment.exit_code == 1
    assert "“waiting” waits for its time. Stop it first" in done.output
    assert "“stopped” is archived." in done.output
    assert "use this template: waiting." in segment.output


def test_a_refusal_ends_a_command_in_words_however_its_group_says_it(app: Flask, runner: FlaskCliRunner) -> None:
    groups = {
        "usual": CommandGroup("usual"),
        "plain": CommandGroup("plain", plain=True, between="\n"),
    }
    for name, group in groups.items():

        @group.command("do", refusal_code=2)
        def refuse() -> None:
            raise TWO

        app.cli.add_command(group, name)

    usual, plain = (runner.invoke(args=[name, "do"]) for name in groups)

    assert (usual.exit_code, usual.output) == (1, "Error: Give the tag a name. campaigns_unknown\n")
    assert (plain.exit_code, plain.output) == (2, "Give the tag a name.\ncampaigns_unknown\n")
