"""A few rounds of bench/chaos: whoever dies, nobody is written to twice or missing, the numbers are true."""

from __future__ import annotations

import random

import pytest

from bench.chaos.__main__ import rounds
from tests.conftest import DATABASES

ROUNDS, PEOPLE = 2, 200


@pytest.mark.parametrize("kind", DATABASES)
def test_nobody_is_written_to_twice_or_missing_whatever_is_killed(kind: str) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    told = rounds(kind, ROUNDS, PEOPLE, seed, hosts=False)
    assert [one.broken for one in told] == [[]] * ROUNDS, f"seed {seed}"
    assert sum(one.submits for one in told) > 0
