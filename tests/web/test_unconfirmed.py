"""The page of unconfirmed messages, and deciding about them."""

from __future__ import annotations

from typing import Any

from smsapp.domain.message import Status
from smsapp.domain.run import RunState
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Message, Run
from tests import ledgers
from tests.pages import Pages

LOTS: list[ledgers.Lot] = [
    (Status.DELIVERED, "", "", 2),
    (Status.UNCONFIRMED, "worker_lost", "", 3),
    (Status.UNCONFIRMED, "provider_fault", "HTTP 502", 55),
]


def over() -> tuple[Campaign, Run]:
    """A campaign that was sent, with 58 unconfirmed messages."""
    campaign = ledgers.campaign(status="sent")
    ended: dict[str, Any] = {"state": RunState.DONE, "verdict": "sent", "finished_at": ledgers.OPENED}
    return campaign, ledgers.run(campaign, LOTS, {}, **ended)


def states(run: Run) -> list[int]:
    current_session().expire_all()
    return [
        status for (status,) in current_session().query(Message.status).filter_by(run_id=run.id).order_by(Message.seq)
    ]


def test_every_run_with_unconfirmed_messages_is_listed_with_its_causes(client: Pages) -> None:
    campaign, made = over()
    viewer = client.as_("viewer", "en")

    page = viewer.get("/unconfirmed/")
    run = viewer.get(f"/unconfirmed/{made.id}", cause="worker_lost")

    assert page.rows()[0][0] == campaign.name
    assert "The sender stopped before the answer came: 3" in page.rows()[0][3]
    assert page.rows()[0][4] == "58"
    assert len(run.rows()) == 3
    assert not run.select("input[name=seq]")
    assert "58 unconfirmed" in viewer.get("/campaigns/").texts(".page-actions a")[0]
    assert viewer.get(f"/campaigns/{campaign.id}/effect").select_one(f'a[href="/unconfirmed/?campaign={campaign.id}"]')
    assert (
        "No unconfirmed message fits"
        in viewer.get("/unconfirmed/", age="hour", campaign=campaign.id + 1).texts(".empty-state")[0]
    )


def test_a_long_list_goes_on_behind_the_last_message(client: Pages) -> None:
    _campaign, made = over()
    viewer = client.as_("viewer")

    first = viewer.get(f"/unconfirmed/{made.id}")
    second = viewer.get(first.value("a[rel=next]", "href"))

    assert (len(first.rows()), len(second.rows())) == (50, 8)


def test_an_operator_is_told_what_may_happen_and_decides_about_all(client: Pages) -> None:
    _campaign, made = over()
    operator = client.as_("operator", "en")

    asked = operator.get(f"/unconfirmed/{made.id}/decide", how="resend", all="1", cause="provider_fault")
    text = operator.post(f"/unconfirmed/{made.id}/decide", how="resend", all="1", cause="provider_fault", seen="55")

    assert "gets it twice" in asked.texts("form.confirm")[0]
    assert "Send 55 again" in asked.texts("form.confirm button")
    assert "55 messages are sent again." in text.said()
    assert states(made).count(Status.QUEUED) == 55
    assert current_session().get_one(Run, made.id).state == RunState.SENDING


def test_ticked_messages_are_decided_alone_and_the_story_says_who_did_it(client: Pages) -> None:
    campaign, made = over()
    operator = client.as_("operator", "en")

    operator.get(f"/unconfirmed/{made.id}/decide", how="sent", seq=["3", "4"])
    operator.post(f"/unconfirmed/{made.id}/decide", how="sent", seq=["3", "4"])
    story = operator.get(f"/campaigns/{campaign.id}/runs/{made.id}/messages/3")

    assert states(made)[2:5] == [Status.ACCEPTED, Status.ACCEPTED, Status.UNCONFIRMED]
    assert any("Counted as sent: operator-" in text for text in story.texts(".panel-body p"))


def test_nothing_ticked_and_coming_too_late_change_nothing(client: Pages) -> None:
    _campaign, made = over()
    operator = client.as_("operator", "en")

    nothing = operator.get(f"/unconfirmed/{made.id}/decide", how="sent")
    late = operator.post(f"/unconfirmed/{made.id}/decide", how="keep", all="1", seen="57")

    assert "Tick the messages" in nothing.said()
    assert "nothing was changed" in late.said()
    assert states(made).count(Status.UNCONFIRMED) == 58
    operator.get(f"/unconfirmed/{made.id}/decide", how="burn", status=404)
    client.as_("viewer").get(f"/unconfirmed/{made.id}/decide", how="sent", all="1", status=403)


def test_who_decides_about_the_last_one_comes_back_to_the_list(client: Pages) -> None:
    _campaign, made = over()

    page = client.as_("operator", "en").post(f"/unconfirmed/{made.id}/decide", how="keep", all="1", seen="58")

    assert "58 messages stay unconfirmed." in page.said()
    assert "Nothing is unconfirmed." in page.texts(".empty-state")[0]
