"""What a message becomes when something is heard of it: every state beside every piece of news."""

from __future__ import annotations

import itertools

import pytest

from smsapp.domain.message import ACCEPTED_STATES, FAILED_STATES, NEVER_LEFT, Status, advance

LETTERS = {
    "Q": Status.QUEUED,
    "H": Status.IN_FLIGHT,
    "C": Status.CANCELLED,
    "U": Status.UNCONFIRMED,
    "R": Status.REFUSED,
    "A": Status.ACCEPTED,
    "N": Status.NO_RECEIPT,
    "F": Status.UNDELIVERED,
    "D": Status.DELIVERED,
    "X": Status.EXPIRED,
}
NEWS = "QHCURANFDX"
TABLE = {
    # state: what it becomes after each of NEWS
    "Q": "QHCURANFDQ",
    "H": "HHCURANFDH",
    "C": "CCCCCCCCCC",
    "U": "UUUURANFDU",
    "R": "RRRRRRRRDR",
    "A": "AAAAAANFDA",
    "N": "NNNNNNNFDN",
    "F": "FFFFFFFFDF",
    "D": "DDDDDDDDDD",
    "X": "XXXXXXXXXX",
}
CASES = [(state, status, after) for state, row in TABLE.items() for status, after in zip(NEWS, row, strict=True)]


@pytest.mark.parametrize(("state", "status", "after"), CASES)
def test_every_state_after_every_piece_of_news(state: str, status: str, after: str) -> None:
    assert advance(LETTERS[state], LETTERS[status]) is LETTERS[after]


def test_the_table_names_every_state() -> None:
    assert set(LETTERS.values()) == set(Status)
    assert set(TABLE) == set(NEWS) == set(LETTERS)


@pytest.mark.parametrize("start", Status)
def test_the_order_in_which_receipts_come_changes_nothing(start: Status) -> None:
    receipts = (Status.ACCEPTED, Status.UNDELIVERED, Status.DELIVERED)
    ends = set()
    for order in itertools.permutations(receipts):
        state = start
        for status in order:
            state = advance(state, status)
        ends.add(state)
    assert ends == {start if start in NEVER_LEFT else Status.DELIVERED}


@pytest.mark.parametrize(("state", "status"), list(itertools.product(Status, Status)))
def test_the_same_news_twice_is_the_same_as_once(state: Status, status: Status) -> None:
    once = advance(state, status)
    assert advance(once, status) is once


def test_the_numbers_in_the_ledger_stay_what_they_are() -> None:
    assert [LETTERS[letter].value for letter in NEWS] == list(range(10))


def test_no_message_was_both_accepted_and_refused() -> None:
    assert {Status.ACCEPTED, Status.DELIVERED, Status.UNDELIVERED, Status.NO_RECEIPT} == ACCEPTED_STATES
    assert {Status.REFUSED, Status.UNDELIVERED} == FAILED_STATES
