"""Uploading a file of another system in the browser: told or recognised, with a segment, and what did not fit."""

from __future__ import annotations

import io
from typing import Any

import pytest

from config import HERE
from smsapp.services.contacts import import_rows, imports
from smsapp.services.platform import clock
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from tests import builders

pytestmark = pytest.mark.parametrize("config", ["sqlite"], indirect=True)
FILE = HERE / "tests" / "files" / "other_systems" / "pinpoint_export.json"


def uploaded(operator: Any, system: str = "") -> int:
    """Upload the export in the browser and have a worker recognise it; return the import's id."""
    operator.post("/contacts/imports/", file=(io.BytesIO(FILE.read_bytes()), "export.json"), system=system)
    import_id = imports.listed()[0].id
    imports.recognise(import_id, clock.now())
    return import_id


def chosen(import_id: int) -> dict[str, str]:
    """The form as the page fills it in."""
    seen = imports.preview(imports.found(import_id))
    return {
        f"{name}-{i}": str(value)
        for i, guess in enumerate(seen.guesses)
        for name, value in (("role", guess.role), ("name", guess.name), ("type", guess.type))
    }


def test_the_page_offers_the_systems_and_an_export_goes_the_whole_way(client: Any) -> None:
    operator = client.as_("operator")
    assert "Amazon Pinpoint: 端点或分群，CSV 或 JSON" in operator.get("/contacts/imports/").get_text()
    import_id = uploaded(operator, "pinpoint")
    address = f"/contacts/imports/{import_id}"
    page = operator.get(address)
    assert "这是 Amazon Pinpoint 的文件" in page.get_text()
    assert page.select("select[name=encoding]") == []
    operator.post(address, **chosen(import_id), segment_name="老客户")
    import_rows.run(import_id, clock.now)
    words = operator.get(address).get_text()
    for part in ("合并的行", "已加入退订名单", "文件里的用户已存为分群“老客户”", "ChannelType 不是 SMS"):
        assert part in words
    assert "2065550100" not in words
    rows = operator.raw.get(f"{address}/left-out.csv").get_data(as_text=True)
    assert "同一用户的另一行已导入" in rows
    assert rows.removeprefix("\ufeff").startswith("✗ 行,✗ 原因,✗ user_id,✗ phone,")
    assert len(operator.raw.get(f"{address}/refused.csv").get_data(as_text=True).splitlines()) == 1
    current_session().expire_all()
    assert current_session().query(Segment.name, Segment.size).one() == ("老客户", 2)


def test_a_segment_name_that_is_taken_is_refused_beside_its_field_and_nothing_starts(client: Any) -> None:
    operator = client.as_("operator")
    builders.segment(name="VIP")
    import_id = uploaded(operator)
    page = operator.post(f"/contacts/imports/{import_id}", **chosen(import_id), segment_name="VIP", status=422)
    assert page.select("#wrong-segment li")
    assert page.select_one("#segment_name")["value"] == "VIP"
    assert imports.found(import_id).state == "uploaded"
