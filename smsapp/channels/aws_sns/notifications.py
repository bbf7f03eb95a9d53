"""Verification of notifications: they must be of our topics and signed by SNS in the topic's own region.

The certificate is fetched once, while the notification waits: never from an address the notification could choose, by
one thread at a time, for a few seconds at most. After a failure no request is made for PAUSE seconds; SNS calls again.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlencode, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from smsapp.channels._error_codes import unreadable
from smsapp.channels.errors import CallbackRefused, NotSent
from smsapp.channels.http import HttpClient, raise_for_status
from smsapp.domain.outcome import Outcome

NOTIFICATION, CONFIRMATION, UNSUBSCRIPTION = "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"
SIGNED: dict[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    UNSUBSCRIPTION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
HASHES: dict[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303 # nosec B303 - what version 1 is
    "2": hashes.SHA256(),
}
TOPIC = re.compile(r"arn:(aws[a-z-]*):sns:([a-z0-9-]+):([0-9]{12}):([A-Za-z0-9_.-]{1,256})")
CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
DOMAINS = {"aws-cn": "amazonaws.com.cn"}
"""Domains of the endpoints of partitions that are not in the usual domain."""
USUAL = "amazonaws.com"
MOST_KEYS = 20
"""Certificates kept in memory; SNS changes its own about once a year."""
PAUSE = 10.0
"""Seconds without requests after one that failed."""

Notification = Mapping[str, str]
"""The signed fields of a notification, and those of its signature."""


def host(partition: str, region: str) -> str:
    """Return the host of SNS in a region."""
    return f"sns.{region}.{DOMAINS.get(partition, USUAL)}"


def canonical(notification: Notification) -> bytes:
    """Return the text that SNS signs: the names and values of SIGNED, each on its own line, in this order."""
    names = (name for name in SIGNED[notification["Type"]] if name in notification)
    return "".join(f"{name}\n{notification[name]}\n" for name in names).encode()


class NotificationVerifier:
    """Verifies notifications. `endpoint` (ending in a slash) replaces all regions if it is not an AWS address."""

    monotonic: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, topics: Iterable[str], endpoint: str) -> None:
        self._hosts = {match[0]: host(match[1], match[2]) for match in map(TOPIC.fullmatch, topics) if match}
        self._endpoint = endpoint
        self._is_rehearsal = not (urlsplit(endpoint).hostname or "").endswith((f".{USUAL}", *DOMAINS.values()))
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetching = threading.Lock()
        self._paused_until = 0.0

    def read(self, body: bytes) -> Notification:
        """Return the notification if it names our topic and a certificate of its SNS; raises CallbackRefused."""
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise CallbackRefused from None
        if not isinstance(fields, dict):
            raise CallbackRefused
        if str(fields.get("Type")) not in SIGNED or str(fields.get("TopicArn")) not in self._hosts:
            raise CallbackRefused
        names = {*SIGNED[str(fields["Type"])], "SigningCertURL", "SignatureVersion", "Signature"}
        notification = {name: value for name, value in fields.items() if name in names and isinstance(value, str)}
        if names - {"Subject"} - notification.keys() or notification["SignatureVersion"] not in HASHES:
            raise CallbackRefused
        begin = f"https://{self._hosts[notification['TopicArn']]}/"
        address = notification["SigningCertURL"]
        if not address.startswith(begin) or not CERTIFICATE.fullmatch(address[len(begin) - 1 :]):
            raise CallbackRefused
        return notification

    def needs_fetch(self, body: bytes) -> bool:
        """Return whether `fetch` has to run before `verify` can decide."""
        try:
            notification = self.read(body)
        except CallbackRefused:
            return False
        return notification["Type"] == CONFIRMATION or notification["SigningCertURL"] not in self._keys

    async def fetch(self, body: bytes, http: HttpClient) -> None:
        """Fetch the certificate if it is new; confirm a subscription that is signed with it."""
        notification = self.read(body)
        if self.monotonic() < self._paused_until or not self._fetching.acquire(blocking=False):
            raise NotSent("asked_already", outcome=Outcome.NETWORK)
        try:
            if notification["SigningCertURL"] not in self._keys:
                await self._fetch_key(notification, http)
            self._verify(notification)
            if notification["Type"] == CONFIRMATION:
                await self._confirm(notification, http)
        except CallbackRefused:
            raise
        except BaseException:
            self._paused_until = self.monotonic() + PAUSE
            raise
        finally:
            self._fetching.release()

    def verify(self, body: bytes) -> None:
        """Raise CallbackRefused unless the notification is genuine."""
        self._verify(self.read(body))

    def _verify(self, notification: Notification) -> None:
        key = self._keys.get(notification["SigningCertURL"])
        if key is None:
            raise CallbackRefused
        try:
            signature = base64.b64decode(notification["Signature"], validate=True)
            key.verify(signature, canonical(notification), PKCS1v15(), HASHES[notification["SignatureVersion"]])
        except (ValueError, InvalidSignature):
            raise CallbackRefused from None

    async def _fetch_key(self, notification: Notification, http: HttpClient) -> None:
        path = notification["SigningCertURL"].rpartition("/")[2]
        answer = await http.request("GET", self._endpoint_of(notification) + path)
        raise_for_status(answer)
        try:
            key = x509.load_pem_x509_certificate(answer.body).public_key()
        except ValueError:
            raise unreadable() from None
        if not isinstance(key, RSAPublicKey):
            raise unreadable()
        if len(self._keys) >= MOST_KEYS:
            self._keys.clear()
        self._keys[notification["SigningCertURL"]] = key

    async def _confirm(self, notification: Notification, http: HttpClient) -> None:
        """Call ConfirmSubscription; the address in the notification is not used."""
        query = {"Action": "ConfirmSubscription", "TopicArn": notification["TopicArn"], "Token": notification["Token"]}
        raise_for_status(await http.request("GET", f"{self._endpoint_of(notification)}?{urlencode(query)}"))

    def _endpoint_of(self, notification: Notification) -> str:
        return self._endpoint if self._is_rehearsal else f"https://{self._hosts[notification['TopicArn']]}/"
