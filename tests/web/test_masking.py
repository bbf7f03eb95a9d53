"""Whoever may not see phone numbers finds one on no page, wherever it stands and however it is written."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re

import pytest
from flask import Flask

from smsapp.channels.base import Reply as Incoming
from smsapp.domain.contact import Type
from smsapp.domain.message import Status
from smsapp.domain.optout import OptOutSource
from smsapp.domain.segment import Condition, Group, Operator
from smsapp.services import opt_outs, replies
from smsapp.store.db import session, writing
from smsapp.store.runs import Message
from tests import builders, ledgers
from tests.pages import Pages

NUMBER = "13800138000"
WRITTEN = (NUMBER, "+86 138 0013 8000", "138.0013.8000", "138–0013–8000", "１３８００１３８０００", "0213800138000")
SHOWN_SOMEWHERE = {
    "contacts.index",
    "contacts.show",
    "segments.show",
    "reports.effect",
    "reports.run_effect",
    "reports.message",
    "campaigns.show",
    "replies.index",
    "replies.listed",
}
"""Pages that show the number to those who may see it: a test that reaches fewer of them proves less."""


@pytest.fixture(autouse=True)
def filled(app: Flask, now: dt.datetime) -> None:
    """The number, in many notations, in every place where people or apps can leave one."""
    for name, kind in (("$phone", "string"), ("name", "string"), ("tags", "list"), ("home", "number")):
        builders.known_property(name, kind)
    held = {"name": f"王{NUMBER}", "tags": list(WRITTEN), "home": int(NUMBER), "memo": "；".join(WRITTEN)}
    one = builders.contact(f"u-{NUMBER}", f"+86{NUMBER}", properties=held)
    builders.contact(WRITTEN[2], "", properties={"$phone": f"{WRITTEN[3]} 转 1"})
    conditions = [Condition("$phone", Type.STRING, Operator.ONE_OF, (WRITTEN[:5],))]
    conditions.append(Condition("home", Type.NUMBER, Operator.EQUALS, (int(NUMBER),)))
    rule = Group(children=tuple(conditions)).as_json()
    builders.segment(rule=rule)
    campaign = builders.campaign(template_id=None)
    mapping = {"name": {"fixed": " ".join(WRITTEN)}, "code": {"property": "home", "fallback": NUMBER}}
    text = builders.template(campaign.channel_id or 0, text=ledgers.TEMPLATE["text"])
    campaign.template_id, campaign.mapping = text.id, mapping
    chosen = {name: getattr(campaign, name) for name in ("segment_id", "channel_id", "template_id", "mapping")}
    builders.campaign(**chosen)
    made = ledgers.run(campaign, [(Status.DELIVERED, "", "", 2)], {})
    made.template = ledgers.TEMPLATE | {"mapping": mapping}
    message = session().get_one(Message, (made.id, 1))
    message.contact_id, message.phone, message.params = one.id, f"+86{NUMBER}", json.dumps([NUMBER])
    session().commit()
    with writing() as current:
        for position, written in enumerate(WRITTEN):
            reply = Incoming(phone=NUMBER, text=f"我的号码是{written}")
            replies.take(current, campaign.channel_id or 0, None, position, reply, now)
        opt_outs.record(current, "+8613900139000", OptOutSource.PERSON, now, remark=f"也是 {WRITTEN[1]} 的机主")


def pages_with(reader: Pages) -> dict[str, str]:
    """Return {endpoint: address} of the pages on which this reader can find the number."""
    found: dict[str, str] = {}
    opened = 0
    for rule in reader.app.url_map.iter_rules():
        if "GET" not in (rule.methods or set()) or rule.endpoint == "static":
            continue
        places = re.findall("<(?:int|long):[^>]*>", rule.rule)
        for ids in itertools.product("12", repeat=len(places)):
            url = rule.rule
            for place, chosen in zip(places, ids, strict=True):
                url = url.replace(place, chosen, 1)
            url = re.sub("<[^>]*>", "x", url)
            answer = reader.raw.get(url)
            opened += answer.status_code == 200
            if tells(answer.get_data(as_text=True)):
                found[rule.endpoint] = url
    assert opened > 20
    return found


def tells(text: str) -> bool:
    """Return whether the number stands in this text, whatever stands between its digits."""
    return NUMBER in re.sub(r"[\W_]", "", text.translate(str.maketrans("０１２３４５６７８９", "0123456789")))


def test_a_viewer_finds_a_whole_number_on_no_page(client: Pages) -> None:
    assert pages_with(client.as_("viewer", sees_numbers=True)).keys() >= SHOWN_SOMEWHERE
    assert pages_with(client.as_("viewer")) == {}


def test_columns_of_a_segment_and_searches_show_a_viewer_no_whole_number(client: Pages) -> None:
    viewer = client.as_("viewer")
    columns = "?column=$phone&column=tags&column=home&column=name"
    assert tells(str(client.as_("administrator").get(f"/segments/2{columns}")))
    assert not tells(str(viewer.get(f"/segments/2{columns}")))
    for url, field, part in (
        ("/replies/", "q", "我的号码"),
        ("/replies/opt-outs", "q", "9000"),
        ("/contacts/", "search", "8000"),
    ):
        found = viewer.post(url, **{field: part})
        assert found.rows(), url
        assert not tells(str(found.select("tbody"))), url


def test_an_operator_sees_no_whole_number_while_building_a_segment(client: Pages) -> None:
    sent = {"name": "x", "kind": "dynamic", "rule.match": "all", "do": "count"}
    sent |= {"rule.0.property": "name", "rule.0.operator": "contains", "rule.0.value.0": "王"}
    piece = client.as_("operator").post("/segments/new", htmx=True, **sent)
    assert piece.select(".count-sample li")
    assert not tells(str(piece))
