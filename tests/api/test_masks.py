"""What a key that may not see numbers reads: as little as the pages show."""

from __future__ import annotations

from typing import Any

from smsapp.domain.api_key import Scope
from smsapp.domain.phone import mask_all
from tests import builders
from tests.api.conftest import Program, Programs

MASKED = "138****8000"


def test_numbers_are_masked_wherever_they_stand(program: Program, programs: Programs) -> None:
    # Given numbers in figures, lists and odd notations, in the rule of a segment and in a campaign
    for name, kind in (("$phone", "string"), ("mobile", "number"), ("age", "number"), ("others", "list")):
        builders.known_property(name, kind)
    values = {"$phone": "138 0013 8000", "mobile": 13800138000, "age": 41, "vip": True, "others": ["13800138000"]}
    contact = builders.contact("u1", "+8613800138000", properties=values)
    children = [{"property": "mobile", "type": "number", "operator": "equals", "params": [13800138000]}]
    segment = builders.segment(rule={"match": "all", "children": children})
    mapping = {"who": {"fixed": "13800138000"}, "to": {"property": "city", "fallback": "13800138000"}}
    campaign = builders.campaign(mapping=mapping)

    def seen(reader: Program) -> list[Any]:
        properties = reader.get(f"/contacts/{contact.id}")["properties"]
        condition = reader.get(f"/segments/{segment.id}")["rule"]["children"][0]
        texts = reader.get(f"/campaigns/{campaign.id}")["mapping"]
        assert (properties["age"], properties["vip"]) == (41, True)
        return [
            *(properties["$phone"], properties["mobile"], properties["others"][0], condition["params"][0]),
            *(texts["who"]["fixed"], texts["to"]["fallback"]),
        ]

    # Then they are masked for most keys, and whole for one that may see them
    assert seen(program) == [MASKED] * 6
    whole = programs.with_(Scope.READ, sees_numbers=True)
    assert seen(whole) == ["138 0013 8000", 13800138000, "13800138000", 13800138000, "13800138000", "13800138000"]


def test_json_without_numbers_stays_as_it_is() -> None:
    plain = {"n": 1, "x": 1.5, "yes": True, "none": None, "list": ["a", {"b": 20261201}]}
    assert mask_all(plain) == plain
    assert mask_all({"list": [13800138000, 13800138000.0]})["list"][0] == MASKED
