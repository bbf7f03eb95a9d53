"""Registrations in the pages: lights, what a person types in, the review's choices, and the held run."""

from __future__ import annotations

import datetime as dt

import pytest

from smsapp.domain.campaign import Status
from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier
from smsapp.domain.registration import RegistrationKind, RegistrationState
from smsapp.domain.run import HoldReason, RunState
from smsapp.services.channels import registry
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import registration_statements
from smsapp.services.templates.registration_statements import Statement
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, writing
from smsapp.store.runs import runs
from tests import builders
from tests.pages import Pages

SIGNATURE = "青禾商城"


def say(
    channel_id: int, state: RegistrationState, now: dt.datetime, carriers: tuple[Carrier, ...] = REGISTRARS
) -> None:
    statement = Statement(RegistrationKind.SIGNATURE, SIGNATURE, carriers, state, "NO_SEND_RECORD")
    registration_statements.say(channel_id, statement, Actor("olga"), now)


def silent_kind() -> str:
    """A kind of China whose provider says nothing of registrations."""
    kinds = registry.kinds().values()
    return next(kind.kind for kind in kinds if kind.home == "CN" and not kind.lists_registrations)


@pytest.fixture
def campaign(client: Pages) -> Campaign:
    builders.contact(phone="+8613800138001")
    builders.contact(phone="+8613000138002")
    return builders.campaign()


def test_what_a_person_types_in_is_shown_as_lights_and_can_be_removed(client: Pages) -> None:
    channel = builders.channel(kind=silent_kind(), name="乐信通")
    operator = client.as_("operator")
    assert "暂无报备信息" in operator.get("/registrations/").first("main").get_text()
    address = f"/registrations/new?channel={channel.id}"
    operator.get(address)
    page = operator.post(address, status=422, channel=str(channel.id), kind="link", value="", state="failed")
    assert "请填写报备的内容" in page.said()
    assert "请至少选择一个运营商" in page.said()
    page = operator.post(address, channel=str(channel.id), kind="signature", value=SIGNATURE, state="under_way",
                         carriers=["unicom", "telecom"], words="资料已交", expires="", remind="30")  # fmt: skip
    text = page.first("table.lights").get_text()
    assert "报备中" in text
    assert "未知" in text
    assert "资料已交" in text
    assert client.as_("viewer").get(f"/registrations/?channel={channel.id}").select("form[action$=forget]") == []
    operator.post("/registrations/forget", channel=str(channel.id), kind="signature", value=SIGNATURE)
    assert "暂无报备信息" in operator.get("/registrations/").first("main").get_text()


def test_the_provider_is_asked_by_a_button_only_where_it_answers(client: Pages) -> None:
    channel = builders.channel(kind=silent_kind())
    page = client.as_("operator").post("/registrations/sync", channel=str(channel.id))
    assert "不提供运营商报备状态" in page.said()


def test_a_template_shows_its_lights_and_what_carriers_object_to(client: Pages, now: dt.datetime) -> None:
    channel = builders.channel()
    template = builders.template(channel.id, text="戳t.cn/a或t.cn/b，详询${link}")
    viewer = client.as_("viewer")
    assert viewer.get(f"/templates/{template.id}").select("#registrations") == []
    say(channel.id, RegistrationState.LAPSED, now, (Carrier.UNICOM,))
    text = viewer.get(f"/templates/{template.id}").first("#registrations").get_text()
    for words in ("已失效", "超过 6 个月没有发送记录", "t.cn/a", "内容中有 3 个链接", "link"):
        assert words in text


def test_the_form_shows_lights_and_stores_who_is_left_out(campaign: Campaign, client: Pages) -> None:
    say(builders.existing(campaign.channel_id), RegistrationState.UNDER_WAY, clock.now())
    operator = client.as_("operator")
    page = operator.get(f"/campaigns/{campaign.id}/edit")
    assert "移动：报备中" in page.first("#registration").get_text()
    assert page.select("#registration input[value=unicom]")


def test_the_review_names_the_numbers_and_leaves_a_carrier_out(
    campaign: Campaign, client: Pages, now: dt.datetime
) -> None:
    say(builders.existing(campaign.channel_id), RegistrationState.LAPSED, now, (Carrier.UNICOM,))
    operator = client.as_("operator")
    address = f"/campaigns/{campaign.id}/review"
    page = operator.get(address)
    assert "计划发送的 2 个号码中，按号段有 1 个联通号码" in page.said()
    page = operator.post(f"/campaigns/{campaign.id}/carriers", version="1", carrier=["unicom"])
    current_session().refresh(campaign)
    assert campaign.left_out_carriers == ["unicom"]
    assert "本次不发该运营商" in page.first("main").get_text()
    assert "发送 1 条" in page.first(".btn-send").get_text()


def test_an_administrator_makes_a_red_light_a_fault(campaign: Campaign, client: Pages, now: dt.datetime) -> None:
    say(builders.existing(campaign.channel_id), RegistrationState.FAILED, now)
    client.as_("administrator").post("/registrations/rule", refuse="1")
    page = client.as_("operator").get(f"/campaigns/{campaign.id}/review")
    assert page.select(".btn-send[disabled]")


def test_a_held_run_is_accepted_by_somebody_who_may(campaign: Campaign, client: Pages, now: dt.datetime) -> None:
    with writing() as session:
        campaign.status, campaign.confirmed_registrations = Status.SENDING, {}
        campaign.confirmed_template = {"text": "您的积分将于本月底到期，请及时使用。", "signature": SIGNATURE}
        run_id = builders.existing(runs.add_run(session, campaign, now, now))
        runs.hold(session, run_id, HoldReason.REGISTRATION, None, now)
    say(builders.existing(campaign.channel_id), RegistrationState.LAPSED, now, (Carrier.UNICOM,))
    address = f"/campaigns/{campaign.id}/runs/{run_id}/accept-registration"
    approver = client.as_("approver")
    assert approver.get(f"/campaigns/{campaign.id}/effect").select("#accept-registration")
    page = approver.get(address)
    assert "已失效" in page.first("main").get_text()
    approver.post(address, seen=page.value("[name=seen]"), do="leave_out")
    run = builders.existing(runs.latest(current_session(), campaign.id))
    current_session().refresh(campaign)
    assert (run.state, campaign.left_out_carriers) == (RunState.OPEN, ["unicom"])
    approver.get(address, status=404)
