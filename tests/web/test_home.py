"""The home page: what needs a person, what goes on, what will happen, what was sent."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from smsapp.domain.budget import BudgetScope, BudgetUnit
from smsapp.domain.campaign import Status
from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.registration import RegistrationKind, RegistrationState
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.sms_template import Audit
from smsapp.domain.webhook import OFFERED
from smsapp.services.apps import webhooks
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import budget_guard, budgets
from smsapp.services.sending.budgets import WantedBudget
from smsapp.services.templates import registration_statements
from smsapp.services.templates.registration_statements import Statement
from smsapp.store.budgets import BudgetMonth
from smsapp.store.db import current_session, writing
from tests import builders, ledgers
from tests.pages import Page, Pages


def needs(page: Page) -> list[str]:
    return [str(item["data-need"]) for item in page.select("[data-need]")]


def test_an_empty_system_shows_the_way_to_the_first_campaign(client: Pages) -> None:
    page = client.as_("administrator", "en").get("/")

    assert page.select(".setup")
    assert page.first("#setup-channel")


def test_a_run_that_waits_for_a_person_leads_to_its_report(client: Pages) -> None:
    campaign = ledgers.campaign()
    run = ledgers.run(campaign)
    run.state, run.hold_reason, run.finished_at = RunState.HELD, HoldReason.CREDENTIALS, None
    current_session().commit()

    page = client.as_("operator", "en").get("/")

    assert "held" in needs(page)
    assert page.value("[data-need=held] a", "href") == f"/campaigns/{campaign.id}/effect"


def test_a_run_that_goes_on_by_itself_needs_nobody(client: Pages) -> None:
    run = ledgers.run(ledgers.campaign())
    run.state, run.hold_reason, run.finished_at = RunState.HELD, HoldReason.QUIET_HOURS, None
    current_session().commit()

    assert "held" not in needs(client.as_("operator").get("/"))


def test_unconfirmed_messages_and_the_lack_of_a_worker_are_said(client: Pages) -> None:
    ledgers.run(ledgers.campaign())

    shown = needs(client.as_("operator").get("/"))

    assert "unconfirmed" in shown
    assert shown[0] in {"no_worker", "queue_down"}


@pytest.mark.parametrize("audit", [Audit.REFUSED, Audit.WITHDRAWN])
def test_a_template_that_cannot_be_sent_is_named_if_a_campaign_waits_for_it(client: Pages, audit: Audit) -> None:
    channel = builders.channel()
    used = builders.template(channel.id, audit=audit, name="会员日")
    builders.template(channel.id, audit=audit, name="没人用")
    builders.campaign(channel_id=channel.id, template_id=used.id, status=Status.WAITING)

    page = client.as_("operator").get("/")

    assert needs(page).count("template") == 1
    assert "会员日" in page.first("[data-need=template]").get_text()


def test_what_is_being_sent_shows_its_progress_and_the_piece_reloads(client: Pages) -> None:
    campaign = ledgers.campaign(name="三月回馈")
    run = ledgers.run(campaign)
    run.state, run.finished_at = RunState.SENDING, None
    current_session().commit()
    operator = client.as_("operator")

    piece = operator.get("/", htmx=True)

    assert piece.first(f"#going-{campaign.id}").get_text() == "三月回馈"
    assert piece.first("progress")
    assert piece.select_one("h1") is None


def test_the_calendar_knows_what_was_and_what_will_be(client: Pages) -> None:
    now = clock.now()
    past = ledgers.campaign(name="已经发送")
    run = ledgers.run(past)
    run.slot = now - dt.timedelta(hours=1)
    tomorrow = (now + dt.timedelta(days=1)).astimezone(dt.UTC)
    schedule = {"kind": "once", "zone": "UTC", "start": f"{tomorrow:%Y-%m-%d}", "time": f"{tomorrow:%H:%M:%S}"}
    builders.campaign(
        name="明天发送",
        status=Status.WAITING,
        schedule=schedule,
        zone="UTC",
        next_due_at=tomorrow.replace(microsecond=0),
        reviewed={"confirmed": {"target": 1300, "planned": 1234, "prefixes": {}}},
    )
    operator = client.as_("operator")

    page = operator.get("/")
    calendar = page.first("#calendar").get_text(" ")

    assert "明天发送" in page.get_text()
    assert "已经发送" in calendar or now.day == 1
    months = [calendar, operator.get("/", month=f"{tomorrow:%Y-%m}").first("#calendar").get_text(" ")]
    assert any("1,234" in text for text in months)


def test_a_month_that_cannot_be_read_is_this_one(client: Pages) -> None:
    ledgers.run(ledgers.campaign())
    viewer = client.as_("viewer", "en")

    assert viewer.get("/", month="x").first("#calendar strong") == viewer.get("/").first("#calendar strong")


def test_receipts_of_the_last_days_stand_at_the_day_of_their_run(client: Pages) -> None:
    run = ledgers.run(ledgers.campaign())
    run.slot = clock.now() - dt.timedelta(days=2)
    current_session().commit()

    cells = client.as_("viewer").get("/").select("#deliveries-table td")

    assert len(cells) == 60
    assert [int(str(cell["data-value"])) for cell in cells if str(cell["data-value"]) != "0"] == [12, 5]


def test_what_runs_out_is_said_to_those_who_can_act(client: Pages) -> None:
    # given a registration near its end, a channel with little money, and a budget nearly taken
    now = clock.now()
    channel = builders.channel(name="主通道", balance=8, balance_currency="CNY", balance_low=10)
    builders.channel(name="有钱的", balance=80, balance_currency="CNY", balance_low=10)
    ada = client.as_("administrator", "zh_Hans")
    writer = Actor("test")
    states = (Carrier.MOBILE,), RegistrationState.REGISTERED
    statement = Statement(RegistrationKind.SIGNATURE, "青禾商城", *states, expires_at=now + dt.timedelta(days=3))
    registration_statements.say(channel.id, statement, writer, now)
    wanted = WantedBudget(BudgetScope.CHANNEL, channel.id, BudgetUnit.PARTS, "", Decimal(100))
    budget_id = budgets.put(wanted, writer, now)
    with writing() as session:
        session.add(BudgetMonth(budget_id=budget_id, month=budget_guard.month_of(now), reserved=30, spent=65))
    ledgers.run(ledgers.campaign())

    page = ada.get("/")

    texts = {str(item["data-need"]): item.get_text(strip=True) for item in page.select("[data-need]")}
    assert texts["balance"] == "通道“主通道”余额不足：8 CNY。"
    assert texts["budget"] == "本月预算“单个通道 · 主通道”已占用 95%。"
    assert texts["lapsing"].startswith("“【青禾商城】”在通道“主通道”的报备将于 ")
    assert needs(page).count("balance") == 1
    assert page.value("[data-need=balance] a", "href") == f"/channels/{channel.id}"
    assert page.value("[data-need=lapsing] a", "href") == f"/registrations/?channel={channel.id}"
    assert not {"balance", "budget"} & set(needs(client.as_("operator").get("/")))


def test_a_webhook_that_is_not_reached_is_named_after_a_while(client: Pages) -> None:
    now = clock.now()
    row, _secret = webhooks.create("订单系统", "https://orders.example/", OFFERED, Actor("test"), now)
    ledgers.run(ledgers.campaign())
    ada = client.as_("administrator", "zh_Hans")
    for minutes, is_told in ((10, False), (40, True)):
        row.failing_since = now - dt.timedelta(minutes=minutes)
        current_session().commit()
        page = ada.get("/")
        assert ("webhook" in needs(page)) is is_told
    assert page.value("[data-need=webhook] a", "href") == f"/settings/webhooks/{row.id}"
    assert "webhook" not in needs(client.as_("operator").get("/"))
