"""The contract between the product and a provider: our words in, our words out.

An adapter says what it needs (`settings`), sends (`send`), and reads callbacks (`read_callback`); what it cannot do it
leaves out. It never touches the database and never decides what a status means to a campaign.

News come back on one path. A provider that calls us is stored raw, acknowledged, and read later by `read_callback`. A
provider that wants to be asked (`pulls = True`) is asked by `pull`, which yields the same thing, raw pages shaped as
callbacks with the method "PULL"; each is stored before the next is asked for:

    async for callback in adapter.pull(http):
        store(channel_id, callback, now)
"""

from __future__ import annotations

import datetime as dt
import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from smsapp.channels._setting import Setting, Values, Widget
from smsapp.domain.errors import Problem
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.sms_template import Audit, Purpose

if TYPE_CHECKING:
    from smsapp.channels.http import HttpClient


def msgid(text: str) -> str:
    """Return the text as it is: marks an English label for the translators; the door translates it.

    Imported as `_l`, the name the extraction looks for.
    """
    return text


def is_address(text: str) -> bool:
    """Say whether this is an http(s) address whose host is written out."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and "{" not in parts.netloc


@dataclass(frozen=True)
class Preset:
    """A named set of values that fills the form of a kind; every field stays editable."""

    name: str
    label: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class GuideLine:
    """One line of the guide beside the form: a term as it is typed, and an English msgid that says what it does."""

    term: str
    meaning: str
    outcome: Outcome | None = None


@dataclass(slots=True)  # not frozen: that makes a million of them cost a second more
class OutboundMessage:
    """One text for one number. `ref` is our own id of the message ("run-seq"), unique for ever.

    `phone` is E.164. `text` is the whole text as the phone shows it, the signature included. `values` are the values
    of the template's variables, in their order, for providers that fill in the text themselves.
    """

    ref: str
    phone: str = field(repr=False)
    text: str = field(repr=False)
    values: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TemplateSnapshot:
    """The approved template all messages of a submission are made from."""

    code: str
    text: str
    signature: str
    variables: tuple[str, ...]
    marketing: bool


@dataclass(frozen=True, slots=True)
class ProviderTemplate:
    """A template as the provider lists it; `reason` is what its reviewers wrote."""

    code: str
    name: str
    text: str
    audit: Audit
    purpose: Purpose | None = None
    """None if the provider does not say; a person has to."""
    signature: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProviderSignature:
    """A signature as the provider lists it, without its brackets; `reason` is what its reviewers wrote."""

    name: str
    audit: Audit
    reason: str = ""


@dataclass(slots=True)  # not frozen, as OutboundMessage
class SubmitRequest:
    """What one request to the provider carries: at most `Channel.per_request` messages of one template."""

    template: TemplateSnapshot
    messages: Sequence[OutboundMessage]
    callback_url: str = field(repr=False)
    """Where the provider should post receipts for these messages; "" if the application has no public address."""


@dataclass(slots=True)  # not frozen, as OutboundMessage
class SubmitResult:
    """What the provider said at once about one message. `provider_ref` is its id of it, if it gave one."""

    accepted: bool
    provider_ref: str = ""
    outcome: Outcome | None = None
    """Why it was refused; None when accepted."""
    code: str = ""
    """The provider's own code, kept as it came."""
    unconfirmed: bool = False
    """True if the provider said of others, but not of this one, whether it was taken; `accepted` is False then."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left on the account: money in `currency` (three letters), or messages if that is ""."""

    amount: Decimal
    currency: str = ""


class ReceiptStatus(enum.StrEnum):
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    ACCEPTED = "accepted"

    __hash__ = str.__hash__
    """Enum's own goes through Python, which shows where every receipt is looked up by its news."""


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as OutboundMessage; nobody changes one
class Receipt:
    """What the carrier said later. Found by `ref`, or else by `provider_ref` (and `phone` where it covers several)."""

    status: ReceiptStatus
    ref: str = ""
    provider_ref: str = ""
    phone: str = field(default="", repr=False)
    outcome: Outcome | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class UnconfirmedMessage:
    """A message whose answer was lost: what would have been sent, and between which moments it may have left."""

    message: OutboundMessage
    since: dt.datetime
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person texted back. `phone` is E.164, or as the provider wrote it where no number can be read."""

    phone: str = field(repr=False)
    text: str = field(repr=False)
    extension: str = ""
    provider_ref: str = ""
    opts_out: bool = False
    """True if the provider took it for an opt-out, whatever the words were."""


@dataclass(frozen=True, slots=True)
class Callback:
    """An HTTP request a provider sent us, as stored in the inbox; method "PULL" is a page that we asked for."""

    method: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the provider wants to hear when its callback has been stored."""

    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    body: bytes = b"OK"


class ChannelError(Exception):
    """The call as a whole did not work; the subclass says what becomes of its messages.

    The text never holds secrets or phone numbers: `outcome` and `code` are what is shown to people. `retry_after` is
    seconds from now.
    """

    result: ClassVar[CallResult]
    """Under which word a call that ended so is counted."""

    def __init__(self, code: str = "", *, outcome: Outcome | None = None, retry_after: float | None = None) -> None:
        self.code = code
        self.outcome = outcome
        self.retry_after = retry_after
        super().__init__(code)


class NotSent(ChannelError):
    """Surely nothing left the house (name not found, connection refused): the messages are queued again."""

    result = CallResult.NOT_SENT


class Throttled(ChannelError):
    """The provider asks to slow down and took nothing: queued again, the attempt does not count."""

    result = CallResult.THROTTLED


class AccountError(ChannelError):
    """Key, balance, signature or template: queued again, the run is held until a person acts."""

    result = CallResult.ACCOUNT_ERROR


class OutcomeUnknown(ChannelError):
    """Cut or timed out after sending, 5xx, unreadable: the messages may have left, nobody sends them again."""

    result = CallResult.OUTCOME_UNKNOWN


StoreCallbacks = Callable[[Sequence[Callback]], Awaitable[None]]
"""Keeps what a provider said; once it returns the provider may hear that it arrived."""


class CallbackRefused(Exception):
    """The callback's signature is wrong; it is answered with 403 and not stored."""


class Channel(ABC):
    """One configured account at a provider. Our words in, our words out; the provider's own code is kept."""

    kind: ClassVar[str]
    label: ClassVar[str]
    """Name of the kind as operators know it; an English msgid."""
    about: ClassVar[str] = ""
    """One sentence on the card of the kind; an English msgid."""
    settings: ClassVar[tuple[Setting, ...]]
    presets: ClassVar[tuple[Preset, ...]] = ()
    guide: ClassVar[tuple[GuideLine, ...]] = ()
    callback_steps: ClassVar[tuple[str, ...]] = ()
    """What to do at the provider, so that receipts and replies come to the callback address; English msgids."""
    home: ClassVar[str] = ""
    """Region code of the country whose numbers the provider writes without it; "" = the channel's own setting."""
    worldwide: ClassVar[bool] = False
    """True for providers that write to every country; new channels of others begin with their own country alone."""
    country: str = "CN"
    """The same for this account: set by whoever makes it."""
    per_request: int = 1
    """Most messages one request may carry; the account's settings may change it."""
    equal_texts_only: bool = False
    """True if one request can carry only messages with the same text."""
    needs_template: bool = False
    """True if the provider takes no free text: it fills in a template that it has approved, known by its code."""
    longest_value: ClassVar[int | None] = None
    """Most characters the provider takes in a template's variable; a template's page can say what an account has."""
    max_concurrency: int = 50
    """Most requests that may wait for an answer at the same time, per worker."""
    plain_setting: ClassVar[str] = ""
    """Name of the flag that permits an unencrypted address of a public host."""
    documented_rate: ClassVar[int | None] = None
    """Messages a second the provider's documents permit every account; the form of a new channel begins with it."""
    quiet_hours_exempt: ClassVar[bool] = False
    """True for rehearsals: nobody's phone rings."""
    receipts_by_provider_ref: bool = False
    """True if receipts do not bring our `ref` back, so that the ledger has to keep an index of provider ids."""
    lists_templates: bool = False
    """True if the provider can be asked for its templates; the account's settings may change it."""
    lists_signatures: bool = False
    """True if the provider can be asked for its signatures, too."""
    can_query_status: ClassVar[bool] = False
    """True if the provider can be asked what became of a message of which it gave us no id."""
    callback_headers: ClassVar[frozenset[str]] = frozenset()
    """Names of X-* headers, in lower case, that `read_callback` needs; others are not kept."""
    polls: ClassVar[bool] = False
    """True if receipts and replies wait at the provider until `pull` asks for them."""
    shows_callback: ClassVar[bool] = True
    """Whether the provider has to be told the channel's callback address."""
    holds_connection: ClassVar[bool] = False
    """True if one process keeps a connection to the provider open and alone sends over it (`worker.py connect`)."""
    parts_note: ClassVar[str] = ""
    """How the parts that leave differ from those that are counted, for the channel's page; an English msgid."""
    trouble: ChannelError | None = None
    """What keeps the held connection down."""
    tells_balance: bool = False
    """True if `balance` can be asked; the account's settings may change it."""

    def __init__(self, values: Mapping[str, str], folder: Path) -> None:
        """`values` holds a text per setting, secrets included, already checked by `check`; others have their default.

        Raises ValueError for one that cannot be read all the same. `folder` belongs to this channel alone: what must
        outlive a process is kept there. It exists once somebody makes it.
        """
        self.values = Values({one.name: one.default for one in self.settings} | dict(values))
        self.folder = folder

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @abstractmethod
    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Hand over one request; return one answer per message, in order.

        Raises a ChannelError that says what becomes of the messages as a whole: NotSent, Throttled,
        AccountError or OutcomeUnknown.
        """

    @classmethod
    def called(cls, name: str, values: Mapping[str, str]) -> bool:
        """Say whether the address in this setting is called, as the settings are."""
        return True

    def max_messages_for(self, template: TemplateSnapshot) -> int:
        """Return the most messages one request of this template may carry: more than `per_request` for some kinds."""
        return self.per_request

    @property
    def can_check(self) -> bool:
        """Whether this account can be tried without sending a message."""
        return type(self).test_credentials is not Channel.test_credentials

    async def test_credentials(self, http: HttpClient) -> str:
        """Return one line that shows the account answers (a balance, a name); raises ChannelError. Sends no SMS."""
        return msgid("This kind of channel cannot check an account; send a test message.")

    async def balance(self, http: HttpClient) -> Balance | None:
        """Return what is left on the account, or None if it has no limit; raises ChannelError."""
        raise NotImplementedError

    async def list_templates(self, http: HttpClient) -> list[ProviderTemplate]:
        """Return all templates of the account, whatever their state; raises ChannelError rather than a part of them."""
        raise NotImplementedError

    async def list_signatures(self, http: HttpClient) -> list[ProviderSignature]:
        """Return all signatures of the account, whatever their state; raises ChannelError rather than a part."""
        raise NotImplementedError

    @property
    def is_connected(self) -> bool:
        """Say whether the held connection stands."""
        return False

    async def hold(self, http: HttpClient, keep: StoreCallbacks) -> None:
        """Keep the connection up until cancelled, `trouble` saying why it is down if it is. Never gives up.

        What comes in is acknowledged when `keep` has returned, and asked for again if it raised.
        """
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self, http: HttpClient) -> AsyncIterator[None]:
        """Keep open what `send` needs beside `http`, for one test; a held connection is another process's."""
        yield

    def pull(self, http: HttpClient) -> AsyncIterator[Callback]:
        """Yield page after page of what waits at the provider, raw; ends when nothing waits. Raises ChannelError.

        A page counts as taken when the next one is asked for, so store it first. A page may come twice.
        """
        raise NotImplementedError

    async def query_status(
        self, template: TemplateSnapshot, unconfirmed: Sequence[UnconfirmedMessage], http: HttpClient
    ) -> list[Receipt]:
        """Return what the provider knows of messages whose answer was lost, with our `ref`; raises ChannelError.

        Nothing for what it does not know; several receipts for one message, with their `provider_ref`, where it cannot
        tell its messages to a number apart: the caller knows which of them are others.
        """
        raise NotImplementedError

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts and replies in a stored callback; raises ValueError if it cannot be read."""
        return ()

    def verify_callback(self, callback: Callback) -> None:  # noqa: B027 - most providers sign nothing
        """Raise CallbackRefused if the provider signs its callbacks and this signature is wrong."""

    def needs_confirmation(self, callback: Callback) -> bool:
        """Say whether this callback can be judged only once the provider has been asked something; costs nothing."""
        return False

    async def confirm_callback(self, callback: Callback, http: HttpClient) -> None:  # noqa: B027 - few have to ask
        """Fetch what `verify_callback` needs, confirm what has to be confirmed; CallbackRefused, or ChannelError.

        The provider is waiting meanwhile, so `http` gives up after a few seconds; after an error it calls again.
        """

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement()

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        """Return what is wrong with these settings, `place` naming the setting; an empty list means fine.

        Covers addresses and the kind's own rules; `Setting.problem` has looked at each one alone, and may have found
        it wrong.
        """
        addresses = [one.name for one in cls.settings if one.widget is Widget.URL]
        return [Problem("gateway_address", name) for name in addresses if not is_address(values.get(name, ""))]
