"""Tencent Cloud SMS (腾讯云短信, 2021-01-11): up to 200 numbers with one text per request, signed with TC3-HMAC-SHA256.

The answer has a status and an id (SerialNo) for every number; the number's receipt names that id.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from smsapp.channels._error_codes import (
    CODE_LENGTH,
    Messages,
    RequestRefused,
    Scope,
    call_error,
    refusal_error,
    seconds_to_wait,
    submit_bisecting,
    unreadable,
)
from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import ACCOUNT, EXTENSION, RECEIPT, TIMEOUT, address, max_concurrency
from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpAnswer, HttpClient, raise_for_status
from smsapp.channels.tencent.codes import meaning_of
from smsapp.channels.tencent.receipts import digits_of, read_items
from smsapp.channels.tencent.registrations import read_registrations
from smsapp.channels.tencent.signing import authorization
from smsapp.channels.tencent.templates import read_signature, read_template
from smsapp.channels.types import (
    Acknowledgement,
    Balance,
    Callback,
    ProviderRegistration,
    ProviderSignature,
    ProviderTemplate,
    Receipt,
    Reply,
    SubmitRequest,
    SubmitResult,
    UnconfirmedMessage,
)
from smsapp.channels.types import msgid as _l
from smsapp.domain import carrier, phone
from smsapp.domain.sms_template import TemplateSnapshot

VERSION = "2021-01-11"
PAGE = 100
"""Most receipts or replies in one page."""
PAGES = 100
"""Most pages of each kind that one `pull` fetches; the next one fetches the rest."""


class Tencent(Channel):
    """One request carries up to 200 numbers with the same values; every number has its own answer and id."""

    kind = "tencent"
    home = "CN"
    label = _l("Tencent Cloud SMS")
    about = _l("Templates approved at Tencent Cloud; receipts and replies come to the callback address.")
    per_request = 200
    longest_value = 6
    equal_texts_only = True
    receipts_by_provider_ref = True
    lists_templates = True
    lists_registrations = True
    can_query_status = True
    lists_signatures = True
    needs_template = True
    polls = True
    tells_balance = True
    callback_steps = (
        _l("In the SMS console, open the list of applications and choose the one this channel uses."),
        _l("In its basic configuration, enter this address for delivery reports and for replies."),
        _l("Without a public address, have the provider enable pulling and switch on “Fetch receipts and replies”."),
    )
    settings = (
        Setting("secret_id", "SecretId", required=True, section=ACCOUNT),
        Setting("secret_key", "SecretKey", Widget.SECRET, required=True, section=ACCOUNT),
        Setting(
            "app_id",
            "SDK AppID",
            required=True,
            section=ACCOUNT,
            hint=_l("Number of the SMS application in the provider's console, such as 1400006666."),
            pattern=r"\d{4,20}",
            example="1400006666",
        ),
        Setting("region", _l("Region"), default="ap-guangzhou", required=True, section=ACCOUNT),
        EXTENSION,
        address("https://sms.tencentcloudapi.com"),
        Setting(
            "pull",
            _l("Fetch receipts and replies"),
            Widget.FLAG,
            section=RECEIPT,
            hint=_l("If nobody can call this product from outside. The provider has to enable it for the account."),
        ),
        max_concurrency("50"),
        TIMEOUT,
    )

    clock: Callable[[], float] = staticmethod(time.time)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        values = self.values
        self._key_id, self._secret, self._app_id = values["secret_id"], values["secret_key"], values["app_id"]
        self._region, self._extension = values["region"], values["extension"]
        self._url = values["url"].rstrip("/")
        self._pulls = values.flag("pull")
        self._timeout = values.number("timeout")
        self.max_concurrency = values.whole("max_concurrency")

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request, or two: numbers inside and outside of China may not share one."""
        template = submission.template
        at_home = [message for message in submission.messages if phone.is_domestic(message.phone)]
        abroad = [message for message in submission.messages if not phone.is_domestic(message.phone)]
        requests = [messages for messages in (at_home, abroad) if messages]

        async def submit(messages: Messages) -> list[SubmitResult]:
            return await self._send(template, messages, http)

        results = await submit_bisecting(requests, submit)
        if len(requests) == 1:
            return results
        by_ref = {message.ref: result for message, result in zip(at_home + abroad, results, strict=True)}
        return [by_ref[message.ref] for message in submission.messages]

    async def _send(self, template: TemplateSnapshot, messages: Messages, http: HttpClient) -> list[SubmitResult]:
        answer = await self._call(
            "SendSms",
            {
                "PhoneNumberSet": [message.phone for message in messages],
                "SmsSdkAppId": self._app_id,
                "TemplateId": template.code,
                "SignName": template.signature,
                "TemplateParamSet": in_number_order(template.variables, messages[0].values),
                **({"ExtendCode": self._extension} if self._extension else {}),
            },
            http,
        )
        response = _response(answer)
        code = _error(response)
        if code:
            raise self._refusal(code, answer, template, messages)
        items = response.get("SendStatusSet")
        by_number = {digits_of(item.get("PhoneNumber")): item for item in items or () if isinstance(item, dict)}
        statuses = [by_number.get(message.phone[1:]) for message in messages]
        if not any(statuses):
            raise unreadable()
        codes = {str(status.get("Code") or "") if status else "" for status in statuses}
        if len(codes) == 1 and codes.isdisjoint({"", "Ok"}):
            # A code that all numbers share may be about the account or the hour; then the run has to wait.
            (code,) = codes
            error = self._refusal(code, answer, template, messages)
            if isinstance(error, ChannelError):
                raise error
        return [_result(status) for status in statuses]

    def _refusal(
        self, code: str, answer: HttpAnswer, template: TemplateSnapshot, messages: Messages
    ) -> RequestRefused | ChannelError:
        meaning = meaning_of(code)
        return refusal_error(code, meaning, template, messages, seconds_to_wait(meaning, answer, self.clock()))

    async def _call(self, action: str, values: Mapping[str, Any], http: HttpClient) -> HttpAnswer:
        """Return the answer to one signed call."""
        parts = urlsplit(self._url)
        body = json.dumps(values, ensure_ascii=False).encode()
        at = int(self.clock())
        path = parts.path or "/"
        return await http.request(
            "POST",
            f"{parts.scheme}://{parts.netloc}{path}",
            {
                "Host": parts.netloc,
                "Content-Type": "application/json",
                "X-TC-Action": action,
                "X-TC-Version": VERSION,
                "X-TC-Region": self._region,
                "X-TC-Timestamp": str(at),
                "Authorization": authorization(parts.netloc, path, body, at, self._key_id, self._secret),
            },
            body,
            timeout=self._timeout,
        )

    async def _request(self, action: str, values: Mapping[str, Any], http: HttpClient) -> tuple[dict[str, Any], bytes]:
        """Return the response of a call that is not about messages, and its raw body; raises ChannelError."""
        answer = await self._call(action, values, http)
        response = _response(answer)
        code = _error(response)
        if code:
            meaning = meaning_of(code)
            raise call_error(code, meaning, seconds_to_wait(meaning, answer, self.clock()))
        return response, answer.body

    async def test_credentials(self, http: HttpClient) -> str:
        return str((await self.balance(http)).amount)

    async def balance(self, http: HttpClient) -> Balance:
        """Return how many messages are left in the packages of the application."""
        today = dt.datetime.fromtimestamp(self.clock(), carrier.CHINA)
        response, _ = await self._request(
            "SmsPackagesStatistics",
            {
                "SmsSdkAppId": self._app_id,
                "Limit": PAGE,
                "Offset": 0,
                "BeginTime": (today - dt.timedelta(days=365)).strftime("%Y%m%d00"),
                "EndTime": today.strftime("%Y%m%d%H"),
            },
            http,
        )
        packages = response.get("SmsPackagesStatisticsSet")
        if not isinstance(packages, list):
            raise unreadable()
        remaining = sum(max(_count(item, "PackageAmount") - _count(item, "CurrentUsage"), 0) for item in packages)
        return Balance(Decimal(remaining))

    async def list_templates(self, http: HttpClient) -> list[ProviderTemplate]:
        """Return all templates, those for China and those for abroad; the provider names no purpose."""
        templates: dict[str, ProviderTemplate] = {}
        items = await self._all_pages("DescribeSmsTemplateList", "DescribeTemplateStatusSet", http)
        for template in map(read_template, items):
            templates.setdefault(template.code, template)
        return list(templates.values())

    async def list_signatures(self, http: HttpClient) -> list[ProviderSignature]:
        """Return all signatures, those for China and those for abroad."""
        items = await self._all_pages("DescribeSmsSignList", "DescribeSignListStatusSet", http)
        return [read_signature(item) for item in items]

    async def list_registrations(self, http: HttpClient, signatures: Sequence[str]) -> list[ProviderRegistration]:
        """Return what the list of signatures says: whether one may be used, for all carriers alike."""
        items = await self._all_pages("DescribeSmsSignList", "DescribeSignListStatusSet", http)
        return [registration for item in items for registration in read_registrations(item, signatures)]

    async def _all_pages(self, action: str, name: str, http: HttpClient) -> list[Any]:
        """Return the items of all pages, those for China and those for abroad."""
        all_items: list[Any] = []
        for international in (0, 1):
            for page in range(PAGES + 1):
                values = {"International": international, "Limit": PAGE, "Offset": page * PAGE}
                items = (await self._request(action, values, http))[0].get(name)
                if not isinstance(items, list) or page == PAGES:
                    raise unreadable()
                all_items += items
                if len(items) < PAGE:
                    break
        return all_items

    async def pull(self, http: HttpClient) -> AsyncIterator[Callback]:
        """Yield pages of 100 receipts, then of 100 replies, if the setting "pull" is on."""
        if not self._pulls:
            return
        for action, name in (
            ("PullSmsSendStatus", "PullSmsSendStatusSet"),
            ("PullSmsReplyStatus", "PullSmsReplyStatusSet"),
        ):
            for _ in range(PAGES):
                response, body = await self._request(action, {"SmsSdkAppId": self._app_id, "Limit": PAGE}, http)
                items = response.get(name)
                if not isinstance(items, list):
                    raise unreadable()
                if not items:
                    break
                yield Callback("PULL", "", {}, body)
                if len(items) < PAGE:
                    break

    async def query_status(
        self, template: TemplateSnapshot, unconfirmed: Sequence[UnconfirmedMessage], http: HttpClient
    ) -> list[Receipt]:
        """Query each number; the provider returns no texts, so every message of the number in that time is returned."""
        receipts: list[Receipt] = []
        for pending in unconfirmed:
            since, until = (int(at.timestamp()) for at in (pending.since, pending.until))
            values = {"SmsSdkAppId": self._app_id, "PhoneNumber": pending.message.phone, "Offset": 0, "Limit": PAGE}
            values |= {"BeginTime": since, "EndTime": until}
            response, _ = await self._request("PullSmsSendStatusByPhoneNumber", values, http)
            items = read_items({"Response": response})
            receipts += [replace(item, ref=pending.message.ref) for item in items if isinstance(item, Receipt)]
        return receipts

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts or replies in a pushed list of receipts, a pushed reply, or a pulled page of either."""
        return list(read_items(json.loads(callback.body)))

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement(content_type="application/json", body=b'{"result":0,"errmsg":"OK"}')


def in_number_order(variables: Sequence[str], values: Sequence[str]) -> list[str]:
    """Return the values of {1}, {2}, … in the order of their numbers, not of their places in the text."""
    pairs = zip(variables, values, strict=True)
    return [value for _, value in sorted(pairs, key=lambda pair: int(pair[0]) if pair[0].isdigit() else 0)]


def _response(answer: HttpAnswer) -> dict[str, Any]:
    """Return the object under "Response"; raises ChannelError if there is none or it is empty."""
    response = answer.fields().get("Response")
    if isinstance(response, dict) and response:
        return response
    raise_for_status(answer)
    raise unreadable()


def _error(response: Mapping[str, Any]) -> str:
    error = response.get("Error")
    if not isinstance(error, dict):
        return ""
    return str(error.get("Code") or "unreadable")


def _result(status: Mapping[str, Any] | None) -> SubmitResult:
    """Return the result for one number; a number without a status is unconfirmed."""
    code = str(status.get("Code") or "")[:CODE_LENGTH] if status else ""
    if status and code == "Ok":
        return SubmitResult(True, str(status.get("SerialNo") or "")[:CODE_LENGTH])
    meaning = meaning_of(code)
    if not code or meaning.scope is Scope.UNKNOWN:
        return SubmitResult(False, code=code, unconfirmed=True)
    return SubmitResult(False, outcome=meaning.outcome, code=code)


def _count(package: object, name: str) -> int:
    count = package.get(name) if isinstance(package, dict) else 0
    return count if isinstance(count, int) else 0
