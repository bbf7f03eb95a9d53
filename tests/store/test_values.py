"""Values as they stand in a text: SQL writes and refuses what the domain does, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.bounds import Bound, faults
from smsapp.domain.contact import Type
from smsapp.domain.writing import FORMS, Form, form_of, written
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.values import Source
from smsapp.store.db import current_session
from tests import builders
from tests.domain.test_bounds import FINE, TRAPS

MOMENTS = ("2026-03-01T00:00:00", "2026-03-01T09:30:00", "2024-12-31T23:59:59", "2026-11-10T00:00:00")
VALUES: dict[Type, tuple[Any, ...]] = {
    Type.STRING: ("陈涛", "12.0", "true", "2026-03-01", '引"号', ""),
    Type.NUMBER: (0, 7, -3, 12.5, 0.001, 100000000, 900000000000000, 1234567890123.456, -0.25),
    Type.BOOL: (True, False),
    Type.DATETIME: MOMENTS,
    Type.LIST: (["金卡"], ["b", "a", "c"], [], ["含、顿号", "x, y"]),
}


def test_every_value_is_written_as_the_domain_says(app: Flask) -> None:
    for kind, values in VALUES.items():
        made = {builders.contact(properties={"p": value}).id: value for value in values}
        for form in FORMS.get(kind, (None,)):
            source = Source("p", form, number=kind is Type.NUMBER)
            rows = current_session().execute(sa.select(Contact.id, source.written).where(Contact.id.in_(made)))
            assert {made_id: text or "" for made_id, text in rows} == {
                made_id: written(value, form) for made_id, value in made.items()
            }, form


@pytest.mark.parametrize("bound", [Bound(), Bound(longest=3), Bound(links=True), Bound(contacts=True, lines=True)])
def test_sql_refuses_what_the_domain_refuses(app: Flask, bound: Bound) -> None:
    made = {builders.contact(properties={"p": value}).id: value for value in (*FINE, *TRAPS)}
    source = Source("p", bound=bound)
    refused = current_session().scalars(sa.select(Contact.id).where(source.unfit(source.written)))
    assert {made[row] for row in refused} == {value for value in made.values() if faults(value, bound)}


def test_a_fallback_stands_in_for_a_value_that_is_not_there(app: Flask) -> None:
    builders.contact(properties={"p": ""})
    builders.contact(properties={})
    source = Source("p", fallback="会员")
    assert list(current_session().scalars(sa.select(source.value(source.written)))) == ["会员", "会员"]


@pytest.mark.parametrize(
    ("kind", "text", "form"),
    [
        (Type.DATETIME, "到期 ${day}", Form.DATE_AND_TIME),
        (Type.BOOL, "会员：${vip}", Form.YES_NO_ZH),
        (Type.BOOL, "Member: ${vip}", Form.YES_NO_EN),
        (Type.LIST, "您的标签${tags}", Form.COMMAS_ZH),
        (Type.LIST, "Your tags: ${tags}", Form.COMMAS_EN),
        (Type.NUMBER, "${points}", None),
    ],
)
def test_a_form_that_nobody_chose_suits_the_language_of_the_template(kind: Type, text: str, form: Form | None) -> None:
    assert form_of({"property": "p"}, kind, text) == form
    assert form_of({"property": "p", "form": "no such form"}, kind, text) == form


def test_dates_are_written_as_people_write_them() -> None:
    noon, day = "2026-03-01T09:30:00", "2026-03-01T00:00:00"
    assert [written(noon, form) for form in FORMS[Type.DATETIME]] == [
        "2026-03-01 09:30",
        "2026-03-01",
        "09:30",
        "2026年3月1日",
        "3月1日",
        "3月1日09:30",
        "Mar 1, 2026",
        "Mar 1",
    ]
    assert written(day, Form.DATE_AND_TIME) == "2026-03-01"
    assert [written(value, None) for value in (12.0, 100.50, 1e14)] == ["12", "100.5", "100000000000000"]
