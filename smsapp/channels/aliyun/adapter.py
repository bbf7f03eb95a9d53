"""Alibaba Cloud SMS (阿里云短信, dysmsapi 2017-05-25): the provider fills in templates; signed with ACS3-HMAC-SHA256.

One request carries up to 1,000 numbers with the same values (SendSms) or 100 with different ones (SendBatchSms). It is
accepted or refused as a whole and has one id, so a receipt names the request's id and the number.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from smsapp.channels._error_codes import (
    CODE_LENGTH,
    Messages,
    call_error,
    classify,
    refusal_error,
    submit_bisecting,
    unreadable,
)
from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import ACCOUNT, EXTENSION, TIMEOUT, address, max_concurrency
from smsapp.channels._signed_ref import sign_ref
from smsapp.channels.aliyun.codes import ERROR_CODE_PREFIXES, ERROR_CODES
from smsapp.channels.aliyun.receipts import is_about, read_pushed, read_queried
from smsapp.channels.aliyun.registrations import read_registrations
from smsapp.channels.aliyun.signing import authorization, joined
from smsapp.channels.aliyun.templates import read_signature, read_template
from smsapp.channels.contract import Channel
from smsapp.channels.errors import AccountError, ChannelError
from smsapp.channels.http import HttpAnswer, HttpClient, retry_after
from smsapp.channels.types import (
    Acknowledgement,
    Callback,
    OutboundMessage,
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
from smsapp.domain import carrier
from smsapp.domain.sms_template import TemplateSnapshot

VERSION = "2017-05-25"
MOST_EQUAL, MOST_DIFFERENT = 1000, 100
"""Most numbers of one request: with the same values, and with different ones."""
PAGE = 50
PAGES = 200
"""Most pages of templates: the account cannot have more templates than these hold."""


class Aliyun(Channel):
    """One request carries up to 1,000 equal texts or 100 different ones; receipts name its id and the number."""

    kind = "aliyun"
    home = "CN"
    label = _l("Alibaba Cloud SMS")
    about = _l("Templates approved at Alibaba Cloud; receipts and replies come to the callback address.")
    per_request = MOST_DIFFERENT
    longest_value = 35
    receipts_by_provider_ref = True
    lists_templates = True
    lists_registrations = True
    takes_mobile_contacts = False
    can_query_status = True
    lists_signatures = True
    needs_template = True
    callback_steps = (
        _l("In the SMS console, open the settings of domestic messages and there the receiving of receipts."),
        _l("For delivery reports (SmsReport) choose HTTP batch push and enter this address."),
        _l("Enter the same address for replies (SmsUp). There is one address per account."),
    )
    settings = (
        Setting("access_key_id", "AccessKey ID", required=True, section=ACCOUNT),
        Setting("access_key_secret", "AccessKey Secret", Widget.SECRET, required=True, section=ACCOUNT),
        EXTENSION,
        address("https://dysmsapi.aliyuncs.com"),
        max_concurrency("20"),
        TIMEOUT,
    )

    clock: Callable[[], float] = staticmethod(time.time)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        values = self.values
        self._key_id, self._secret = values["access_key_id"], values["access_key_secret"]
        self._extension = values["extension"]
        self._url = values["url"].rstrip("/")
        self._timeout = values.number("timeout")
        self.max_concurrency = values.whole("max_concurrency")

    def max_messages_for(self, template: TemplateSnapshot) -> int:
        """Return 1,000 for a template without variables, else 100."""
        return MOST_DIFFERENT if template.variables else MOST_EQUAL

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request; one that is refused for its numbers or values is halved to find the messages at fault."""
        template = submission.template

        async def submit(messages: Messages) -> list[SubmitResult]:
            return await self._send(template, messages, http)

        return await submit_bisecting([submission.messages], submit)

    async def _send(self, template: TemplateSnapshot, messages: Messages, http: HttpClient) -> list[SubmitResult]:
        if all(message.values == messages[0].values for message in messages):
            answer = await self._call("SendSms", self._equal_fields(template, messages), {}, http)
        else:
            answer = await self._call(
                "SendBatchSms", {"TemplateCode": template.code}, self._different_fields(template, messages), http
            )
        fields = answer.fields()
        code = str(fields.get("Code") or "")
        if code == "OK":
            return [SubmitResult(True, str(fields.get("BizId") or "")[:CODE_LENGTH])] * len(messages)
        meaning = classify(code, answer, ERROR_CODES, ERROR_CODE_PREFIXES)
        raise refusal_error(code or f"HTTP {answer.status}", meaning, template, messages, retry_after(answer))

    def _equal_fields(self, template: TemplateSnapshot, messages: Messages) -> dict[str, str]:
        values = {
            "PhoneNumbers": ",".join(carrier.national(message.phone) for message in messages),
            "SignName": template.signature,
            "TemplateCode": template.code,
        }
        if template.variables:
            values["TemplateParam"] = dumped(filled(template, messages[0]))
        if len(messages) == 1:
            values["OutId"] = sign_ref(self._secret, messages[0].ref, messages[0].phone)
        if self._extension:
            values["SmsUpExtendCode"] = self._extension
        return values

    def _different_fields(self, template: TemplateSnapshot, messages: Messages) -> dict[str, str]:
        values = {
            "PhoneNumberJson": dumped([carrier.national(message.phone) for message in messages]),
            "SignNameJson": dumped([template.signature] * len(messages)),
            "TemplateParamJson": dumped([filled(template, message) for message in messages]),
        }
        if self._extension:
            values["SmsUpExtendCodeJson"] = dumped([self._extension] * len(messages))
        return values

    async def _call(
        self, action: str, query: Mapping[str, str], form: Mapping[str, str], http: HttpClient
    ) -> HttpAnswer:
        """Return the answer to one signed call."""
        parts = urlsplit(self._url)
        path, query_string, body = parts.path or "/", joined(query), joined(form).encode()
        body_hash = hashlib.sha256(body).hexdigest()
        headers = {
            "host": parts.netloc,
            "x-acs-action": action,
            "x-acs-version": VERSION,
            "x-acs-date": dt.datetime.fromtimestamp(self.clock(), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": body_hash,
        }
        if form:
            headers["content-type"] = "application/x-www-form-urlencoded"
        signed = authorization(path, query_string, headers, body_hash, self._key_id, self._secret)
        return await http.request(
            "POST",
            f"{parts.scheme}://{parts.netloc}{path}?{query_string}",
            {**headers, "accept": "application/json", "authorization": signed},
            body,
            timeout=self._timeout,
        )

    async def test_credentials(self, http: HttpClient) -> str:
        """List one template: checks the key and its permission to use SMS; costs nothing."""
        answer = await self._call("QuerySmsTemplateList", {"PageIndex": "1", "PageSize": "1"}, {}, http)
        _expect_ok(answer)
        return _l("The provider accepts the access key.")

    async def list_templates(self, http: HttpClient) -> list[ProviderTemplate]:
        """Return all templates, fifty to a page."""
        templates: dict[str, ProviderTemplate] = {}
        for template in map(read_template, await self._all_pages("QuerySmsTemplateList", "SmsTemplateList", http)):
            templates.setdefault(template.code, template)
        return list(templates.values())

    async def list_signatures(self, http: HttpClient) -> list[ProviderSignature]:
        """Return all signatures, fifty to a page."""
        return [read_signature(item) for item in await self._all_pages("QuerySmsSignList", "SmsSignList", http)]

    async def list_registrations(self, http: HttpClient, signatures: Sequence[str]) -> list[ProviderRegistration]:
        """Ask for one signature after the other; one that the account does not have is passed over."""
        registrations: list[ProviderRegistration] = []
        refusal: ChannelError | None = None
        answered = False
        for name in signatures:
            try:
                fields = _expect_ok(await self._call("GetSmsSign", {"SignName": name}, {}, http))
            except AccountError as error:
                refusal = error
                continue
            answered = True
            registrations += read_registrations(name, fields)
        if refusal is not None and not answered:
            raise refusal
        return registrations

    async def _all_pages(self, action: str, name: str, http: HttpClient) -> list[Any]:
        """Return the items of all pages."""
        all_items: list[Any] = []
        for page in range(1, PAGES + 1):
            query = {"PageIndex": str(page), "PageSize": str(PAGE)}
            items = _expect_ok(await self._call(action, query, {}, http)).get(name)
            if not isinstance(items, list):
                break
            all_items += items
            if len(items) < PAGE:
                return all_items
        raise unreadable()

    async def query_status(
        self, template: TemplateSnapshot, unconfirmed: Sequence[UnconfirmedMessage], http: HttpClient
    ) -> list[Receipt]:
        """Query each number and day; match by our reference, or else by template, text and time."""
        receipts: list[Receipt] = []
        for pending in unconfirmed:
            number = carrier.national(pending.message.phone)
            for day in sorted(
                {at.astimezone(carrier.CHINA).strftime("%Y%m%d") for at in (pending.since, pending.until)}
            ):
                query = {"PhoneNumber": number, "SendDate": day, "PageSize": str(PAGE), "CurrentPage": "1"}
                details = _expect_ok(await self._call("QuerySendDetails", query, {}, http)).get("SmsSendDetailDTOs")
                items = details.get("SmsSendDetailDTO") if isinstance(details, dict) else None
                receipts += [
                    read_queried(item, pending)
                    for item in (items if isinstance(items, list) else [])
                    if isinstance(item, dict) and is_about(item, template, pending, self._secret)
                ]
        return receipts

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts (SmsReport) or replies (SmsUp) in a pushed list; template notices are ignored."""
        items = json.loads(callback.body)
        if not isinstance(items, list):
            raise ValueError("receipts and replies come as a list")
        return [parsed for item in items for parsed in read_pushed(item, self._secret)]

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement(content_type="application/json", body='{"code":0,"msg":"接收成功"}'.encode())


def _expect_ok(answer: HttpAnswer) -> dict[str, Any]:
    """Return the fields of the answer to a call that is not about messages; raises ChannelError unless "Code" is OK."""
    fields = answer.fields()
    code = str(fields.get("Code") or "")
    if code != "OK":
        meaning = classify(code, answer, ERROR_CODES, ERROR_CODE_PREFIXES)
        raise call_error(code or f"HTTP {answer.status}", meaning, retry_after(answer))
    return fields


def filled(template: TemplateSnapshot, message: OutboundMessage) -> dict[str, str]:
    return dict(zip(template.variables, message.values, strict=True))


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
