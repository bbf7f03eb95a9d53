"""The contract between the product and a provider's adapter, in the product's own types.

An adapter declares what it needs (`settings`), sends (`send`) and parses callbacks (`read_callback`); it leaves out
what it cannot do. It never accesses the database and never decides what a status means for a campaign.

Receipts and replies arrive on one path. A provider's callback is stored raw, acknowledged, and parsed later by
`read_callback`. A provider that has to be polled (`polls = True`) is polled by `pull`, which yields raw pages as
callbacks with the method "PULL"; each is stored before the next is fetched:

    async for callback in adapter.pull(http):
        store(channel_id, callback, now)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from smsapp.channels._addresses import is_http_address
from smsapp.channels._setting import Setting, Values, Widget
from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient
from smsapp.channels.types import (
    Acknowledgement,
    Balance,
    Callback,
    GuideLine,
    Preset,
    ProviderRegistration,
    ProviderSignature,
    ProviderTemplate,
    Receipt,
    Reply,
    StoreCallbacks,
    SubmitRequest,
    SubmitResult,
    UnconfirmedMessage,
    msgid,
)
from smsapp.domain.errors import Problem
from smsapp.domain.sms_template import TemplateSnapshot


class Channel(ABC):
    """One configured account at a provider: takes and returns the product's types; keeps the provider's own codes."""

    kind: ClassVar[str]
    label: ClassVar[str]
    """Name of the kind as operators know it; an English msgid."""
    about: ClassVar[str] = ""
    """One sentence on the card of the kind; an English msgid."""
    settings: ClassVar[tuple[Setting, ...]]
    presets: ClassVar[tuple[Preset, ...]] = ()
    guide: ClassVar[tuple[GuideLine, ...]] = ()
    callback_steps: ClassVar[tuple[str, ...]] = ()
    """Steps at the provider that make receipts and replies come to the callback address; English msgids."""
    home: ClassVar[str] = ""
    """Region code of the country whose numbers the provider writes nationally; "" = the channel's own setting."""
    worldwide: ClassVar[bool] = False
    """True for providers that send to every country; new channels of others begin with their own country alone."""
    country: str = "CN"
    """As `home`, for this account: set by whoever constructs it."""
    per_request: int = 1
    """Most messages one request may carry; the account's settings may change it."""
    equal_texts_only: bool = False
    """True if one request can carry only messages with the same text."""
    needs_template: bool = False
    """True if the provider takes no free text but fills in a template that it has approved, named by its code."""
    longest_value: ClassVar[int | None] = None
    """Most characters the provider takes in a template's variable; a template can declare another limit."""
    max_concurrency: int = 50
    """Most requests that may wait for an answer at the same time, per worker."""
    unencrypted_schemes: ClassVar[frozenset[str]] = frozenset({"http"})
    """Schemes of addresses over which secrets and numbers travel unencrypted."""
    plain_setting: ClassVar[str] = ""
    """Name of the flag that permits an unencrypted address of a public host."""
    documented_rate: ClassVar[int | None] = None
    """Messages per second the provider's documents permit every account: the default rate of a new channel."""
    quiet_hours_exempt: ClassVar[bool] = False
    """True for simulators: nothing is really sent."""
    receipts_by_provider_ref: bool = False
    """True if receipts do not name our `ref`, so that the ledger has to index the provider's ids."""
    lists_templates: bool = False
    """True if `list_templates` works; the account's settings may change it."""
    lists_signatures: bool = False
    """True if `list_signatures` works; the account's settings may change it."""
    lists_registrations: ClassVar[bool] = False
    """True if `list_registrations` works."""
    takes_mobile_contacts: ClassVar[bool] = True
    """False if the provider takes no mobile number as a contact in a text."""
    can_query_status: ClassVar[bool] = False
    """True if the status of a message can be queried without the provider's id of it."""
    callback_headers: ClassVar[frozenset[str]] = frozenset()
    """Names of X-* headers, in lower case, that `read_callback` needs; others are not stored."""
    polls: ClassVar[bool] = False
    """True if receipts and replies wait at the provider until `pull` fetches them."""
    shows_callback: ClassVar[bool] = True
    """Whether the callback address has to be entered at the provider."""
    holds_connection: ClassVar[bool] = False
    """True if one process keeps a connection to the provider open and alone sends over it (`worker.py connect`)."""
    parts_note: ClassVar[str] = ""
    """How the parts that are sent differ from those that are counted, for the channel's page; an English msgid."""
    connection_error: ChannelError | None = None
    """The error that keeps the held connection down."""
    tells_balance: bool = False
    """True if `balance` works; the account's settings may change it."""

    def __init__(self, values: Mapping[str, str], folder: Path) -> None:
        """`values` holds a text per setting, secrets included, already checked by `check`; the rest have their default.

        Raises ValueError for a value that cannot be read. `folder` belongs to this channel alone, for data that must
        outlive a process; the adapter creates it when needed.
        """
        self.values = Values({setting.name: setting.default for setting in self.settings} | dict(values))
        self.folder = folder

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @abstractmethod
    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request; return one answer per message, in order.

        Raises a ChannelError that holds for all messages: NotSent, Throttled, AccountError or OutcomeUnknown.
        """

    @classmethod
    def calls_address(cls, name: str, values: Mapping[str, str]) -> bool:
        """Return whether the address in setting `name` is called under these settings."""
        return True

    def max_messages_for(self, template: TemplateSnapshot) -> int:
        """Return the most messages one request of this template may carry: more than `per_request` for some kinds."""
        return self.per_request

    @property
    def can_check(self) -> bool:
        """Whether this account can be checked without sending a message."""
        return type(self).test_credentials is not Channel.test_credentials

    async def test_credentials(self, http: HttpClient) -> str:
        """Return one line that shows that the account works (a balance, a name); raises ChannelError. Sends no SMS."""
        return msgid("This kind of channel cannot check an account; send a test message.")

    async def balance(self, http: HttpClient) -> Balance | None:
        """Return the balance of the account, or None if it has no limit; raises ChannelError."""
        raise NotImplementedError

    async def list_templates(self, http: HttpClient) -> list[ProviderTemplate]:
        """Return all templates of the account, whatever their state, never a part of them; raises ChannelError."""
        raise NotImplementedError

    async def list_signatures(self, http: HttpClient) -> list[ProviderSignature]:
        """Return all signatures of the account, whatever their state, never a part of them; raises ChannelError."""
        raise NotImplementedError

    async def list_registrations(self, http: HttpClient, signatures: Sequence[str]) -> list[ProviderRegistration]:
        """Return what China's carriers say of these signatures; what the provider does not say is left out.

        Raises ChannelError if it says nothing of any of them.
        """
        raise NotImplementedError

    @property
    def is_connected(self) -> bool:
        """Return whether the held connection is up."""
        return False

    async def hold(self, http: HttpClient, store: StoreCallbacks) -> None:
        """Keep the connection up until cancelled, reconnecting for ever; `connection_error` says why it is
        down.

        Incoming messages are acknowledged once `store` has returned; if it raises, the provider must repeat them.
        """
        raise NotImplementedError

    @asynccontextmanager
    async def open_connection(self, http: HttpClient) -> AsyncIterator[None]:
        """Open what `send` needs besides `http`, for one test: a held connection belongs to another process."""
        yield

    def may_have_news(self) -> bool:
        """Return False if `pull` would find nothing, as far as that is known without a call."""
        return True

    def pull(self, http: HttpClient) -> AsyncIterator[Callback]:
        """Yield raw pages of the receipts and replies that wait at the provider until none do; raises ChannelError.

        Asking for the next page acknowledges the last one, so store it first. A page may come twice.
        """
        raise NotImplementedError

    async def query_status(
        self, template: TemplateSnapshot, unconfirmed: Sequence[UnconfirmedMessage], http: HttpClient
    ) -> list[Receipt]:
        """Return receipts, with our `ref`, for the unconfirmed messages that the provider knows; raises ChannelError.

        If it cannot tell its messages to a number apart, it returns several receipts for one message, with their
        `provider_ref`; the caller drops those that belong to other messages.
        """
        raise NotImplementedError

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts and replies in a stored callback; raises ValueError if it cannot be parsed."""
        return ()

    def verify_callback(self, callback: Callback) -> None:  # noqa: B027 - most providers sign nothing
        """Raise CallbackRefused if the provider signs its callbacks and this signature is wrong."""

    def needs_confirmation(self, callback: Callback) -> bool:
        """Return whether `confirm_callback` has to call the provider before this callback can be verified; makes no
        call."""
        return False

    async def confirm_callback(self, callback: Callback, http: HttpClient) -> None:  # noqa: B027 - few have to ask
        """Fetch what `verify_callback` needs, confirm a subscription; raises CallbackRefused or ChannelError.

        The provider waits meanwhile, so `http` times out after a few seconds; after an error the provider calls again.
        """

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement()

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        """Return the problems of these settings, with the setting's name as `place`; [] if there are none.

        Checks addresses and the kind's own rules. `Setting.problem` has checked each setting alone and may have found
        problems, so values may be invalid here.
        """
        addresses = [setting.name for setting in cls.settings if setting.widget is Widget.URL]
        return [Problem("setting_address", name) for name in addresses if not is_http_address(values.get(name, ""))]
