"""The page of what an AppKey brought: hours, alarms, and the undo with one click."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskCliRunner

from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, key_undo, key_watch
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests.uploads import report

BY = Actor("test")


def brought(n: int = 30, code: str = "+4474") -> AppKey:
    """A browser key that has just brought contacts with numbers of an unusual country."""
    row = app_keys.create("网站", KeyKind.BROWSER, BY, clock.now())
    records = [
        {"appid": row.key, "xwho": f"bad{i}", "xwhat": "$profile_set", "xcontext": {"$phone": f"{code}{i:08d}"}}
        for i in range(n)
    ]
    report(records, "", clock.now())
    return row


def test_hours_are_shown_and_undone_with_a_click(client: Any) -> None:
    row = brought()
    administrator = client.as_("administrator")
    page = administrator.get(f"/keys/{row.id}/watch")
    assert "+44 30" in " ".join(page.get_text().split())
    administrator.post(page.select_one("form[action*='undo?since=']")["action"])
    undo = key_undo.latest(row.id)
    assert undo is not None
    key_undo.run(undo.id, clock.now)
    page = administrator.get(f"/keys/{row.id}/watch")
    assert "30" in page.select_one("#key-undo").get_text()
    assert current_session().query(Contact).count() == 30
    administrator.post(f"/keys/{row.id}/watch/undo/{undo.id}", disable="1")
    key_undo.run(undo.id, clock.now)
    assert current_session().query(Contact).count() == 0
    assert not app_keys.key(row.id).active
    assert administrator.get(f"/keys/{row.id}/watch").select_one("#key-undo button") is None


def test_an_hour_that_cannot_be_undone_is_told(client: Any) -> None:
    row = brought()
    administrator = client.as_("administrator")
    administrator.get(f"/keys/{row.id}/watch")
    page = administrator.post(f"/keys/{row.id}/watch/undo?since=2020-01-01T00:00:00Z", status=422)
    assert page.select(".field-errors, .problems, .flash-danger, [role=alert]")
    assert key_undo.latest(row.id) is None


def test_alarms_are_told_on_the_first_page_and_noted(client: Any) -> None:
    row = brought()
    key_watch.look(clock.now())
    administrator = client.as_("administrator")
    assert administrator.get("/campaigns/").select(f"a[href='/keys/{row.id}/watch']")
    page = administrator.get(f"/keys/{row.id}/watch")
    until = page.select_one("input[name=until]")["value"]
    administrator.post(f"/keys/{row.id}/watch/alarms", until=until)
    assert key_watch.unnoted() == []
    administrator.post(f"/keys/{row.id}/watch/pausing", pauses="1")
    current_session().expire_all()
    assert app_keys.key(row.id).pauses_on_alarm


def test_a_key_that_brought_nothing_says_what_to_do(client: Any) -> None:
    row = app_keys.create("网站", KeyKind.BROWSER, BY, clock.now())
    page = client.as_("administrator").get(f"/keys/{row.id}/watch")
    assert page.select(".empty-state a")


def test_only_administrators_watch_keys(client: Any) -> None:
    row = brought()
    client.as_("operator").get(f"/keys/{row.id}/watch", status=403)


def test_the_command_line_watches_and_undoes(runner: FlaskCliRunner) -> None:
    row = brought()
    key_watch.look(clock.now())
    shown = runner.invoke(args=["keys", "hours", row.key]).output
    assert "created 30" in shown
    assert "ALARM" in shown
    assert "A" in runner.invoke(args=["doctor"]).output
    preview = runner.invoke(args=["keys", "undo", row.key, "--hours", "1"])
    assert "30 contacts removed" in preview.output
    assert current_session().query(Contact).count() == 30
    assert runner.invoke(args=["keys", "undo", row.key, "--hours", "1", "--yes"]).exit_code == 0
    assert current_session().query(Contact).count() == 0
