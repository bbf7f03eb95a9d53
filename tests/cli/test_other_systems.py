"""flask contacts import --from and flask campaigns import-pinpoint: what scripts get."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from flask.testing import FlaskCliRunner

from config import HERE
from smsapp.domain.schedule import Kind
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate
from tests import builders

pytestmark = pytest.mark.parametrize("config", ["sqlite"], indirect=True)
FILES = HERE / "tests" / "files" / "other_systems"


def test_an_export_comes_in_with_a_segment_and_its_counts_add_up(runner: FlaskCliRunner, tmp_path: Path) -> None:
    path = tmp_path / "export.json.gz"
    path.write_bytes(gzip.compress((FILES / "pinpoint_export.json").read_bytes()))
    result = runner.invoke(args=["contacts", "import", str(path), "--from", "pinpoint", "--segment", "Gold"])
    assert (result.exit_code, result.stdout) == (
        3,
        "5 rows: 2 new, 0 updated, 1 merged, 2 refused.\n1 numbers are on the opt-out list now.\n",
    )
    assert "This is a file of Amazon Pinpoint." in result.stderr
    assert "row 2: Another row of the same person came in" in result.stderr
    assert "2065550" not in result.output
    assert current_session().query(Segment.name, Segment.size).one() == ("Gold", 2)
    assert path.exists()
    assert not list((settings().INSTANCE_DIR / "uploads").iterdir())


def test_a_dry_run_of_an_export_says_the_same_and_writes_nothing(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["contacts", "import", str(FILES / "pinpoint_export.json"), "--dry-run"])
    assert (result.exit_code, result.stdout) == (
        3,
        "5 rows: 2 can be kept, 1 merged, 2 refused. Nothing was written.\n"
        "1 numbers would be put on the opt-out list.\n",
    )
    assert current_session().query(Contact).count() == 0


def test_a_file_of_another_system_than_said_cannot_be_used(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["contacts", "import", str(FILES / "notify.csv"), "--from", "pinpoint"])
    assert result.exit_code == 2
    assert "This is no file of Amazon Pinpoint: there is no column ChannelType, Address." in result.stderr


def test_campaigns_that_became_drafts_before_become_none_again(runner: FlaskCliRunner) -> None:
    args = ["campaigns", "import-pinpoint", str(FILES / "pinpoint_campaigns.json")]
    runner.invoke(args=args)
    before = current_session().query(Campaign.id, Campaign.version).all()

    again = runner.invoke(args=args)

    assert again.exit_code == 3, again.output
    assert "It became draft 1 when it was imported before; nothing was changed." in again.stdout
    assert "4 campaigns: 0 drafts, 4 left out." in again.stdout
    assert current_session().query(Campaign.id, Campaign.version).all() == before


def test_campaigns_become_drafts_with_templates_and_what_is_to_choose(runner: FlaskCliRunner) -> None:
    channel, segment = builders.channel(), builders.segment()
    builders.known_property("firstname")
    args = ["campaigns", "import-pinpoint", str(FILES / "pinpoint_campaigns.json"), "--channel", channel.name]
    result = runner.invoke(args=[*args, "--segment", f"b66c9e42f71444b2aa2e0ffc1df28f60={segment.name}"])
    assert result.exit_code == 3, result.output
    assert "left out: MyCampaign1\n  - It sends no SMS but: EmailMessage." in result.stdout
    assert "4 campaigns: 3 drafts, 1 left out." in result.stdout
    weekly, at_once, elsewhere = current_session().query(Campaign).order_by(Campaign.id).all()
    assert (weekly.name, weekly.status, weekly.segment_id) == ("Weekly offers", "draft", segment.id)
    assert weekly.schedule["kind"] == Kind.WEEKLY
    assert (weekly.zone, weekly.schedule["time"], weekly.schedule["weekdays"]) == ("Etc/GMT-8", "10:00:00", [1])
    assert weekly.mapping == {"FirstName": {"property": "firstname", "fallback": None}}
    template = current_session().get(SmsTemplate, at_once.template_id)
    assert template is not None
    assert (template.audit, template.purpose) == ("pending", "notification")
    # A marketing text without unsubscribe words is no template; why, stands among the choices.
    assert "text: Hello ${FirstName}, new offers for ${Interests}." in result.stdout
    assert (weekly.template_id, "拒收请回复R" in result.stdout) == (None, True)
    assert at_once.schedule["kind"] == Kind.NOW
    assert elsewhere.template_id is None
    for told in (
        "Choose what fills the variable “Interests”",
        "10 percent of the people were held out",
        "The text is in the message template “welcome” of Pinpoint",
        "It was sent when something happened (EVENT)",
        "Its quiet time does not come in.",
    ):
        assert told in result.stdout


def test_a_dry_run_of_campaigns_writes_nothing_and_other_files_are_refused(
    runner: FlaskCliRunner, tmp_path: Path
) -> None:
    result = runner.invoke(args=["campaigns", "import-pinpoint", str(FILES / "pinpoint_campaigns.json"), "--dry-run"])
    assert "text: Your order is on its way." in result.stdout
    assert current_session().query(Campaign).count() == 0
    other = tmp_path / "other.json"
    other.write_text('{"name": "x"}')
    refused = runner.invoke(args=["campaigns", "import-pinpoint", str(other)])
    assert refused.exit_code == 1
    assert "There is no campaign of Amazon Pinpoint in this file." in refused.output
