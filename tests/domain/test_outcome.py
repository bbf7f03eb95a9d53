"""What each outcome means: worth another try, charged, and whether another channel may do better."""

from __future__ import annotations

import pytest

from smsapp.domain.outcome import FAILOVER_OUTCOMES, MEANING, RETRIABLE, Charged, Outcome

TABLE = {
    # outcome: (worth another try, charged, another channel may take it)
    "bad_number": (False, "no", False),
    "no_such_subscriber": (False, "unknown", False),
    "switched_off": (True, "yes", False),
    "suspended": (False, "yes", False),
    "blocked_by_carrier": (False, "unknown", False),
    "opted_out": (False, "no", False),
    "frequency_limit": (True, "no", False),
    "content_refused": (False, "unknown", False),
    "template_refused": (True, "no", True),
    "signature_refused": (True, "no", True),
    "signature_unregistered": (True, "unknown", False),
    "template_unregistered": (True, "unknown", False),
    "contact_blocked": (True, "unknown", False),
    "outside_hours": (True, "no", False),
    "credentials": (True, "no", True),
    "balance": (True, "no", True),
    "quota": (True, "no", True),
    "throttled": (True, "no", True),
    "expired": (True, "unknown", False),
    "network": (True, "unknown", True),
    "provider_fault": (True, "unknown", True),
    "our_fault": (True, "no", False),
    "unknown": (False, "unknown", False),
}


def test_the_table_names_every_outcome() -> None:
    assert set(TABLE) == {outcome.value for outcome in Outcome}
    assert set(MEANING) == set(Outcome)


@pytest.mark.parametrize("outcome", Outcome)
def test_what_an_outcome_means(outcome: Outcome) -> None:
    retriable, charged, elsewhere = TABLE[outcome.value]
    assert MEANING[outcome].retriable is retriable
    assert (outcome in RETRIABLE) is retriable
    assert MEANING[outcome].charged is Charged(charged)
    assert (outcome in FAILOVER_OUTCOMES) is elsewhere


def test_nothing_goes_elsewhere_that_is_not_worth_another_try() -> None:
    assert FAILOVER_OUTCOMES <= RETRIABLE


def test_nobody_who_refused_is_written_to_again() -> None:
    assert not {Outcome.OPTED_OUT, Outcome.BLOCKED_BY_CARRIER, Outcome.CONTENT_REFUSED} & (
        RETRIABLE | FAILOVER_OUTCOMES
    )
