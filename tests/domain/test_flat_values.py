"""Values of JSON as cells: columns of one kind are written in one step, and exactly as mixed ones are."""

from __future__ import annotations

from typing import Any

import pytest

from smsapp.domain.flat_values import flat, texts


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([5.0, -0.0, 7.0], ["5", "0", "7"]),
        ([5.0, 0.5], ["5", "0.5"]),
        ([5.0, 1e15], ["5", "1000000000000000.0"]),
        ([["a"], ["b"]], ["a", "b"]),
        ([["a"], ["b", "c"], [], None], ["a", "b, c", "", ""]),
        ([[1.0], [None], [["x", "y"]]], ["1", "", "x, y"]),
        (["a", None, True], ["a", "", "true"]),
        ([], []),
    ],
)
def test_a_value_is_written_alike_in_every_company(values: list[Any], cells: list[str]) -> None:
    assert [*texts(values)] == cells
    assert [texts([value])[0] for value in values] == cells


def test_objects_with_as_many_but_other_names_lose_nothing() -> None:
    objects: list[dict[str, Any]] = [{"Id": "1", "User": {"Name": "a"}}, {"City": "b", "User": "none"}]
    assert flat(objects, {"User"}, {"Id"}) == {"User.Name": ["a", None], "City": [None, "b"]}
