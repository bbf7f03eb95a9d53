"""A request whose answer was lost is made whole by sending it again."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.services.platform import api_requests
from smsapp.services.sending import actions
from tests import ledgers
from tests.api.conftest import Program


@pytest.mark.parametrize("action", ["pause", "end"])
def test_a_pause_that_was_cut_off_is_finished(program: Program, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    # Given two runs, and a process that was killed between them
    campaign = ledgers.campaign()
    runs = [ledgers.run(campaign, slot=ledgers.OPENED + n * dt.timedelta(days=1)) for n in range(2)]
    begun: list[int] = []

    def cut(run_id: int, *arguments: object) -> None:
        if begun:
            raise SystemExit
        begun.append(run_id)
        whole(run_id, *arguments)

    whole = getattr(actions, action)
    path = f"/campaigns/{campaign.id}/{action}"
    with monkeypatch.context() as patch:
        patch.setattr(actions, action, cut)
        with pytest.raises(SystemExit):
            program.post(path, once="k")
    # When the same request comes again, then it reaches the other run, too
    program.post(path, once="k")
    states = {line["id"]: line["state"] for line in program.get(f"/campaigns/{campaign.id}/runs")["items"]}
    assert len(states) == len(runs) == 2
    assert "sending" not in states.values()
    # And once all is done, it has the same answer
    program.post(path, once="k")
    assert program.last.headers["Idempotency-Replayed"] == "true"


def test_a_pause_that_was_done_is_not_refused(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)
    with monkeypatch.context() as patch:
        patch.setattr(api_requests, "finish", lambda *_: None)
        program.post(f"/campaigns/{campaign.id}/pause", once="k")
    program.post(f"/campaigns/{campaign.id}/pause", once="k")
    assert program.last.headers["Idempotency-Replayed"] == "true"
