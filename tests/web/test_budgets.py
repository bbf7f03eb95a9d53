"""The page of the budgets, as an administrator uses it."""

from __future__ import annotations

from smsapp.services.platform import clock
from smsapp.services.sending import budgets
from tests import builders
from tests.pages import Pages

URL = "/settings/budgets/"


def test_an_administrator_sets_changes_and_removes_a_budget(client: Pages) -> None:
    ada = client.as_("administrator", locale="en")
    channel = builders.channel(name="演练通道")
    assert "No budget limits anything yet." in ada.get(URL).get_text()
    page = ada.post(URL, scope="all", channel="", person="", unit="parts", currency="CNY", most="5000")
    assert "The budget was saved." in page.said()
    assert page.rows()[0][:5] == ["Everything", "0.0%", "0", "0", "5,000"]
    ada.post(URL, scope="all", channel="", person="", unit="parts", currency="CNY", most="6000")
    page = ada.post(URL, scope="channel", channel=channel.id, person="", unit="money", currency="cny", most="99.5")
    assert [row[0] for row in page.rows()] == ["Everything", "One channel · 演练通道"]
    assert [bar.most for bar in budgets.bars(clock.now())] == [6000, 99.5]
    first = budgets.bars(clock.now())[0].id
    assert "Nothing is limited by it any more." in ada.post(f"{URL}{first}/remove").said()
    assert len(budgets.bars(clock.now())) == 1


def test_a_budget_that_means_nothing_is_refused_beside_its_field(client: Pages) -> None:
    ada = client.as_("administrator", locale="zh_Hans")
    page = ada.post(URL, status=422, scope="channel", channel="", person="", unit="money", currency="元", most="")
    assert page.texts("#channel-error li") == ["请选择预算的对象。"]
    assert page.texts("#currency-error li") == ["请填写三位币种代码，例如 CNY。"]
    assert page.texts("#most-error li") == ["请填写每月额度。"]
    client.as_("operator").get(URL, status=403)
