"""How often the pages that people open most ask the database: a number that no row and no person adds to."""

from __future__ import annotations

import pytest
from flask import Flask

from smsapp.domain.message import Status
from smsapp.domain.run import RunState
from tests import builders, ledgers
from tests.pages import Pages
from tests.statements import statements
from tests.web.campaign_world import World

pytestmark = pytest.mark.parametrize("config", ["sqlite"], indirect=True)
MOST_OF_LIST, MOST_OF_FORM, MOST_OF_EFFECT = 19, 18, 25


def asked(pages: Pages, address: str) -> list[str]:
    """Return the statements of a page that was shown before."""
    pages.get(address)
    with statements() as during:
        pages.get(address)
    return during


def add_sending(name: str) -> None:
    """Add a campaign that is being sent, and whose pace can be measured."""
    ledgers.run(ledgers.campaign(name=name, status="sending"), state=RunState.SENDING, finished_at=None)


def test_the_list_asks_as_often_for_many_campaigns_as_for_one(client: Pages) -> None:
    admin = client.as_("administrator")
    add_sending("回馈")
    of_one = asked(admin, "/campaigns/")
    for n in range(4):
        add_sending(f"回馈{n}")
        builders.campaign(name=f"草稿{n}")

    of_many = asked(admin, "/campaigns/")

    assert len(of_many) == len(of_one) <= MOST_OF_LIST, of_many


def test_the_form_asks_as_often_for_many_people_as_for_a_few(app: Flask, client: Pages) -> None:
    world = World()
    draft = builders.campaign(
        segment_id=world.segment.id, channel_id=world.channel.id, template_id=world.template.id,
        mapping={"name": {"property": "name", "fallback": "会员"}},
    )  # fmt: skip
    admin = client.as_("administrator")
    address = f"/campaigns/{draft.id}/edit"
    of_few = asked(admin, address)
    for n in range(60):
        builders.contact(f"more{n}", builders.phone(100 + n), properties={"name": "李娜"})

    of_many = asked(admin, address)

    assert len(of_many) == len(of_few) <= MOST_OF_FORM, of_many


def test_the_effect_page_asks_as_often_for_many_people_as_for_a_few(client: Pages) -> None:
    admin = client.as_("administrator")
    campaigns = [ledgers.campaign(), ledgers.campaign()]
    for campaign, n in zip(campaigns, (2, 45), strict=True):
        ledgers.run(campaign, [(Status.DELIVERED, "", "DELIVRD", n)], {})

    of_few, of_many = (asked(admin, f"/campaigns/{campaign.id}/effect") for campaign in campaigns)

    assert len(of_many) == len(of_few) <= MOST_OF_EFFECT, of_many
