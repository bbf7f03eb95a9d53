"""How a lane cuts batches into requests, and how it takes down answers that leave something open."""

from __future__ import annotations

from flask import Flask

from smsapp.channels.base import Answer, Submission
from tests import builders
from tests.engine import confirmed, funnel, work
from tests.fakes import FakeChannel, FakeClock


def test_a_request_is_as_large_as_the_channel_says_for_this_template(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(450)
    sizes: list[int] = []
    provider.carries = lambda template: 400 if template.code else 0  # type: ignore[method-assign]
    provider.script = lambda submission: sizes.append(len(submission.messages))
    confirmed(clock.now)
    work(app, clock)
    assert sorted(sizes) == [50, 400]


def test_messages_the_provider_does_not_vouch_for_are_unconfirmed_the_others_are_not(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(3)

    def script(_submission: Submission) -> list[Answer]:
        return [Answer(True, "a"), Answer(False, code="E", in_doubt=True), Answer(True, "c")]

    provider.script = script
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert (funnel(run_id).accepted, funnel(run_id).unconfirmed, funnel(run_id).refused) == (2, 1, 0)
