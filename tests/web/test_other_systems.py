"""Uploading a file of another system in the browser: told or recognised, with a segment, and what did not fit."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient

from config import HERE
from smsapp.services.contacts import import_rows, imports
from smsapp.services.platform import clock
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from tests import builders, pages

pytestmark = pytest.mark.parametrize("config", ["sqlite"], indirect=True)
FILE = HERE / "tests" / "files" / "other_systems" / "pinpoint_export.json"


def uploaded(client: FlaskClient, system: str = "") -> int:
    """Upload the export in the browser and have a worker recognise it; return the import's id."""
    form = {"file": (io.BytesIO(FILE.read_bytes()), "export.json"), "system": system}
    answer = client.post("/contacts/imports/", data=form, content_type="multipart/form-data")
    import_id = int(answer.headers["Location"].rpartition("/")[2])
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


def test_the_page_offers_the_systems_and_an_export_goes_the_whole_way(client: FlaskClient) -> None:
    pages.sign_in(client, builders.person(role="admin"))
    assert "Amazon Pinpoint: 端点或分群，CSV 或 JSON" in client.get("/contacts/imports/").text
    import_id = uploaded(client, "pinpoint")
    address = f"/contacts/imports/{import_id}"
    page = client.get(address).text
    assert "这是 Amazon Pinpoint 的文件" in page
    assert 'name="encoding"' not in page
    client.post(address, data=chosen(import_id) | {"segment_name": "老客户"})
    import_rows.run(import_id, clock.now)
    page = client.get(address).text
    for words in ("合并的行", "已加入退订名单", "文件里的用户已存为分群“老客户”", "ChannelType 不是 SMS"):
        assert words in page
    assert "+12065550100" not in page
    rows = client.get(f"{address}/refused.csv").text
    assert "同一用户的另一行已导入" in rows
    current_session().expire_all()
    assert current_session().query(Segment.name, Segment.size).one() == ("老客户", 2)


def test_a_segment_name_that_is_taken_is_refused_beside_its_field_and_nothing_starts(client: FlaskClient) -> None:
    pages.sign_in(client, builders.person(role="admin"))
    builders.segment(name="VIP")
    import_id = uploaded(client)
    answer = client.post(f"/contacts/imports/{import_id}", data=chosen(import_id) | {"segment_name": "VIP"})
    assert answer.status_code == 422
    assert 'id="wrong-segment"' in answer.text
    assert 'value="VIP"' in answer.text
    assert imports.found(import_id).state == "uploaded"
