"""Input that fits no description is refused and breaks nothing."""

from __future__ import annotations

import pytest

from smsapp.domain.api_key import Scope
from tests import builders
from tests.api.conftest import Program, Programs


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 3000 + "1" + "}" * 3000, '{"a":' + "9" * 5000 + "}"])
def test_json_too_deep_or_too_long_is_none(program: Program, body: str) -> None:
    answer = program.ask("POST", "/contacts", 400, data=body, content_type="application/json")
    assert answer["code"] == "bad_request"


def test_a_line_does_not_end_behind_a_time(program: Program) -> None:
    schedule = {"kind": "once", "start": "2999-01-01", "time": "10:00\n"}
    assert program.post("/campaigns", {"schedule": schedule}, 422)["errors"][0]["field"] == "schedule.time"
    assert program.get("/campaigns", 422, after="1\n")["errors"][0]["field"] == "after"


@pytest.mark.parametrize(("zone", "date"), [("Asia/Shanghai", "0001-01-01"), ("America/New_York", "9999-12-31")])
@pytest.mark.parametrize("kind", ["now", "once"])
def test_no_limit_is_at_the_ends_of_the_calendar(program: Program, kind: str, zone: str, date: str) -> None:
    schedule = {"kind": kind, "zone": zone, "until": "00:00" if date < "1" else "23:59", "until_date": date}
    if kind == "once":
        schedule |= {"start": "2999-01-01", "time": "10:00"}
    segment, template = builders.segment(), builders.template(builders.channel().id)
    fields = {"audience": {"include": [segment.id]}, "channel_id": template.channel_id, "template_id": template.id}
    made = program.post("/campaigns", {"name": "x", "schedule": schedule} | fields, 201)
    estimate = program.get(f"/campaigns/{made['id']}/estimate")
    assert "date_too_far" in {problem["code"] for problem in estimate["problems"]}
    refused = program.post(f"/campaigns/{made['id']}/confirm", {"digest": estimate["digest"]}, 409)
    assert refused["code"] == "date_too_far"


def test_a_test_key_leaves_templates_of_real_channels_alone(programs: Programs) -> None:
    tester, real = programs.with_(*Scope, is_test=True), builders.channel(kind="smpp")
    records = [{"code": "T1", "text": "您好"}]
    body = {"channel_id": real.id, "templates": records}
    assert tester.post("/templates/import", body, 403)["code"] == "test_key"
    assert tester.post("/templates/sync", {"channel_id": real.id}, 403)["code"] == "test_key"
    tester.post("/templates/import", body | {"channel_id": builders.channel().id})
