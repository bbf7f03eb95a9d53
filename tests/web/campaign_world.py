"""What the tests of a campaign's form and review begin with."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.pages import Page

ZONE = "Asia/Shanghai"


class World:
    """A segment with four people, a channel with a price, and a template with a variable."""

    def __init__(self) -> None:
        builders.known_property("$phone")
        builders.known_property("name")
        self.segment = builders.segment(name="高价值会员")
        self.channel: ChannelRow = builders.channel(name="演练通道", price="0.05", rate=10)
        self.template: SmsTemplate = builders.template(
            self.channel.id, name="问候", text="${name}您好，欢迎回来。", allowed={"name": {"longest": 100}}
        )
        builders.contact("u1", builders.phone(1), properties={"name": "王伟"})
        builders.contact("u2", builders.phone(2), properties={"name": "欧阳" * 40})
        builders.contact("u3", builders.phone(3))
        builders.contact("u4")

    def fields(self, **given: Any) -> dict[str, Any]:
        """What the form sends when everything is chosen."""
        filled = {
            "name": "双十一召回",
            "segment": self.segment.id,
            "channel": self.channel.id,
            "template": self.template.id,
            "from-name": "name",
            "text-name": "",
            "kind": "now",
            "cycle": "daily",
            "zone": ZONE,
        }
        return filled | given


def stored(campaign_id: int = 0) -> Campaign:
    current_session().expire_all()
    query = sa.select(Campaign).order_by(Campaign.id.desc()).limit(1)
    return current_session().scalars(query if not campaign_id else query.where(Campaign.id == campaign_id)).one()


def shown_to_confirm(review: Page) -> dict[str, Any]:
    """Return what the review's button sends of what the person has seen."""
    return {name: review.value(f"input[name={name}]") for name in ("version", "seen")}
