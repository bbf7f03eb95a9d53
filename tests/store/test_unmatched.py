"""Receipts that name no message: found page by page, each from an index."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.store.db import current_session, dialect
from smsapp.store.receipts import unmatched
from tests import builders

pytestmark = pytest.mark.usefixtures("app")
BASE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def keep(channel_id: int, *named: tuple[str, str]) -> None:
    rows = [{"ref": ref, "provider_ref": theirs, "phone": "", "status": "delivered"} for ref, theirs in named]
    unmatched.store(
        current_session(), [{"channel_id": channel_id, "outcome": None, "code": "", **row} for row in rows], BASE
    )
    current_session().commit()


def found(**asked: Any) -> list[tuple[str, str]]:
    given = {"channel_id": None, "ref": "", "before": None, "limit": 10} | asked
    return [(one.ref, one.provider_ref) for one in unmatched.page(current_session(), **given)]


def test_newest_come_first_and_an_id_of_either_side_is_found_exactly() -> None:
    one, other = builders.channel().id, builders.channel().id
    keep(one, ("7-1", ""), ("", "7-1"), ("7-1", "7-1"), ("7-10", "a"))
    keep(other, ("7-1", "b"))

    assert found(limit=2) == [("7-1", "b"), ("7-10", "a")]
    assert found(ref="7-1") == [("7-1", "b"), ("7-1", "7-1"), ("", "7-1"), ("7-1", "")]
    assert found(ref="7-1", channel_id=one, limit=2) == [("7-1", "7-1"), ("", "7-1")]
    assert found(ref="7-") == found(ref="%") == []
    third = unmatched.page(current_session(), channel_id=one, ref="", before=None, limit=2)[-1]
    assert found(channel_id=one, before=third.id) == [("", "7-1"), ("7-1", "")]


ASKED: dict[str, Callable[[Session], Any]] = {
    "all": lambda session: unmatched.page(session, channel_id=None, ref="", before=9, limit=51),
    "channel": lambda session: unmatched.page(session, channel_id=1, ref="", before=9, limit=51),
    "id": lambda session: unmatched.page(session, channel_id=None, ref="7-1", before=9, limit=51),
    "id and channel": lambda session: unmatched.page(session, channel_id=1, ref="7-1", before=None, limit=51),
    "lately": lambda session: unmatched.seen(session, 1, 101),
    "placed": lambda session: unmatched.with_message(session, BASE, 0, 500),
    "beyond": lambda session: unmatched.delete_beyond(session, 1, 20_000, 5000),
}


@pytest.mark.parametrize("asked", ASKED)
def test_nothing_reads_or_sorts_the_whole_table(asked: str) -> None:
    connection = current_session().connection()
    if dialect() == "postgresql":
        # A small table is read whole, whatever indexes there are; the question here is whether they could serve.
        for way in ("seqscan", "bitmapscan", "sort"):
            connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        prefix, bad = "EXPLAIN ", ("Seq Scan on unmatched_receipt", "Sort")
    else:
        prefix, bad = "EXPLAIN QUERY PLAN ", ("SCAN unmatched_receipt'", "TEMP B-TREE")
    said: list[tuple[str, Any]] = []

    def listen(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    sa.event.listen(connection, "before_cursor_execute", listen)
    ASKED[asked](current_session())
    sa.event.remove(connection, "before_cursor_execute", listen)

    assert said
    for statement, parameters in said:
        plan = "\n".join(str(tuple(row)) for row in connection.exec_driver_sql(prefix + statement, parameters))
        assert not [one for one in bad if one in plan], plan
