"""When the signature of an upload holds."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from smsapp.domain.upload_signature import SignatureFault, UploadSignature, signature_of

NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
BODY = b'[{"xwho":"m1"}]'


def signed(body: bytes = BODY, secret: str = "s" * 32, at: dt.datetime = NOW) -> UploadSignature:
    unsigned = UploadSignature("key", str(int(at.timestamp())), "n" * 16, "", "POST", "/up?x=1")
    return dataclasses.replace(unsigned, signature=signature_of(secret, unsigned.signed_text(body)))


def test_it_holds_with_one_of_the_secrets() -> None:
    assert signed().fault(BODY, ["other", "s" * 32], NOW) is None


@pytest.mark.parametrize(
    "change",
    [{"method": "GET"}, {"target": "/up"}, {"timestamp": "1772416801"}, {"nonce": "m" * 16}, {"signature": "é"}],
)
def test_whatever_is_changed_breaks_it(change: dict[str, str]) -> None:
    assert dataclasses.replace(signed(), **change).fault(BODY, ["s" * 32], NOW) is SignatureFault.WRONG


def test_a_body_that_is_changed_breaks_it() -> None:
    assert signed().fault(BODY + b" ", ["s" * 32], NOW) is SignatureFault.WRONG


@pytest.mark.parametrize(
    ("minutes", "fault"), [(4, None), (-4, None), (6, SignatureFault.STALE), (-6, SignatureFault.STALE)]
)
def test_it_is_of_this_moment(minutes: int, fault: SignatureFault | None) -> None:
    assert signed(at=NOW + dt.timedelta(minutes=minutes)).fault(BODY, ["s" * 32], NOW) is fault


@pytest.mark.parametrize(
    "change", [{"timestamp": ""}, {"timestamp": "9" * 40}, {"nonce": "short"}, {"nonce": "a b" * 8}]
)
def test_what_cannot_be_read_is_told(change: dict[str, str]) -> None:
    assert dataclasses.replace(signed(), **change).fault(BODY, ["s" * 32], NOW) is SignatureFault.MALFORMED


def test_a_key_without_a_secret_signs_nothing() -> None:
    assert signed().fault(BODY, [], NOW) is SignatureFault.UNKNOWN_KEY
