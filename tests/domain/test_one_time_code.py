"""One-time codes: right within a step of the clock, used once; recovery codes as people type them."""

from __future__ import annotations

import datetime as dt
import re

import pyotp
import pytest

from smsapp.domain import one_time_code

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
NOW = dt.datetime(2026, 3, 2, 2, 0, 15, tzinfo=dt.UTC)
STEP = int(NOW.timestamp()) // 30


def code(step: int) -> str:
    return pyotp.TOTP(SECRET).generate_otp(step)


def test_the_codes_are_those_of_the_standard() -> None:
    """RFC 6238, appendix B, cut to six digits."""
    at = dt.datetime(1970, 1, 1, 0, 0, 59, tzinfo=dt.UTC)
    assert one_time_code.matching_step(SECRET, "287082", at, 0) == 1


@pytest.mark.parametrize(("offset", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(offset: int, is_right: bool) -> None:
    step = one_time_code.matching_step(SECRET, code(STEP + offset), NOW, 0)
    assert step == (STEP + offset if is_right else None)


def test_a_code_counts_only_once_and_so_do_those_before_it() -> None:
    assert one_time_code.matching_step(SECRET, code(STEP), NOW, STEP) is None
    assert one_time_code.matching_step(SECRET, code(STEP - 1), NOW, STEP) is None
    assert one_time_code.matching_step(SECRET, code(STEP + 1), NOW, STEP) == STEP + 1


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "１２３４５６", "12 34 5"])
def test_what_is_no_code_fits_nothing(typed: str) -> None:
    assert one_time_code.matching_step(SECRET, typed, NOW, 0) is None


def test_a_code_may_be_typed_with_blanks() -> None:
    right = code(STEP)
    assert one_time_code.matching_step(SECRET, f" {right[:3]} {right[3:]} ", NOW, 0) == STEP


def test_ten_recovery_codes_are_different_and_can_be_read_aloud() -> None:
    codes = one_time_code.new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){2}[a-hjkmnp-z2-9]{4}", each) for each in codes)


def test_a_recovery_code_is_the_same_however_it_is_typed() -> None:
    assert one_time_code.recovery_digest("abcd-efgh-jkmn") == one_time_code.recovery_digest(" ABCDEFGH jkmn ")
    assert one_time_code.recovery_digest("abcd-efgh-jkmn") != one_time_code.recovery_digest("abcd-efgh-jkmp")


def test_the_address_of_the_qr_code_names_login_and_installation() -> None:
    uri = one_time_code.enrolment_uri(SECRET, "wei@example.com", "SMS sms.example.com")
    assert uri.startswith("otpauth://totp/SMS%20sms.example.com:wei%40example.com?secret=" + SECRET)
