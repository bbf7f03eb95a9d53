"""flask properties."""

from __future__ import annotations

from flask.testing import FlaskCliRunner

from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests import builders


def test_properties_are_listed_looked_at_and_merged(runner: FlaskCliRunner) -> None:
    builders.known_property("$name", label="姓名")
    builders.known_property("name", label="姓名")
    builders.contact("a", properties={"name": "13912345678"})
    listed = runner.invoke(args=["properties", "list"])
    assert listed.exit_code == 0
    assert "(same as $name)" in listed.output
    result = runner.invoke(args=["properties", "show", "name"])
    assert "139****5678" in result.output
    assert "1 contacts have a value" in runner.invoke(args=["properties", "merge", "name", "$name"]).output
    done = runner.invoke(args=["properties", "merge", "name", "$name", "--yes"])
    assert done.exit_code == 0
    current_session().expire_all()
    assert current_session().query(Contact).one().properties["$name"] == "13912345678"
    missing = runner.invoke(args=["properties", "remove", "no such"])
    assert missing.exit_code == 1
