"""From an empty form to a confirmed campaign, with htmx and without."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from smsapp.domain.campaign import Status
from smsapp.services.campaigns import campaigns
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import sms_templates
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.pages import Page, Pages
from tests.web.campaign_world import World, shown_to_confirm, stored

pytestmark = pytest.mark.usefixtures("valkey")
ZONE = "Asia/Shanghai"
TODAY = dt.datetime.now(ZoneInfo(ZONE)).date()
BASE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


@pytest.fixture
def world(app: object) -> World:
    return World()


def campaign(**given: Any) -> Campaign:
    blank = {"segment_id": None, "channel_id": None, "template_id": None}
    return builders.campaign(**(blank | given))


def filled(page: Page) -> dict[str, Any]:
    """Return what a browser would send of the campaign form."""
    form = page.select_one("#campaign-form")
    assert form is not None
    sent: dict[str, Any] = {}
    for control in form.select("input, select"):
        name = str(control.get("name") or "")
        if not name or name == "csrf_token":
            continue
        if control.name == "select":
            option = control.select_one("option[selected]")
            sent[name] = option["value"] if option else ""
        elif control.get("type") in {"radio", "checkbox"}:
            if control.has_attr("checked"):
                sent.setdefault(name, []).append(control["value"])
        else:
            sent[name] = control.get("value", "")
    return sent


# -- creating ---------------------------------------------------------------------------------------------------------


def test_from_an_incomplete_draft_to_a_run(olga: Pages, world: World) -> None:
    form = olga.get("/campaigns/new")
    saved = olga.post("/campaigns/new", **(filled(form) | {"name": "双十一召回", "do": "save"}))
    assert "The draft was saved." in saved.said()
    draft = stored()
    edit = f"/campaigns/{draft.id}/edit"

    lacking = olga.post(edit, **(filled(saved) | {"do": "review"}))
    assert "Choose whom to write to." in lacking.get_text()
    assert lacking.select_one("a[href='#segment']") is not None

    review = olga.post(edit, **(filled(lacking) | world.fields(do="review")))
    assert review.first("h1").get_text() == "Review and confirm"
    button = review.first(".btn-send")
    assert " ".join(button.get_text().split()) == "Send 2 messages"
    assert "A variable has no value" in review.get_text()

    confirm = shown_to_confirm(review)
    assert "“双十一召回”: sending has begun." in olga.post(f"/campaigns/{draft.id}/review", **confirm).said()
    assert stored(draft.id).status == "sending"
    again = olga.post(f"/campaigns/{draft.id}/review", **confirm)
    assert "not possible any more" in again.said()
    assert current_session().scalar(sa.select(sa.func.count()).select_from(Run)) == 1


def test_what_was_typed_comes_back(olga: Pages, world: World) -> None:
    fields = world.fields(
        kind="recurring", cycle="weekly", weekdays=["1", "4"], start=str(TODAY), time="09:30:15", end="2030-12-31",
        zone="Europe/Berlin", do="save",
    )  # fmt: skip
    page = olga.post("/campaigns/new", **fields | {"from-name": "=", "text-name": "会员"})

    back = filled(page)
    for name in ("name", "start", "time", "end", "zone", "text-name", "from-name"):
        assert back[name] == (fields | {"from-name": "=", "text-name": "会员"})[name], name
    assert back["weekdays"] == ["1", "4"]
    assert back["kind"] == ["recurring"]
    assert "Every Mon, Thu at 09:30:15, from" in page.get_text()
    assert len(page.select(".fires li")) == 10


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("start", "31.12.2026", "This is not a date"),
        ("time", "half past nine", "This is not a time of day"),
        ("zone", "Mars/Olympus", "no time zone “Mars/Olympus”"),
        ("segment", "9999", "This is not there (any more). Choose another one."),
    ],
)
def test_what_cannot_be_read_is_said_and_kept(olga: Pages, world: World, field: str, typed: str, sentence: str) -> None:
    fields = world.fields(kind="once", start=str(TODAY), time="09:30", do="save") | {field: typed}

    page = olga.post("/campaigns/new", status=422, **fields)

    assert sentence in page.said()
    if field != "segment":
        assert filled(page)[field] == typed
    assert filled(page)["name"] == "双十一召回"
    assert current_session().scalar(sa.select(sa.func.count()).select_from(Campaign)) == 0


def test_without_javascript_update_draws_the_page_anew_and_stores_nothing(olga: Pages, world: World) -> None:
    page = olga.post("/campaigns/new", **world.fields(do="look"))

    assert "王伟您好" in page.first(".handset-bubble").get_text()
    assert current_session().scalar(sa.select(sa.func.count()).select_from(Campaign)) == 0


def test_htmx_gets_each_part_of_the_form(olga: Pages, world: World) -> None:
    def part(name: str, **changes: Any) -> Page:
        return olga.post("/campaigns/new", htmx=True, **world.fields(do="look", part=name, **changes))

    audience = part("numbers")
    assert audience.texts("#audience dt")[:3] == ["Target users", "Effective users", "Would be sent"]
    assert [text.split()[0] for text in audience.texts("#audience .stat dd:nth-of-type(1)")] == ["4", "3", "2"]
    assert "问候" in part("text").first("#template-choice").get_text()
    preview = part("preview")
    assert "王伟您好" in preview.get_text()
    assert "sample of 2 contacts" in preview.get_text()
    assert "For 50.0%" in " ".join(preview.get_text().split())
    assert "¥0.15" in audience.get_text(), "one part for one of them, two for the other"
    following = preview.select("button[name=person]")[1]["value"]
    assert "欧阳欧阳" in part("preview", person=following).get_text()
    timing = part("timing", kind="recurring", cycle="monthly", monthdays=["31"], start=str(TODAY), time="08:00")
    assert "it is sent on its last day" in timing.get_text()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kind": "recurring", "start": str(TODAY), "end": str(TODAY - dt.timedelta(days=1))}, "lies before the start"),
        ({"kind": "once", "start": str(TODAY - dt.timedelta(days=1))}, "has passed already"),
    ],
)
def test_a_schedule_that_cannot_be_is_called_so_at_once(
    olga: Pages, world: World, given: dict[str, Any], sentence: str
) -> None:
    page = olga.post("/campaigns/new", **world.fields(do="look", part="timing", time="08:00", **given), htmx=True)
    assert sentence in page.text
    # What is merely missing is not held against somebody who is still choosing.
    page = olga.post("/campaigns/new", **world.fields(do="look", part="timing", kind="once"), htmx=True)
    assert not page.select("#timing .flash")


def test_a_variable_takes_the_property_of_the_same_name_by_itself(olga: Pages, world: World) -> None:
    fields = {name: value for name, value in world.fields(do="look", part="text").items() if "-name" not in name}

    page = olga.post("/campaigns/new", htmx=True, **fields)

    assert page.value("#variable-name option[selected]") == "name"


def test_another_channel_drops_the_template_of_the_old_one(olga: Pages, world: World) -> None:
    other = builders.channel(name="别的")

    page = olga.post("/campaigns/new", **world.fields(channel=other.id, do="save"))

    assert filled(page)["template"] == ""
    assert stored().template_id is None
    assert "no approved template yet" in page.get_text()


def test_only_approved_templates_are_offered(olga: Pages, world: World) -> None:
    builders.template(world.channel.id, name="还在审核", audit="pending")

    page = olga.post("/campaigns/new", **world.fields(do="find-template"))

    assert page.texts("#template-choice option") == [
        "Choose a template",
        "问候 · Notification · 1 part · ${name}您好，欢迎回来。",
    ]


def test_of_two_windows_the_second_sees_both_texts_and_decides(olga: Pages, world: World) -> None:
    olga.post("/campaigns/new", **world.fields(do="save"))
    edit = f"/campaigns/{stored().id}/edit"
    first, second = filled(olga.get(edit)), filled(olga.get(edit))
    olga.post(edit, **(first | {"name": "第一个窗口", "do": "save"}))

    clash = olga.post(edit, status=409, **(second | {"name": "第二个窗口", "do": "save"}))

    rows = clash.first(".conflict").select("tbody tr")
    assert [row.get_text(" ", strip=True) for row in rows] == ["Campaign name 第一个窗口 第二个窗口"]
    assert stored().name == "第一个窗口"
    olga.post(edit, **(filled(clash) | {"do": "save"}))
    assert stored().name == "第二个窗口"


# -- reviewing --------------------------------------------------------------------------------------------------------


def test_the_review_leads_through_the_recipients(olga: Pages, world: World) -> None:
    olga.post("/campaigns/new", **world.fields(do="save"))
    review = f"/campaigns/{stored().id}/review"

    page = olga.get(review)
    forth = page.value(".turn a", "href")
    second = olga.get(forth, htmx=True)
    back = second.value(".turn a", "href")

    assert "王伟您好" in page.first(".handset-bubble").get_text()
    assert "欧阳" in second.first(".handset-bubble").get_text()
    assert "王伟您好" in olga.get(back).first(".handset-bubble").get_text()
    assert builders.phone(1) not in page.get_text()


def test_the_review_calls_a_property_what_the_form_called_it(olga: Pages, world: World) -> None:
    current_session().execute(sa.update(Property).where(Property.name == "name").values(label="姓名"))
    current_session().commit()
    olga.post("/campaigns/new", **world.fields(do="save"))

    page = olga.get(f"/campaigns/{stored().id}/review")

    assert "姓名" in page.first("[aria-labelledby=title-what]").get_text()


@pytest.mark.parametrize(("others", "said"), [(1, "还有一个待推送的任务：“别的一”。"), (2, "等共 2 个")])
def test_other_messages_to_the_segment_are_counted_only_if_there_are_several(
    client: Pages, world: World, others: int, said: str
) -> None:
    due = clock.now() + dt.timedelta(hours=3)
    for name in ("别的一", "别的二")[:others]:
        builders.campaign(name=name, status=Status.WAITING, segment_id=world.segment.id, next_due_at=due)
    olga = client.as_("operator", locale="zh_Hans")
    olga.post("/campaigns/new", **world.fields(do="save"))
    (draft,) = current_session().scalars(sa.select(Campaign).where(Campaign.status == Status.DRAFT))

    assert said in olga.get(f"/campaigns/{draft.id}/review").get_text()


def test_the_button_names_the_moment(olga: Pages, world: World) -> None:
    tomorrow = TODAY + dt.timedelta(days=1)
    olga.post("/campaigns/new", **world.fields(kind="once", start=str(tomorrow), time="10:00", do="save"))

    page = olga.get(f"/campaigns/{stored().id}/review")

    button = " ".join(page.first(".btn-send").get_text().split())
    assert button == f"Send 2 messages on {tomorrow.day} {tomorrow:%b} {tomorrow.year} 10:00"


def test_a_template_that_changed_after_the_review_is_not_sent(olga: Pages, world: World) -> None:
    olga.post("/campaigns/new", **world.fields(do="save"))
    draft = stored()
    page = olga.get(f"/campaigns/{draft.id}/review")
    confirm = shown_to_confirm(page)
    template = current_session().get_one(SmsTemplate, world.template.id)
    template.text, template.updated_at = "${name}，换了一句话。", clock.now()
    current_session().commit()

    back = olga.post(f"/campaigns/{draft.id}/review", **confirm)

    assert "has changed since you looked at it" in back.said()
    assert stored(draft.id).status == "draft"


def test_a_review_with_problems_has_no_button_to_press(olga: Pages) -> None:
    draft = campaign(name="空的")

    page = olga.get(f"/campaigns/{draft.id}/review")

    assert page.first(".btn-send").has_attr("disabled")
    assert page.select_one(f"a[href='/campaigns/{draft.id}/edit#section-segment']") is not None


def test_nobody_to_write_to_is_a_problem_now_and_a_warning_for_later(olga: Pages, world: World) -> None:
    empty = builders.segment(name="没有人", kind="static")
    olga.post("/campaigns/new", **world.fields(segment=empty.id, do="save"))
    now = olga.get(f"/campaigns/{stored().id}/review")
    tomorrow = str(TODAY + dt.timedelta(days=1))
    fields = world.fields(segment=empty.id, kind="once", start=tomorrow, time="10:00", do="save")
    olga.post("/campaigns/new", **fields)
    later = olga.get(f"/campaigns/{stored().id}/review")

    for page in (now, later):
        assert "nobody in this segment" in page.get_text()
    assert now.first(".btn-send").has_attr("disabled")
    assert not later.first(".btn-send").has_attr("disabled")


def test_what_is_confirmed_is_shown_and_not_edited(olga: Pages) -> None:
    waiting = builders.campaign(
        name="每日问候",
        status=Status.WAITING,
        recurring=True,
        schedule={"kind": "daily", "zone": ZONE, "time": "09:00:00", "start": "2026-01-01"},
        next_due_at=clock.now() + dt.timedelta(hours=3),
    )

    page = olga.get(f"/campaigns/{waiting.id}/edit")

    assert "not possible any more" in page.said()
    assert page.first("h1").get_text() == "每日问候"
    assert "Every day at 09:00" in page.get_text()
    assert page.select_one(".btn-send") is None
    assert page.select_one(f"a[href='/campaigns/{waiting.id}/stop']") is not None


def test_the_pages_speak_chinese(client: Pages, world: World) -> None:
    olga = client.as_("operator", locale="zh_Hans")
    olga.post(
        "/campaigns/new",
        **world.fields(
            kind="recurring",
            cycle="weekly",
            weekdays=["1", "4"],
            start=str(TODAY),
            time="09:30",
            end="2030-12-31",
            do="save",
        ),
    )
    draft = stored()

    review = olga.get(f"/campaigns/{draft.id}/review")
    assert "每次发送约 2 条短信" in review.get_text()
    campaigns.confirm(draft.id, draft.version, sms_templates.seen(world.template), Actor("olga"), clock.now())
    page = olga.get("/campaigns/")
    assert "每周一、四 09:30，至 2030-12-31" in page.get_text()
    assert page.texts(".chip")[:4] == ["全部状态 1", "草稿 0", "待推送 1", "推送中 0"]
    assert page.texts(".row-actions a") == ["停止推送", "另存为"]


def test_a_variable_is_filled_from_the_property_that_means_the_same(olga: Pages, world: World) -> None:
    # given (pages-1, fault 1) everybody's `$name`, and `name` of three lines that a colleague imported
    builders.known_property("$name", label="姓名")
    for n in range(10, 20):
        builders.contact(f"u{n}", builders.phone(n), properties={"$name": "陈涛"})
    # when a new message is begun
    page = olga.post("/campaigns/new", **(world.fields(do="look") | {"from-name": None}))
    # then the variable has the property that most people have, and the two can be told apart
    chosen = page.first("#variable-name option[selected]")
    assert chosen["value"] == "$name"
    assert chosen.get_text() == "姓名 ($name) · 71.4%, e.g. 陈涛"
    assert page.texts(".variable-held") == ["71.4% have a value, e.g. 陈涛"]


def test_an_error_names_the_variable_and_leads_to_it(olga: Pages, world: World) -> None:
    # given a variable that is filled from a property nobody has
    builders.known_property("vip", "string", label="会员")
    draft = olga.post("/campaigns/new", **world.fields(do="review", **{"from-name": "vip"}))
    # then the cause is told and linked, not the segment
    problem = draft.first(".flash-danger li")
    assert "The variable name has no value for 3 people." in problem.get_text()
    assert draft.value(".flash-danger li a", "href").endswith("#variable-name")


def test_a_date_is_written_as_chosen(olga: Pages, world: World) -> None:
    builders.known_property("day", "datetime")
    builders.contact("u9", builders.phone(9), properties={"day": "2026-03-01T00:00:00"})
    shown = olga.post("/campaigns/new", **world.fields(do="look", **{"from-name": "day"}))
    assert "2026-03-01您好" in shown.get_text()
    assert "3月1日" in [option.get_text() for option in shown.select("[name=form-name] option")]
    shown = olga.post("/campaigns/new", **world.fields(do="look", **{"from-name": "day", "form-name": "day_zh"}))
    assert "3月1日您好" in shown.get_text()


def test_a_fixed_text_with_a_link_is_refused_unless_the_template_declares_it(olga: Pages, world: World) -> None:
    fixed = {"from-name": "=", "text-name": "https://t.cn/x"}
    page = olga.post("/campaigns/new", **world.fields(do="review", **fixed))
    assert "holds a link" in page.first(".flash-danger").get_text()
    declared: dict[str, Any] = {"seen": world.template.mark, "longest-name": 100, "links-name": "1"}
    shown = olga.post(f"/templates/{world.template.id}/variables", **declared)
    assert shown.first("[name=links-name]").has_attr("checked")
    again = olga.post("/campaigns/new", **world.fields(do="review", **fixed))
    assert "holds a link" not in again.get_text()


def test_a_length_that_cannot_be_is_told_and_kept(olga: Pages, world: World) -> None:
    declared: dict[str, Any] = {"seen": world.template.mark, "longest-name": 900}
    page = olga.post(f"/templates/{world.template.id}/variables", 422, **declared)
    assert "from 1 to 300 characters" in page.get_text()
    assert page.value("[name=longest-name]") == "900"


def test_templates_of_one_name_can_be_told_apart(olga: Pages, world: World) -> None:
    # pages-1, fault 23
    builders.template(world.channel.id, name="双十二", text="五折，拒收请回复R", purpose="marketing")
    builders.template(world.channel.id, name="双十二", text="您的订单" + "很长" * 40, purpose="notification")
    builders.template(world.channel.id, name="没有用途", text="您好", purpose="unsaid")
    page = olga.post("/campaigns/new", **world.fields(do="find-template"))
    texts = [option.get_text() for option in page.select("#template-choice option") if "双十二" in option.get_text()]
    assert texts == [
        "双十二 · Notification · 2 parts · 您的订单" + "很长" * 18 + "…",
        "双十二 · Marketing · 1 part · 五折，拒收请回复R",
    ]
    hint = page.first("#text a[href^='/templates/']")
    assert hint.get_text() == "没有用途"


def test_the_review_names_values_that_stand_out_without_numbers(olga: Pages, world: World) -> None:
    builders.contact("u5", builders.phone(5), properties={"name": "请拨13912345678"})
    builders.contact("u6", builders.phone(6), properties={"name": "订单20260301123456"})
    page = olga.post("/campaigns/new", **world.fields(do="review"))
    facts = page.first(".standouts").get_text(" ", strip=True)
    assert "13912345678" not in facts
    assert "请拨139****5678" in facts
    assert "订单" in facts
    assert "欧阳欧阳" in facts
    assert "1 people have a value that may not fill the variable name" in page.get_text()


def test_what_is_chosen_is_searched_on_the_server(olga: Pages, world: World) -> None:
    # given more segments than one answer holds
    for n in range(25):
        builders.segment(name=f"会员{n:02}")
    # when the box asks for a part of a name, then the first ones are offered, and it is said that there are more
    piece = olga.get("/campaigns/choices/segment", htmx=True, find="会员")
    assert len(piece.select("[role=option]")) == 20
    assert "The first 20 are shown" in piece.get_text()
    assert [option["data-value"] for option in olga.get("/campaigns/choices/segment", htmx=True, find="值会").select(
        "[role=option]")] == [str(world.segment.id)]  # fmt: skip
    # and templates are those of the channel
    assert not olga.get("/campaigns/choices/template", htmx=True, find="").select("[data-text]")
    found = olga.get("/campaigns/choices/template", htmx=True, find="欢迎回来", channel=world.channel.id)
    assert found.texts("[role=option]") == ["问候 Notification · 1 part · ${name}您好，欢迎回来。"]
    assert olga.raw.get("/campaigns/choices/name").status_code == 404


def test_without_javascript_a_button_shows_the_matches_and_keeps_everything(olga: Pages, world: World) -> None:
    fields = world.fields(but_not=[world.segment.id], do="find-but_not") | {"find-but_not": "学生", "time": "半点"}
    builders.segment(name="学生")
    page = olga.post("/campaigns/new", **fields)
    boxes = {
        label.get_text(strip=True): bool(label.select("input[checked]"))
        for label in page.select("#but_not-choice label")
    }
    assert boxes == {"高价值会员 · Dynamic": True, "学生 · Dynamic": False}
    assert page.value("#but_not") == "学生"
    assert page.value("#template-choice option[selected]") == str(world.template.id)
    assert page.value("#time") == "半点"
    assert page.first(".more-segments").has_attr("open")


@pytest.mark.parametrize("forged", ["<x>", "999999999999"])
def test_a_forged_choice_is_answered_in_the_readers_language(client: Pages, world: World, forged: str) -> None:
    fields = world.fields(segment=forged, but_not=[forged], weekdays=[forged], rest=forged, do="save")
    page = client.as_("operator", locale="zh_Hans").post("/campaigns/new", 422, **fields)
    sentences = {text.split("：", 1)[1] for text in page.texts(".problems li")}
    assert sentences == {"该选项不存在或已不可用，请重新选择。"}
