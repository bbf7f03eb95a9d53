"""Rows with sensible defaults, written straight through the session: for tests that need them to be there already."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any, TypeVar

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import Status
from smsapp.domain.tags import key
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import Base, current_session
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.tags import Tag
from smsapp.store.users import User

LONG_AGO = dt.datetime(2026, 1, 5, 1, 0, tzinfo=dt.UTC)
_number = itertools.count(1)
Row = TypeVar("Row", bound=Base)
Value = TypeVar("Value")


def kept(row: Row) -> Row:
    """Commit the row and return it with its id."""
    current_session().add(row)
    current_session().commit()
    return row


def existing(value: Value | None) -> Value:
    """Return what was looked up; it has to be there."""
    assert value is not None, "what the test looks up is not there"
    return value


def person(**columns: Any) -> User:
    """An active operator who cannot sign in by password until one is set."""
    n = next(_number)
    values = {"login": f"person{n}", "name": f"运营{n}", "role": "operator", "created_at": LONG_AGO}
    return kept(User(**(values | columns)))


def contact(xwho: str = "", phone: str | None = None, **columns: Any) -> Contact:
    """A contact whose `$phone` is `phone` (E.164; "" = a value from which no number can be read; None = no value)."""
    n = next(_number)
    if phone is not None:
        columns["properties"] = {"$phone": phone or "nonsense"} | columns.get("properties", {})
        columns["phones"] = {"$phone": phone} | columns.get("phones", {})
    values = {"xwho": xwho or f"user{n}", "created_at": LONG_AGO, "updated_at": LONG_AGO}
    return kept(Contact(**(values | columns)))


def phone(n: int) -> str:
    """The n-th number of a range of mainland mobile numbers, in E.164."""
    return f"+86138{n:08d}"


def contacts(count: int, **properties: Any) -> list[Contact]:
    """`count` contacts with different valid numbers."""
    rows = []
    for _ in range(count):
        n = next(_number)
        number = phone(n)
        rows.append(
            Contact(
                xwho=f"user{n}",
                properties={"$phone": number} | properties,
                phones={"$phone": number},
                created_at=LONG_AGO,
                updated_at=LONG_AGO,
            )
        )
    current_session().add_all(rows)
    current_session().commit()
    return rows


def known_property(name: str, type: str = "string", **columns: Any) -> Property:
    """A property the product has seen before."""
    return kept(Property(**({"name": name, "type": type, "created_at": LONG_AGO} | columns)))


def segment(**columns: Any) -> Segment:
    """A dynamic segment without a condition: everybody."""
    n = next(_number)
    values: dict[str, Any] = {"name": f"分群{n}", "kind": "dynamic", "rule": {}}
    return kept(Segment(**(values | {"created_at": LONG_AGO, "updated_at": LONG_AGO} | columns)))


def channel(**columns: Any) -> ChannelRow:
    """An active simulator without quiet hours."""
    n = next(_number)
    values: dict[str, Any] = {
        "name": f"通道{n}",
        "kind": "simulator",
        "callback_token": f"token{n}",
        "quiet_from": "00:00",
        "quiet_until": "00:00",
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
    }
    return kept(ChannelRow(**(values | columns)))


def template(channel_id: int, **columns: Any) -> SmsTemplate:
    """An approved notification without variables."""
    n = next(_number)
    values: dict[str, Any] = {
        "channel_id": channel_id,
        "code": f"SMS_{n}",
        "name": f"模板{n}",
        "text": "您的积分将于本月底到期，请及时使用。",
        "signature": "青禾商城",
        "purpose": "notification",
        "audit": "approved",
        "source": "manual",
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
    }
    return kept(SmsTemplate(**(values | columns)))


def campaign(**columns: Any) -> Campaign:
    """A draft that is ready to go out at once; what is not given is made: segment, channel, approved template."""
    n = next(_number)
    if "segment_id" not in columns:
        columns["segment_id"] = segment().id
    if "audience" not in columns:
        columns["audience"] = AudienceRule.of(columns["segment_id"]).as_json()
    if "channel_id" not in columns:
        columns["channel_id"] = channel().id
    if "template_id" not in columns and columns["channel_id"] is not None:
        columns["template_id"] = template(columns["channel_id"]).id
    values: dict[str, Any] = {
        "name": f"短信{n}",
        "status": Status.DRAFT,
        "schedule": {"kind": "now", "zone": "Asia/Shanghai"},
        "zone": "Asia/Shanghai",
        "grace_minutes": 120,
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
    }
    return kept(Campaign(**(values | columns)))


def tag(name: str) -> Tag:
    """A tag that nothing has."""
    return kept(Tag(name=name, key=key(name)))
