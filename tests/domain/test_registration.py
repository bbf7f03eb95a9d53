"""What follows from what carriers say: lights, age, terms, and what has lapsed since a person confirmed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from smsapp.domain.carrier import OUTCOMES, outcome
from smsapp.domain.carrier_prefixes import PREFIXES, REGISTRARS, Carrier, carrier_of, known
from smsapp.domain.outcome import MEANING, Charged, Outcome
from smsapp.domain.registration import (
    LIGHTS,
    UNUSED,
    Light,
    Registration,
    RegistrationKind,
    RegistrationSource,
    RegistrationState,
    Subject,
    lapsed,
    lapses_at,
    states,
    worst,
)

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def said(state: RegistrationState, carrier: Carrier = Carrier.UNICOM, **values: object) -> Registration:
    entry = Registration(
        RegistrationKind.SIGNATURE, "青禾", carrier, state, (), NOW - 30 * DAY, NOW, RegistrationSource.PROVIDER
    )
    return replace(entry, **values)  # type: ignore[arg-type]  # a test names fields freely


def test_every_state_has_a_light_and_only_two_are_green() -> None:
    assert set(LIGHTS) == set(RegistrationState)
    green = {state for state, light in LIGHTS.items() if light in (Light.GREEN, Light.HOLLOW)}
    assert green == {RegistrationState.REGISTERED, RegistrationState.TO_VERIFY}
    assert LIGHTS[RegistrationState.UNKNOWN] is Light.GREY


@pytest.mark.parametrize("state", RegistrationState)
def test_a_silent_provider_makes_everything_unknown_but_what_was_bad(state: RegistrationState) -> None:
    fresh, old = said(state, at=NOW - 6 * DAY), said(state, at=NOW - 8 * DAY)
    assert fresh.as_of(NOW).state is state
    assert old.as_of(NOW).state is (state if old.is_red else RegistrationState.UNKNOWN)


def test_a_term_that_is_over_has_lapsed_and_one_that_is_not_keeps_what_a_person_said() -> None:
    person = said(
        RegistrationState.REGISTERED, source=RegistrationSource.PERSON, at=NOW - 400 * DAY, expires_at=NOW + DAY
    )
    assert person.as_of(NOW).state is RegistrationState.REGISTERED
    assert person.as_of(NOW + DAY).state is RegistrationState.LAPSED
    endless = replace(person, expires_at=None)
    assert endless.as_of(NOW).state is RegistrationState.UNKNOWN
    assert replace(endless, at=NOW - 100 * DAY).as_of(NOW).state is RegistrationState.REGISTERED


def test_the_worst_part_of_a_text_is_what_counts() -> None:
    signature = Subject(RegistrationKind.SIGNATURE, "青禾", {Carrier.UNICOM: said(RegistrationState.REGISTERED)})
    link = said(RegistrationState.FAILED, kind=RegistrationKind.LINK, value="t.cn/a")
    subjects = [signature, Subject(RegistrationKind.LINK, "t.cn/a", {Carrier.UNICOM: link})]
    assert worst(subjects) == {Carrier.UNICOM: link}
    assert signature.state(Carrier.MOBILE) is RegistrationState.UNKNOWN
    assert [subject.shown for subject in subjects] == ["【青禾】", "t.cn/a"]


@pytest.mark.parametrize(
    ("confirmed", "now", "holds"),
    [
        (RegistrationState.REGISTERED, RegistrationState.LAPSED, True),
        (RegistrationState.UNDER_WAY, RegistrationState.FAILED, True),
        (None, RegistrationState.UNREGISTERED, True),
        (RegistrationState.LAPSED, RegistrationState.FAILED, False),
        (RegistrationState.REGISTERED, RegistrationState.UNKNOWN, False),
        (RegistrationState.REGISTERED, RegistrationState.UNDER_WAY, False),
    ],
)
def test_only_what_has_turned_red_since_a_person_confirmed_has_lapsed(
    confirmed: RegistrationState | None, now: RegistrationState, holds: bool
) -> None:
    before = states({Carrier.UNICOM: said(confirmed)} if confirmed else {})
    present = {Carrier.UNICOM: said(now)}
    assert bool(lapsed(before, present, [])) is holds
    assert lapsed(before, present, ["unicom"]) == {}


def test_a_signature_lapses_half_a_year_after_its_last_text_and_a_term_at_its_end() -> None:
    entry = said(RegistrationState.REGISTERED)
    assert lapses_at(None, entry) == NOW - 30 * DAY + UNUSED
    assert lapses_at(NOW, entry) == NOW + UNUSED
    assert lapses_at(NOW, replace(entry, expires_at=NOW + DAY)) == NOW + DAY
    assert lapses_at(NOW, said(RegistrationState.LAPSED)) is None
    assert lapses_at(None, replace(entry, kind=RegistrationKind.LINK)) is None


@pytest.mark.parametrize(
    ("phone", "carrier"),
    [
        ("+8613800138000", Carrier.MOBILE),
        ("+8613400138000", Carrier.MOBILE),
        ("+8613490138000", Carrier.OTHER),
        ("+8613000138000", Carrier.UNICOM),
        ("+8618900138000", Carrier.TELECOM),
        ("+8617000138000", Carrier.OTHER),
        ("+8619200138000", Carrier.OTHER),
        ("+8615400138000", Carrier.OTHER),
        ("+85291234567", None),
        ("+12025550123", None),
    ],
)
def test_a_carrier_is_told_by_the_first_digits(phone: str, carrier: Carrier | None) -> None:
    assert carrier_of(phone) is carrier


def test_no_prefix_has_two_carriers_and_codes_are_tidied() -> None:
    everything = [prefix for group in PREFIXES.values() for prefix in group]
    assert len(everything) == len(set(everything))
    assert known(["unicom", "mobile", "unicom", "?"]) == [Carrier.MOBILE, Carrier.UNICOM]
    assert Carrier.OTHER not in REGISTRARS


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("MX:0005", Outcome.SIGNATURE_UNREGISTERED),
        ("EM:102", Outcome.SIGNATURE_UNREGISTERED),
        ("SC:0018", Outcome.SIGNATURE_UNREGISTERED),
        ("SC:0017", Outcome.TEMPLATE_UNREGISTERED),
        ("CR:0215", Outcome.SIGNATURE_UNREGISTERED),
        ("CR:0217", Outcome.CONTACT_BLOCKED),
        ("签名未报备", Outcome.SIGNATURE_UNREGISTERED),
        ("非报备签名拦截", Outcome.SIGNATURE_UNREGISTERED),
        ("模版未报备", Outcome.TEMPLATE_UNREGISTERED),
        ("非报备模板拦截", Outcome.TEMPLATE_UNREGISTERED),
        ("引流信息拦截", Outcome.CONTACT_BLOCKED),
        ("链接未报备", Outcome.CONTACT_BLOCKED),
        ("签名正常", Outcome.UNKNOWN),
    ],
)
def test_codes_of_what_is_not_registered_have_their_own_outcome(code: str, expected: Outcome) -> None:
    assert outcome(code) is expected
    if expected is not Outcome.UNKNOWN:
        assert (MEANING[expected].retriable, MEANING[expected].charged) == (True, Charged.UNKNOWN)
        assert code in OUTCOMES or "报备" in code or "引流" in code
