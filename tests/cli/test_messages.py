"""flask messages, as a script calls it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from smsapp.services.platform import clock
from smsapp.services.sending import single_messages as planning
from tests import builders


@pytest.fixture
def flask(runner: FlaskCliRunner) -> Callable[..., Result]:
    return lambda *args: runner.invoke(args=["messages", *args])


def test_a_message_is_sent_and_looked_up(flask: Callable[..., Result]) -> None:
    who = builders.contact(phone=builders.phone(1))
    template = builders.template(builders.channel().id, text="验证码${code}")
    number = flask("send", who.xwho, str(template.id), "--value", "code=a=b").stdout.strip()
    assert "state     waiting" in flask("show", number).stdout
    planning.plan(clock.now())
    shown = flask("show", number).stdout
    assert "campaign  1" in shown
    assert builders.phone(1) not in shown


def test_what_cannot_be_sent_is_said(flask: Callable[..., Result]) -> None:
    marketing = builders.template(builders.channel().id, purpose="marketing")
    assert flask("send", "nobody", str(marketing.id)).exit_code == 1
    assert "NAME=TEXT" in flask("send", "nobody", "1", "--value", "code").stderr
    assert flask("show", "1").exit_code == 1
