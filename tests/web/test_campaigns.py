"""The list of campaigns: finding, watching, stopping, copying and deleting them, with htmx and without."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import Status
from smsapp.services.platform import clock
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from smsapp.store.runs.tallies import Tally
from tests import builders
from tests.pages import Page, Pages

pytestmark = pytest.mark.usefixtures("valkey")
ZONE = "Asia/Shanghai"
TODAY = dt.datetime.now(ZoneInfo(ZONE)).date()
BASE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


def campaign(**given: Any) -> Campaign:
    blank = {"segment_id": None, "channel_id": None, "template_id": None}
    return builders.campaign(**(blank | given))


def stored(campaign_id: int = 0) -> Campaign:
    current_session().expire_all()
    query = sa.select(Campaign).order_by(Campaign.id.desc()).limit(1)
    return current_session().scalars(query if not campaign_id else query.where(Campaign.id == campaign_id)).one()


# -- the list ---------------------------------------------------------------------------------------------------------


def names(page: Page) -> list[str]:
    return page.texts("#campaign-table .cell-main")


def test_filters_stay_in_the_address(olga: Pages) -> None:
    for n, name in enumerate(["满 100% 返券", "满 100 返券", "5_折", "55折"]):
        campaign(name=name, created_at=BASE - dt.timedelta(days=n), status=Status.SENT if n % 2 else Status.DRAFT)

    page = olga.get("/campaigns/?q=100%25")
    assert names(page) == ["满 100% 返券"]
    assert names(olga.get("/campaigns/?q=5_")) == ["5_折"]
    status = next(link for link in page.select(".chip") if link.get_text().strip().startswith("Draft"))
    query = parse_qs(urlsplit(str(status["href"])).query)
    assert query == {"q": ["100%"], "status": ["draft"]}
    assert names(olga.get(str(status["href"]))) == ["满 100% 返券"]
    assert status["data-hx-push-url"] == "true"
    piece = olga.get("/campaigns/?q=折", htmx=True)
    assert names(piece) == ["5_折", "55折"]
    assert piece.find("h1") is None
    assert "No campaign matches" in olga.get("/campaigns/?q=没有的").get_text()


def test_a_row_that_was_drawn_before_follows_everything_it_shows(olga: Pages) -> None:
    # Given a row that is remembered
    members, staff = builders.segment(name="会员"), builders.segment(name="员工")
    channel, author = builders.channel(name="早安通道"), builders.person(name="小伟")
    audience = AudienceRule(include=(members.id,), exclude=(staff.id,)).as_json()
    row = builders.campaign(segment_id=None, audience=audience, channel_id=channel.id, created_by=author.id)
    schedule = {"kind": "once", "zone": ZONE, "start": "2030-03-08", "time": "10:00:00"}

    def shown() -> str:
        current_session().commit()
        return olga.get("/campaigns/").first(f"#campaign-{row.id}").get_text(" ", strip=True)

    assert "员工" in shown()
    # When one thing after another changes, then the row does
    for changed, column, value, text in (
        (staff, "name", "同事", "同事"),
        (members, "name", "老会员", "老会员"),
        (channel, "name", "晚安通道", "晚安通道"),
        (author, "name", "大伟", "大伟"),
        (row, "name", "改过的", "改过的"),
        (row, "audience", AudienceRule(include=(staff.id,)).as_json(), "同事"),
        (row, "schedule", schedule | {"until": "11:30:00"}, "11:30"),
        (row, "schedule", schedule | {"spread_until": "12:30:00"}, "12:30"),
        (row, "status", Status.FAILED, "Failed"),
        (row, "failure", "quiet_hours", "sending hours"),
    ):
        before = shown()
        setattr(changed, column, value)
        after = shown()
        assert after != before, column
        assert text in after, column
    assert "老会员" not in shown()


def test_tabs_and_statuses_are_counted(olga: Pages) -> None:
    campaign(name="甲")
    campaign(name="乙", status=Status.SENT)
    campaign(name="丙", status=Status.WAITING, recurring=True)

    page = olga.get("/campaigns/")

    assert page.texts(".tabs a") == ["All 3", "Single campaigns 2", "Recurring campaigns 1"]
    assert page.texts(".chip") == [
        "Every status 3", "Draft 1", "Waiting 1", "Sending 0", "Sent 1", "Failed 0", "Stopped 0",
    ]  # fmt: skip
    assert olga.get("/campaigns/?tab=recurring").texts(".chip")[0] == "Every status 1"


def test_time_range_and_channel_narrow(olga: Pages) -> None:
    channel = builders.channel(name="甲通道")
    campaign(name="早", created_at=dt.datetime(2026, 3, 1, 15, 59, tzinfo=dt.UTC), channel_id=channel.id)
    campaign(name="晚", created_at=dt.datetime(2026, 3, 1, 16, 0, tzinfo=dt.UTC))

    assert names(olga.get("/campaigns/?from=2026-03-02&to=2026-03-02")) == ["晚"], "midnight in Shanghai"
    assert names(olga.get("/campaigns/?to=2026-03-01")) == ["早"]
    assert names(olga.get(f"/campaigns/?channel={channel.id}")) == ["早"]


@pytest.mark.parametrize(
    "query",
    ["status=nonsense&tab=x&sort=y", "after=abc&before=-1", "from=31.12.&to=9999-12-31", "channel=99999999999999"],
)
def test_an_address_that_makes_no_sense_still_shows_the_list(olga: Pages, query: str) -> None:
    campaign(name="在")

    assert names(olga.get(f"/campaigns/?{query}")) == ["在"]


def test_pages_lead_forth_and_back(olga: Pages) -> None:
    for n in range(30):
        campaign(name=f"第{n:02}条", created_at=BASE - dt.timedelta(days=n))

    first = olga.get("/campaigns/")
    second = olga.get(first.value("a[rel=next]", "href"))
    back = olga.get(second.value("a[rel=prev]", "href"))

    assert names(first) == [f"第{n:02}条" for n in range(25)]
    assert names(second) == [f"第{n:02}条" for n in range(25, 30)]
    assert names(back) == names(first)
    assert first.select_one("a[rel=prev]") is None
    assert second.select_one("a[rel=next]") is None


OFFERED = {
    Status.DRAFT: ["Edit", "Save as", "Delete"],
    Status.WAITING: ["Stop", "Save as"],
    Status.SENDING: ["Save as"],
    Status.SENT: ["Save as", "Archive"],
    Status.FAILED: ["Save as", "Archive", "Delete"],
    Status.STOPPED: ["Save as", "Archive", "Delete"],
}
"""Whatever has a run keeps its report and is not deleted."""


@pytest.mark.parametrize("ran", [False, True])
def test_a_row_offers_what_its_status_allows(olga: Pages, client: Pages, ran: bool) -> None:
    made = {}
    for status in Status:
        made[status] = builders.campaign(status=status, next_due_at=clock.now() + dt.timedelta(days=3))
        if ran:
            with_run(made[status])

    page = olga.get("/campaigns/")
    viewer = client.as_("viewer").get("/campaigns/")

    effect = ["Report"] if ran else []
    for status, campaign in made.items():
        offered = [action for action in OFFERED[status] if not ran or action != "Delete"]
        assert page.texts(f"#campaign-{campaign.id} .row-actions a") == effect + offered, status
        assert len(viewer.select(f"#campaign-{campaign.id} .row-actions a")) == len(effect)


def with_run(campaign: Campaign, finished: dt.datetime | None = BASE, **tally: int) -> Run:
    counted = tally or {"delivered": 8, "refused": 2}
    run = Run(
        campaign_id=campaign.id,
        slot=BASE,
        state="done" if finished else "sending",
        channel_id=campaign.channel_id,
        segment_id=campaign.segment_id,
        target=10,
        planned=10,
        opened_at=BASE,
        started_at=BASE,
        finished_at=finished,
    )
    current_session().add(run)
    current_session().flush()
    current_session().add_all([Tally(run_id=run.id, state=state, reason="", n=n) for state, n in counted.items()])
    current_session().commit()
    return run


def test_a_row_has_the_four_numbers_and_says_what_failed(olga: Pages) -> None:
    campaign = builders.campaign(status=Status.SENT)
    with_run(campaign)

    page = olga.get("/campaigns/")

    assert [text.split()[0] for text in page.texts(f"#campaign-{campaign.id} td.number")] == ["10", "10", "8", "8"]
    assert "2 failed" in page.get_text()


def test_what_may_have_been_sent_is_not_counted_among_what_failed(olga: Pages) -> None:
    campaign = builders.campaign(status=Status.SENT)
    with_run(campaign, delivered=5, refused=3, undelivered=1, unconfirmed=1)

    row = " ".join(olga.get("/campaigns/").texts(f"#campaign-{campaign.id} .text-warn")[0].split())

    assert row == "3 failed · 1 not delivered · 1 unconfirmed"


@pytest.mark.parametrize(
    ("hold_reason", "word", "colour"),
    [
        ("paused", "Paused (by a person)", "orange"),
        ("quiet_hours", "Waiting (by itself)", "blue"),
        ("balance", "Held (a person is needed)", "red"),
    ],
)
def test_a_held_run_does_not_look_like_one_that_is_sent(olga: Pages, hold_reason: str, word: str, colour: str) -> None:
    campaign = builders.campaign(status=Status.SENDING)
    run = with_run(campaign, finished=None, queued=10)
    run.state, run.hold_reason = "held", hold_reason
    current_session().commit()

    assert word in olga.get("/campaigns/").texts(f"#campaign-{campaign.id} .badge-{colour}")


def test_a_send_to_nobody_is_not_a_success_in_green(olga: Pages) -> None:
    campaign = builders.campaign(status=Status.SENT)
    run = with_run(campaign, delivered=0)
    run.target = run.planned = 0
    current_session().commit()

    page = olga.get("/campaigns/")

    assert page.texts(f"#campaign-{campaign.id} .badge-grey") == ["Nobody to write to"]
    assert page.texts(f"#campaign-{campaign.id} .badge-green") == []


@pytest.mark.parametrize(
    ("status", "due", "running", "delay"),
    [
        (Status.SENDING, None, {"queued": 4, "accepted": 6}, "load delay:2s"),
        (Status.WAITING, dt.timedelta(seconds=-5), None, "load delay:2s"),
        (Status.SENT, None, None, None),
        (Status.DRAFT, None, None, None),
    ],
)
def test_rows_ask_again_only_while_something_can_change(
    olga: Pages, status: Status, due: dt.timedelta | None, running: dict[str, int] | None, delay: str | None
) -> None:
    campaign = builders.campaign(status=status, next_due_at=clock.now() + due if due is not None else None)
    if running:
        with_run(campaign, finished=None, **running)

    page = olga.get("/campaigns/")

    assert page.first("#campaigns").get("data-hx-trigger") == delay
    if running:
        assert page.value(f"#campaign-{campaign.id} progress") == "6"


def test_receipts_that_still_come_in_are_watched_for_a_while(olga: Pages) -> None:
    campaign = builders.campaign(status=Status.SENT)
    with_run(campaign, finished=clock.now(), accepted=3, delivered=7)

    assert olga.get("/campaigns/").value("#campaigns", "data-hx-trigger") == "load delay:15s"


def test_the_next_two_days_stand_above_the_list(olga: Pages) -> None:
    soon = clock.now() + dt.timedelta(hours=5)
    builders.campaign(
        name="快了",
        status=Status.WAITING,
        schedule={"kind": "once", "zone": "UTC", "time": f"{soon:%H:%M:%S}", "start": f"{soon:%Y-%m-%d}"},
        next_due_at=soon.replace(microsecond=0),
    )
    builders.campaign(name="还早", status=Status.WAITING, next_due_at=clock.now() + dt.timedelta(days=9))

    page = olga.get("/campaigns/")

    assert page.texts(".ahead li a") == ["快了"]
    assert page.select_one("time[data-countdown]") is not None


def test_an_empty_list_says_what_to_do(olga: Pages, client: Pages) -> None:
    assert olga.get("/campaigns/").select("ol.setup-steps a")[-1]["href"] == "/campaigns/new"
    viewer = client.as_("viewer", locale="en").get("/campaigns/")
    assert not viewer.select("ol.setup-steps")
    assert "Operators create them." in viewer.texts(".empty-state")[0]


# -- stopping, copying, deleting --------------------------------------------------------------------------------------


def test_stopping_asks_first_and_returns_to_the_same_view(olga: Pages) -> None:
    campaign = builders.campaign(name="停我", status=Status.WAITING, next_due_at=clock.now() + dt.timedelta(hours=1))

    question = olga.get(f"/campaigns/{campaign.id}/stop?back=/campaigns/?status%3Dwaiting")
    assert "It will not be sent on" in question.get_text()
    back = question.value(".confirm input[name=back]")
    page = olga.post(f"/campaigns/{campaign.id}/stop", back=back)

    assert "“停我” was stopped." in page.said()
    assert page.first(".chip[aria-current]").get_text().startswith("Waiting")
    assert stored(campaign.id).status == "stopped"
    assert "not possible any more" in olga.post(f"/campaigns/{campaign.id}/stop").said()


def test_a_way_back_never_leads_elsewhere(olga: Pages) -> None:
    campaign = builders.campaign(status=Status.WAITING, next_due_at=clock.now() + dt.timedelta(hours=1))

    for back in ("https://evil.example/", "//evil.example", "/account"):
        page = olga.get(f"/campaigns/{campaign.id}/stop", back=back)
        assert page.value(".confirm input[name=back]") == "/campaigns/"


def test_saving_as_asks_for_the_name_and_moves_a_past_date(olga: Pages) -> None:
    campaign = builders.campaign(
        name="原件",
        status=Status.SENT,
        schedule={"kind": "once", "zone": ZONE, "time": "10:00:00", "start": "2026-01-05"},
    )
    form = olga.get(f"/campaigns/{campaign.id}/save-as")
    assert form.value("#name") == "原件 copy"

    refused = olga.post(f"/campaigns/{campaign.id}/save-as", status=422, name=" ")
    assert "Give the campaign a name" in refused.said()
    page = olga.post(f"/campaigns/{campaign.id}/save-as", name="第二轮")

    assert "moved on" in page.said()
    copy = stored()
    assert (copy.name, copy.status) == ("第二轮", "draft")
    assert dt.date.fromisoformat(copy.schedule["start"]) >= TODAY
    assert page.value("#name") == "第二轮"


def test_several_are_deleted_at_once_and_what_may_not_go_stays(olga: Pages) -> None:
    gone = [campaign(name=f"删{n}") for n in range(2)]
    waiting = campaign(name="等着", status=Status.WAITING, next_due_at=clock.now() + dt.timedelta(days=3))
    ids = [item.id for item in [*gone, waiting]]

    question = olga.get("/campaigns/delete", id=ids)
    assert "Delete these 2 campaigns?" in question.get_text()
    assert "stop them first: “等着”" in question.said()
    page = olga.post("/campaigns/delete", id=[str(item) for item in ids])

    assert "2 campaigns were deleted." in page.said()
    assert names(page) == ["等着"]
    assert "Tick the campaigns" in olga.get("/campaigns/delete").said()
    olga.get(f"/campaigns/{gone[0].id}/edit", status=404)


def test_a_viewer_looks_and_changes_nothing(client: Pages) -> None:
    viewer = client.as_("viewer", locale="en")
    draft = builders.campaign(name="草稿")

    assert viewer.get(f"/campaigns/{draft.id}").first("h1").get_text() == "草稿"
    for url in ("new", f"{draft.id}/edit", f"{draft.id}/review", f"{draft.id}/stop", f"{draft.id}/save-as", "delete"):
        viewer.get(f"/campaigns/{url}", status=403)
    viewer.post(f"/campaigns/{draft.id}/review", status=403)
    assert stored(draft.id).status == "draft"


def test_a_search_keeps_the_tab_and_status_that_were_chosen(olga: Pages) -> None:
    campaign(name="等着", status=Status.WAITING, next_due_at=clock.now() + dt.timedelta(days=3))

    piece = olga.get("/campaigns/?tab=single&status=waiting", htmx=True)

    fields = {field["name"]: field["value"] for field in piece.select("input[form=campaign-filters]")}
    assert fields == {"tab": "single", "status": "waiting"}


def test_a_deletion_can_be_undone_at_once(client: Pages) -> None:
    draft = builders.campaign(name="会员日")
    operator = client.as_("operator", "en")

    deleted = operator.post("/campaigns/delete", id=[str(draft.id)])
    assert "会员日" not in deleted.texts("tbody .cell-main")
    undone = operator.post("/campaigns/undelete", id=[deleted.value("form.action input[name=id]")])

    assert "1 campaign is back." in undone.said()
    assert "会员日" in undone.texts("tbody .cell-main")
    assert "no such deletion" in operator.post("/campaigns/undelete", id=[str(draft.id)]).said()
