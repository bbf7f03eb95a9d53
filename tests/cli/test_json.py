"""--json: what commands list, show and make is one JSON document, and so is what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
import redis
from flask import Flask
from flask.testing import FlaskCliRunner

from config import Config
from smsapp.store.db import current_session
from tests import builders, ledgers

SHOWING = re.compile(r"list|show|preview|due|waiting|suspected|lapsing|log|approvals|unconfirmed|sessions|count|health")
FOREIGN = {"db", "routes", "run", "shell"}
"""Commands that Flask and Flask-Migrate bring."""
SNAKE = re.compile(r"[a-z0-9_]+")


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: the services beneath are tested on both databases."""
    return sqlite_config


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if path or name not in FOREIGN:
            if isinstance(command, click.Group):
                yield from commands(command, (*path, name))
            else:
                yield (*path, name), command


def test_every_command_that_lists_or_shows_takes_json(app: Flask) -> None:
    without = [
        " ".join(path)
        for path, command in commands(app.cli)
        if SHOWING.fullmatch(path[-1]) and not any("--json" in parameter.opts for parameter in command.params)
    ]
    assert not without, without


def test_every_list_is_one_document_with_stable_names(app: Flask, runner: FlaskCliRunner) -> None:
    # Given something of most kinds
    campaign = ledgers.campaign()
    ledgers.run(campaign)
    builders.known_property("city")
    # When every list that needs no argument is asked for as JSON
    shown = 0
    for path, command in commands(app.cli):
        needed = any(parameter.required for parameter in command.params)
        if path[-1] == "list" and not needed:
            result = runner.invoke(args=[*path, "--json"])
            # Then it is one document of items, whose names are plain
            assert result.exit_code == 0, (path, result.output, result.exception)
            document = json.loads(result.stdout)
            assert isinstance(document["items"], list), path
            if document["items"]:
                assert all(SNAKE.fullmatch(name) for name in document["items"][0]), path
            shown += 1
    assert shown > 12


def test_one_campaign_is_what_the_api_shows(runner: FlaskCliRunner) -> None:
    campaign = builders.campaign(name="三月")
    document = json.loads(runner.invoke(args=["campaigns", "show", str(campaign.id), "--json"]).stdout)
    assert (document["id"], document["name"], document["status"]) == (campaign.id, "三月", "draft")
    assert {"audience", "mapping", "schedule", "provenance", "version", "problems"} <= document.keys()
    report = json.loads(runner.invoke(args=["reports", "show", str(campaign.id), "--json"]).stdout)
    assert report["campaign"]["id"] == campaign.id


def test_what_is_wrong_is_json_too_on_stderr(runner: FlaskCliRunner) -> None:
    for arguments, code, status in (
        (["campaigns", "show", "99"], "failed", 1),
        (["campaigns", "show"], "usage", 2),
        (["segments", "count", "nobody"], "not_found", 1),
        (["templates", "list", "--channel", "nowhere"], "unusable", 2),
    ):
        result = runner.invoke(args=[*arguments, "--json"])
        assert (result.exit_code, result.stdout) == (status, ""), arguments
        problem = json.loads(result.stderr)
        assert (problem["code"], bool(problem["detail"])) == (code, True), arguments
        # And without --json it is a sentence
        assert not runner.invoke(args=arguments).stderr.startswith("{")


def test_what_is_made_is_named_by_its_id(runner: FlaskCliRunner) -> None:
    made = json.loads(runner.invoke(args=["segments", "create", "All", "-", "--json"], input="{}").stdout)
    assert made["id"]
    builders.contact("u1")
    listed = json.loads(runner.invoke(args=["segments", "from-ids", "Two", "-", "--json"], input="u1\nu2\n").stdout)
    assert listed["size"] == 1
    assert json.loads(runner.invoke(args=["segments", "remove", "Two", "--json"]).stdout) == {"deleted": True}


def test_a_script_takes_a_draft_from_json_to_its_run(runner: FlaskCliRunner) -> None:
    def flask(*arguments: str, given: object = None) -> Any:
        text = None if given is None else json.dumps(given)
        result = runner.invoke(args=[*arguments, "--json"], input=text)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    # Given a contact, a segment and a template
    builders.known_property("$phone")
    builders.contact("u1", builders.phone(1))
    channel = builders.channel(price="0.05")
    template = builders.template(channel.id)
    fields = {"channel_id": channel.id, "template_id": template.id, "audience": {"include": [builders.segment().id]}}
    current_session().expire_all()
    # When a script drafts, changes one field, estimates, and confirms exactly that
    made = flask("campaigns", "create", "-", given=fields)
    changed = flask("campaigns", "change", str(made["id"]), "-", given={"name": "三月", "audience": fields["audience"]})
    assert (changed["name"], changed["channel_id"], changed["provenance"]) == ("三月", channel.id, {})
    campaign = str(made["id"])
    estimate = flask("campaigns", "estimate", campaign)
    assert (estimate["ready"], estimate["planned"]) == (True, 1)
    assert flask("campaigns", "confirm", campaign, "--digest", estimate["digest"])["status"] == "sending"
    # Then its run is there, and rows are read page by page
    assert flask("campaigns", "runs", campaign)["items"][0]["state"] == "open"
    assert flask("campaigns", "messages", campaign)["next"] is None
    assert flask("campaigns", "exclusions", campaign)["items"] == []
    # And what does not fit names its place, and what was sent is not deleted
    unfit = runner.invoke(args=["campaigns", "create", "-", "--json"], input='{"status": "sent"}')
    assert "status: " in json.loads(unfit.stderr)["detail"]
    refused = runner.invoke(args=["campaigns", "delete", campaign, "--json"])
    assert (refused.exit_code, json.loads(refused.stderr)["code"]) == (1, "conflict")


def test_contacts_are_shown_with_masked_numbers_and_removed(runner: FlaskCliRunner) -> None:
    builders.known_property("$phone")
    builders.contact("u1", builders.phone(1))
    shown = runner.invoke(args=["contacts", "show", "u1", "--json"])
    assert json.loads(shown.stdout)["numbers"] == {"$phone": "138****0001"}
    assert "138****0001" in runner.invoke(args=["contacts", "list"]).stdout
    assert runner.invoke(args=["contacts", "delete", "u1"]).stdout == "deleted\n"
    assert json.loads(runner.invoke(args=["contacts", "list", "--json"]).stdout)["items"] == []
