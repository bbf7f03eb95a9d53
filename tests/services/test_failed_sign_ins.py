"""Failed attempts to sign in: none is forgotten, and a flood does not fill the audit log."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.errors import Refusal
from smsapp.services.platform import audit_proof, failed_sign_ins, signing_in
from smsapp.services.platform.throttling import Client
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry
from tests import builders
from tests.fakes import FakeClock


def entries(person_id: int | str) -> list[AuditEntry]:
    current_session().expire_all()
    query = sa.select(AuditEntry).where(AuditEntry.action == "sign_in_failed", AuditEntry.noun_id == str(person_id))
    return list(current_session().scalars(query.order_by(AuditEntry.id)))


def guess(login: str, n: int, clock: FakeClock) -> None:
    """Guess a password, each time from another network: only the login's own limit slows that down."""
    with pytest.raises(Refusal):
        signing_in.sign_in(login, "guessed", Client(f"198.{n // 250}.{n % 250}.1"), clock.now)


def test_a_flood_of_unknown_logins_makes_few_entries_and_one_with_their_number(app: Flask, clock: FakeClock) -> None:
    # given more guesses in an hour than have entries of their own
    flood = failed_sign_ins.SINGLY + 30
    for n in range(flood):
        guess(f"nobody-{n}", n, clock)
        clock.forward(seconds=1)
    assert len(entries("")) == failed_sign_ins.SINGLY
    # when the hour is over
    assert not failed_sign_ins.has_work(clock.now)
    clock.forward(seconds=3600)
    assert failed_sign_ins.has_work(clock.now)
    failed_sign_ins.log_counted(clock.now)
    # then one more entry says how many there were, once, and the chain holds
    *singly, counted = entries("")
    assert len(singly) + counted.facts["attempts"] == flood
    assert counted.address == ""
    failed_sign_ins.log_counted(clock.now)
    assert len(entries("")) == failed_sign_ins.SINGLY + 1
    assert audit_proof.verify().broken is None


def test_a_flood_hides_nobody_elses_failures(app: Flask, clock: FakeClock) -> None:
    ada = builders.person(login="ada")
    for n in range(failed_sign_ins.SINGLY + 5):
        guess(f"nobody-{n}", n, clock)
    guess("ada", 999, clock)
    (entry,) = entries(ada.id)
    assert (entry.address, entry.facts["login"]) == ("198.3.249.1", "ada")


def test_after_a_quiet_hour_failures_have_entries_again(app: Flask, clock: FakeClock) -> None:
    for n in range(failed_sign_ins.SINGLY + 5):
        guess(f"nobody-{n}", n, clock)
    clock.forward(seconds=int(failed_sign_ins.WINDOW.total_seconds()) + 1)
    failed_sign_ins.log_counted(clock.now)
    guess("nobody", 1, clock)
    assert "attempts" in entries("")[-2].facts
    assert entries("")[-1].facts == {"login": ""}
