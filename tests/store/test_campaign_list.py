"""The list of campaigns: what it finds, in which order, page by page."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.campaign import Sort, Status, Tab
from smsapp.store.campaigns import campaign_list
from smsapp.store.campaigns.campaign_list import CampaignFilter, counts, page
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, dialect
from tests import builders

pytestmark = pytest.mark.usefixtures("app")
BASE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def campaign(**given: Any) -> Campaign:
    blank = {"segment_id": None, "channel_id": None, "template_id": None}
    return builders.campaign(**(blank | given))


def found(**filters: Any) -> list[str]:
    """Return the names on the first page."""
    ids = page(current_session(), CampaignFilter(**filters)).ids
    names = {one.id: one.name for one in current_session().query(Campaign).where(Campaign.id.in_(ids))}
    return [names[one] for one in ids]


def test_newest_come_first_and_deleted_ones_never() -> None:
    campaign(name="旧", created_at=BASE)
    campaign(name="新", created_at=BASE + dt.timedelta(days=1))
    campaign(name="没了", created_at=BASE + dt.timedelta(days=2), deleted_at=BASE + dt.timedelta(days=3))

    assert found() == ["新", "旧"]


@pytest.mark.parametrize(
    ("keyword", "names"),
    [
        ("会员", ["双十一会员日", "会员日 5_折"]),
        ("%", ["满 100% 返券"]),
        ("_", ["会员日 5_折"]),
        ("\\", ["a\\b"]),
        ("/", ["c/d"]),
        ("sale", ["SALE 十一", "ＳＡＬＥ 十二"]),
        ("ｓａｌｅ", ["SALE 十一", "ＳＡＬＥ 十二"]),
        ("没有", []),
        ("100%返", []),
    ],
)
def test_a_keyword_is_looked_for_letter_by_letter(keyword: str, names: list[str]) -> None:
    for n, name in enumerate(
        ["双十一会员日", "会员日 5_折", "满 100% 返券", "SALE 十一", "ＳＡＬＥ 十二", "a\\b", "c/d"]
    ):
        campaign(name=name, created_at=BASE - dt.timedelta(days=n))

    assert found(keyword=keyword) == names
    assert sum(counts(current_session(), CampaignFilter(keyword=keyword)).values()) == len(names)


def test_counts_follow_every_filter_but_tab_and_status() -> None:
    channel = builders.channel().id
    campaign(name="甲", status=Status.DRAFT)
    campaign(name="乙", status=Status.SENT, channel_id=channel, template_id=None)
    campaign(name="丙", status=Status.WAITING, recurring=True, channel_id=channel, template_id=None)
    campaign(name="丁", status=Status.SENT, deleted_at=BASE)

    assert counts(current_session(), CampaignFilter()) == {
        (False, "draft"): 1,
        (False, "sent"): 1,
        (True, "waiting"): 1,
    }
    assert counts(current_session(), CampaignFilter(tab=Tab.RECURRING, status=Status.DRAFT, channel_id=channel)) == {
        (False, "sent"): 1,
        (True, "waiting"): 1,
    }
    assert counts(current_session(), CampaignFilter(keyword="甲")) == {(False, "draft"): 1}


def test_more_than_a_page_can_afford_is_not_counted(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_list, "MOST_COUNTED", 2)
    for name in ("甲", "乙乙", "乙"):
        builders.campaign(name=name)
    assert counts(current_session(), CampaignFilter()) == {}
    assert counts(current_session(), CampaignFilter(keyword="乙")) == {(False, "draft"): 2}


def test_filters_narrow_together() -> None:
    channel = builders.channel().id
    campaign(name="单次", created_at=BASE)
    campaign(name="周期", recurring=True, status=Status.WAITING, created_at=BASE, channel_id=channel, template_id=None)
    campaign(name="晚到", recurring=True, status=Status.WAITING, created_at=BASE + dt.timedelta(days=9))

    assert found(tab=Tab.SINGLE) == ["单次"]
    assert found(tab=Tab.RECURRING) == ["晚到", "周期"]
    assert found(status=Status.WAITING, channel_id=channel) == ["周期"]
    assert found(since=BASE, until=BASE + dt.timedelta(days=1)) == ["周期", "单次"]
    assert found(since=BASE + dt.timedelta(seconds=1)) == ["晚到"]


@pytest.mark.parametrize("sort", Sort)
def test_pages_forth_and_back_show_every_campaign_once(sort: Sort) -> None:
    chance = random.Random(7)
    for n in range(57):
        campaign(
            name=chance.choice("甲乙丙丁"),
            created_at=BASE + dt.timedelta(hours=chance.randint(0, 9)),
            next_due_at=BASE + dt.timedelta(days=chance.randint(1, 4)) if n % 3 == 0 else None,
        )
    pages, here = [], page(current_session(), CampaignFilter(sort=sort), limit=10)
    pages.append(here)
    while here.older:
        here = page(current_session(), CampaignFilter(sort=sort), after=here.ids[-1], limit=10)
        pages.append(here)
    back = [here]
    while here.newer:
        here = page(current_session(), CampaignFilter(sort=sort), before=here.ids[0], limit=10)
        back.append(here)

    seen = list(itertools.chain.from_iterable(one.ids for one in pages))
    assert len(seen) == len(set(seen)) == 57
    assert [one.ids for one in reversed(back)] == [one.ids for one in pages]
    rows = {one.id: one for one in current_session().query(Campaign)}
    order = [rows[one] for one in seen]
    if sort is Sort.NEWEST:
        assert order == sorted(order, key=lambda one: (one.created_at, one.id), reverse=True)
    elif sort is Sort.NAME:
        assert [one.name_key for one in order] == sorted(one.name_key for one in order)
    else:
        due = [one.next_due_at for one in order if one.next_due_at]
        assert due == sorted(due)
        assert all(one.next_due_at is None for one in order[len(due) :])


def test_a_page_behind_a_deleted_campaign_is_still_found() -> None:
    made = [campaign(created_at=BASE - dt.timedelta(days=n)) for n in range(5)]
    made[2].deleted_at = BASE
    current_session().commit()

    assert page(current_session(), CampaignFilter(), after=made[2].id).ids == [made[3].id, made[4].id]


def test_an_unknown_place_is_the_first_page() -> None:
    one = campaign()

    assert page(current_session(), CampaignFilter(), after=999_999).ids == [one.id]


@pytest.mark.parametrize(
    "wanted",
    [
        CampaignFilter(),
        CampaignFilter(sort=Sort.NAME),
        CampaignFilter(sort=Sort.DUE),
        CampaignFilter(status=Status.DRAFT),
        CampaignFilter(keyword="会员", tab=Tab.RECURRING, channel_id=1, since=BASE),
    ],
    ids=str,
)
def test_pages_and_counts_are_read_from_an_index_and_never_sorted(wanted: CampaignFilter) -> None:
    connection = current_session().connection()
    if dialect() == "postgresql":
        # A small table is read whole, whatever indexes there are; the question here is whether they could serve.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        connection.exec_driver_sql("SET LOCAL enable_hashagg = off")
        connection.exec_driver_sql("SET LOCAL enable_sort = off")
        prefix, good, bad = "EXPLAIN ", "Index", "Sort"
    else:
        prefix, good, bad = "EXPLAIN QUERY PLAN ", "USING COVERING INDEX", "TEMP B-TREE"
    asked: list[tuple[str, Any]] = []

    def listen(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(connection, "before_cursor_execute", listen)
    page(current_session(), wanted)
    counts(current_session(), wanted)
    sa.event.remove(connection, "before_cursor_execute", listen)

    *pages, counted = asked
    for statement, parameters in asked:
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(prefix + statement, parameters))
        assert good in plan, plan
        # What is counted is grouped in memory: no more than MOST_COUNTED rows.
        assert bad not in plan or statement == counted[0], plan
    assert pages
