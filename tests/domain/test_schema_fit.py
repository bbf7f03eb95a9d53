"""Which schemas code may run with."""

from __future__ import annotations

import pytest

from smsapp.domain.schema_fit import SchemaFit, schema_fit

KNOWN = ("0001", "0002", "0003")


@pytest.mark.parametrize(
    ("found", "oldest_code", "expected"),
    [
        (["0003"], "0001", SchemaFit.SAME),
        (["0003", "0003"], "0002", SchemaFit.SAME),
        # a rolling upgrade: new columns were added, this code does not know them
        (["0005"], "0001", SchemaFit.COMPATIBLE),
        (["0005"], "0003", SchemaFit.COMPATIBLE),
        # something was taken away that this code needs
        (["0005"], "0004", SchemaFit.NEWER),
        (["0005"], "", SchemaFit.NEWER),
        (["0002"], "0001", SchemaFit.OLDER),
        (["", ""], "", SchemaFit.EMPTY),
        (["0003", ""], "0001", SchemaFit.HALF),
        (["0003", "0002"], "0001", SchemaFit.HALF),
        (["0005", "0003"], "0001", SchemaFit.HALF),
    ],
)
def test_code_runs_with_its_own_schema_and_with_newer_ones_that_say_so(
    found: list[str], oldest_code: str, expected: SchemaFit
) -> None:
    assert schema_fit(found, KNOWN, oldest_code) is expected


def test_only_what_fits_is_usable() -> None:
    assert {fit for fit in SchemaFit if fit.usable} == {SchemaFit.SAME, SchemaFit.COMPATIBLE}
