"""The values that go in and out of an adapter, in the product's own types."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.outcome import Outcome
from smsapp.domain.registration import RegistrationState
from smsapp.domain.sms_template import Audit, Purpose, TemplateSnapshot


def msgid(text: str) -> str:
    """Return the text unchanged: marks an English label for extraction; the pages translate it.

    Imported as `_l`, the name the extraction looks for.
    """
    return text


@dataclass(frozen=True)
class Preset:
    """A named set of values that fills the settings form of a kind; every field stays editable."""

    name: str
    label: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class GuideLine:
    """One line of the guide beside the form: a term as it is typed, and its meaning as an English msgid."""

    term: str
    meaning: str
    outcome: Outcome | None = None


@dataclass(slots=True)  # not frozen, which would slow down construction
class OutboundMessage:
    """One text for one number. `ref` is our own id of the message ("run-seq"); it is never used again.

    `phone` is E.164. `text` is the whole text as the phone shows it, the signature included. `values` are the values
    of the template's variables, in their order, for providers that fill in the text themselves.
    """

    ref: str
    phone: str = field(repr=False)
    text: str = field(repr=False)
    values: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProviderTemplate:
    """A template as the provider lists it; `reason` is what its reviewers wrote."""

    code: str
    name: str
    text: str
    audit: Audit
    purpose: Purpose | None = None
    """None if the provider does not say; then a person has to."""
    signature: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProviderSignature:
    """A signature as the provider lists it, without its brackets; `reason` is what its reviewers wrote."""

    name: str
    audit: Audit
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProviderRegistration:
    """What one carrier says of a signature, as the provider passes it on; `reasons` are the provider's codes."""

    signature: str
    carrier: Carrier
    state: RegistrationState
    reasons: tuple[str, ...] = ()
    since: dt.datetime | None = None
    """When the carrier decided; None if the provider does not say."""


@dataclass(slots=True)  # not frozen, as OutboundMessage
class SubmitRequest:
    """The content of one request to the provider: at most `Channel.per_request` messages of one template."""

    template: TemplateSnapshot
    messages: Sequence[OutboundMessage]
    callback_url: str = field(repr=False)
    """Where the provider should post receipts for these messages; "" if the application has no public address."""
    valid_until: dt.datetime | None = None
    """The provider should not deliver them later than this (aware UTC), if its interface can say so."""


@dataclass(slots=True)  # not frozen, as OutboundMessage
class SubmitResult:
    """The provider's immediate answer for one message. `provider_ref` is the provider's id of it, or ""."""

    accepted: bool
    provider_ref: str = ""
    outcome: Outcome | None = None
    """Why it was refused; None when accepted."""
    code: str = ""
    """The provider's own code, unchanged."""
    unconfirmed: bool = False
    """True if the answer does not say whether this message was accepted; `accepted` is False then."""


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of the account: money in `currency` (three letters), or messages if that is ""."""

    amount: Decimal
    currency: str = ""


class ReceiptStatus(enum.StrEnum):
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    ACCEPTED = "accepted"

    __hash__ = str.__hash__
    """Enum's own hash runs in Python, which is slow where every receipt is looked up by its status."""


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as OutboundMessage; never changed
class Receipt:
    """A delivery receipt. Names its message by `ref`, or by `provider_ref` (and `phone` if an id has several)."""

    status: ReceiptStatus
    ref: str = ""
    provider_ref: str = ""
    phone: str = field(default="", repr=False)
    outcome: Outcome | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class UnconfirmedMessage:
    """An unconfirmed message, whose answer was lost: what was to be sent, and when it may have left (since..until)."""

    message: OutboundMessage
    since: dt.datetime
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """A text that a person sent back. `phone` is E.164, or as the provider wrote it if no number can be read."""

    phone: str = field(repr=False)
    text: str = field(repr=False)
    extension: str = ""
    provider_ref: str = ""
    opts_out: bool = False
    """True if the provider treated it as an opt-out, whatever the text was."""


@dataclass(frozen=True, slots=True)
class Callback:
    """An HTTP request from a provider, as stored in the inbox; method "PULL" is a page that we fetched."""

    method: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The HTTP answer the provider expects once its callback has been stored."""

    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    body: bytes = b"OK"


StoreCallbacks = Callable[[Sequence[Callback]], Awaitable[None]]
"""Stores callbacks; once it returns they may be acknowledged to the provider."""
