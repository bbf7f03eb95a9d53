"""Amazon SNS (API 2010-03-31): one signed request per message; receipts come as signed notifications of a topic.

SNS itself calls no address about text messages. Its delivery log (CloudWatch Logs), the events of AWS End User
Messaging and replies to its numbers are published to a topic to which this channel is subscribed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from smsapp.channels._addresses import is_http_address
from smsapp.channels._error_codes import CODE_LENGTH, RequestRefused, call_error, refusal_error
from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import ACCOUNT, LIMITS, RECEIPT, TIMEOUT, max_concurrency
from smsapp.channels.aws_sns.codes import classify_error, element
from smsapp.channels.aws_sns.notifications import (
    CONFIRMATION,
    NOTIFICATION,
    TOPIC,
    UNSUBSCRIPTION,
    NotificationVerifier,
    host,
)
from smsapp.channels.aws_sns.receipts import read_message
from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpAnswer, HttpClient, retry_after
from smsapp.channels.types import Callback, OutboundMessage, Receipt, Reply, SubmitRequest, SubmitResult
from smsapp.channels.types import msgid as _l
from smsapp.domain.errors import Problem
from smsapp.domain.sms_template import TemplateSnapshot

VERSION = "2010-03-31"
REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]+")
FORM = "application/x-www-form-urlencoded; charset=utf-8"


class AwsSns(Channel):
    """One request carries one message; receipts name the id in its answer."""

    kind = "aws_sns"
    worldwide = True
    label = "Amazon SNS"
    about = _l("Whole texts to most countries; receipts and replies through a topic, if you set one up.")
    receipts_by_provider_ref = True
    documented_rate = 20
    callback_steps = (
        _l("Create a standard topic in Amazon SNS and enter its ARN in this channel's settings first."),
        _l("Have delivery logs, delivery events or replies published to the topic; see the notes on this provider."),
        _l("Subscribe this address to the topic with HTTPS, raw message delivery off; the channel confirms by itself."),
    )
    settings = (
        Setting("access_key_id", "Access key ID", required=True, section=ACCOUNT),
        Setting("secret_access_key", "Secret access key", Widget.SECRET, required=True, section=ACCOUNT),
        Setting("region", _l("Region"), default="us-east-1", required=True, section=ACCOUNT),
        Setting(
            "url",
            _l("Address"),
            Widget.URL,
            hint=_l("Empty means the region's own; fill it in for a rehearsal or a private endpoint only."),
            section=ACCOUNT,
        ),
        Setting(
            "sender_id",
            _l("Sender name"),
            hint=_l("Up to 11 letters and digits, where the country permits it."),
            section=ACCOUNT,
        ),
        Setting(
            "origination",
            _l("Origination number"),
            hint=_l("One of the account's own numbers; empty lets the provider choose."),
            section=ACCOUNT,
        ),
        Setting(
            "topics",
            _l("Topics that are believed"),
            Widget.LONG_TEXT,
            hint=_l("One ARN per line. Notifications of other topics are refused."),
            section=RECEIPT,
        ),
        Setting(
            "max_price",
            _l("Highest price of a message, USD"),
            Widget.NUMBER,
            hint=_l("What would cost more is not sent."),
            low=0.001,
            high=100,
            section=LIMITS,
            whole=False,
        ),
        max_concurrency("20"),
        TIMEOUT,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        values = self.values
        self._region = values["region"]
        partition = "aws-cn" if self._region.startswith("cn-") else "aws"
        self._url = (values["url"] or f"https://{host(partition, self._region)}").rstrip("/") + "/"
        credentials = Credentials(values["access_key_id"], values["secret_access_key"])
        self._signer = SigV4Auth(credentials, "sns", self._region)
        self._verifier = NotificationVerifier(values["topics"].split(), self._url)
        self._attributes = {
            "AWS.SNS.SMS.SenderID": values["sender_id"],
            "AWS.MM.SMS.OriginationNumber": values["origination"],
            "AWS.SNS.SMS.MaxPrice": values["max_price"],
        }
        self._timeout = values.number("timeout")
        self.max_concurrency = values.whole("max_concurrency")

    @classmethod
    def check(cls, values: Mapping[str, str]) -> list[Problem]:
        """Return the problems; region and topics are checked strictly: they form the address and grant trust."""
        problems = []
        if values.get("url") and not is_http_address(values["url"]):
            problems.append(Problem("setting_address", "url"))
        if not REGION.fullmatch(values.get("region", "")):
            problems.append(Problem("setting_region", "region"))
        unread = [line for line in values.get("topics", "").split() if not TOPIC.fullmatch(line)]
        if unread:
            problems.append(Problem("setting_topic", "topics", {"line": unread[0]}))
        return problems

    # Sending

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request with one message."""
        (message,) = submission.messages
        try:
            return [await self._send(submission.template, message, http)]
        except RequestRefused as refusal:
            return [refusal.result]

    async def _send(self, template: TemplateSnapshot, message: OutboundMessage, http: HttpClient) -> SubmitResult:
        form = {"Action": "Publish", "PhoneNumber": message.phone, "Message": message.text}
        kind = "Promotional" if template.marketing else "Transactional"
        attributes = {"AWS.SNS.SMS.SMSType": kind} | self._attributes
        for position, (name, value) in enumerate(((n, v) for n, v in attributes.items() if v), 1):
            entry = f"MessageAttributes.entry.{position}"
            form[f"{entry}.Name"] = name
            form[f"{entry}.Value.DataType"] = "Number" if name.endswith("MaxPrice") else "String"
            form[f"{entry}.Value.StringValue"] = value
        answer = await self._call(form, http)
        sid = element(answer, "MessageId")[:CODE_LENGTH]
        if answer.status < 300 and sid:
            return SubmitResult(True, sid)
        code = element(answer, "Code")
        meaning = classify_error(code, answer)
        raise refusal_error(code or f"HTTP {answer.status}", meaning, template, [message], retry_after(answer))

    async def _call(self, form: Mapping[str, str], http: HttpClient) -> HttpAnswer:
        """Return the answer to one signed call."""
        body = urlencode({**form, "Version": VERSION}).encode()
        request = AWSRequest("POST", self._url, {"Content-Type": FORM}, body)
        self._signer.add_auth(request)
        return await http.request("POST", self._url, dict(request.headers.items()), body, timeout=self._timeout)

    async def test_credentials(self, http: HttpClient) -> str:
        """Read the account's SMS settings: checks the key and costs nothing."""
        answer = await self._call({"Action": "GetSMSAttributes", "attributes.member.1": "MonthlySpendLimit"}, http)
        if answer.status >= 300 or "<GetSMSAttributesResult" not in answer.text():
            code = element(answer, "Code")
            raise call_error(code or f"HTTP {answer.status}", classify_error(code, answer), retry_after(answer))
        return _l("The provider accepts the access key.")

    # Receipts and replies

    def needs_confirmation(self, callback: Callback) -> bool:
        return self._verifier.needs_fetch(callback.body)

    async def confirm_callback(self, callback: Callback, http: HttpClient) -> None:
        await self._verifier.fetch(callback.body, http)

    def verify_callback(self, callback: Callback) -> None:
        self._verifier.verify(callback.body)

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts or the reply in a notification; confirmations hold none."""
        notification = json.loads(callback.body)
        kind = notification.get("Type") if isinstance(notification, dict) else None
        if kind in {CONFIRMATION, UNSUBSCRIPTION}:
            return []
        if kind != NOTIFICATION:
            raise ValueError("not a notification")
        message = json.loads(str(notification.get("Message") or ""))
        if isinstance(message, dict) and isinstance(message.get("detail"), dict):
            message = message["detail"]  # as EventBridge wraps it
        if not isinstance(message, dict):
            raise ValueError("a notification's message is a JSON object")
        return read_message(message)
