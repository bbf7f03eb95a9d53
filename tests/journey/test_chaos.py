"""A few rounds of bench/chaos: whatever is killed, nobody gets a text twice or none, and the numbers add up."""

from __future__ import annotations

import random

import pytest

from bench.chaos.__main__ import rounds
from tests.conftest import DATABASES

ROUNDS, PEOPLE = 2, 200


@pytest.mark.parametrize("kind", DATABASES)
def test_nobody_is_written_to_twice_or_missing_whatever_is_killed(kind: str) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    results = rounds(kind, ROUNDS, PEOPLE, seed, hosts=False)
    assert [result.broken for result in results] == [[]] * ROUNDS, f"seed {seed}"
    assert sum(result.submits for result in results) > 0
