"""Alibaba Cloud SMS (阿里云短信, dysmsapi 2017-05-25): the provider fills in templates; signed with ACS3-HMAC-SHA256.

One request carries up to 1,000 numbers with the same values (SendSms) or 100 with different ones (SendBatchSms). It is
accepted or refused as a whole and has one id, so a receipt names the request's id and the number.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from smsapp.channels._error_codes import (
    CODE_LENGTH,
    IN_DOUBT,
    SLOWER,
    ErrorMeaning,
    Messages,
    account_error,
    as_error,
    call_error,
    classify,
    recipient_error,
    submit_bisecting,
    text_error,
    unreadable,
)
from smsapp.channels._numbers import e164
from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import ACCOUNT, EXTENSION, TIMEOUT, address, max_concurrency
from smsapp.channels._signed_ref import sign_ref, verify_ref
from smsapp.channels.contract import Channel
from smsapp.channels.http import HttpAnswer, HttpClient, retry_after
from smsapp.channels.types import (
    Acknowledgement,
    Callback,
    OutboundMessage,
    ProviderSignature,
    ProviderTemplate,
    Receipt,
    ReceiptStatus,
    Reply,
    SubmitRequest,
    SubmitResult,
    TemplateSnapshot,
    UnconfirmedMessage,
)
from smsapp.channels.types import msgid as _l
from smsapp.domain import carrier
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import Audit, Purpose

VERSION = "2017-05-25"
ALGORITHM = "ACS3-HMAC-SHA256"
SAME, OWN = 1000, 100
"""Most numbers of one request: with the same values, and with different ones."""

ERROR_CODES: dict[str, ErrorMeaning] = {
    "isv.MOBILE_NUMBER_ILLEGAL": recipient_error(Outcome.BAD_NUMBER),
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": recipient_error(Outcome.BAD_NUMBER),
    "isv.BUSINESS_LIMIT_CONTROL": recipient_error(Outcome.FREQUENCY_LIMIT),
    "isv.CUSTOMER_REFUSED": recipient_error(Outcome.OPTED_OUT),
    "isv.SMS_CONTENT_ILLEGAL": text_error(Outcome.CONTENT_REFUSED),
    "isv.BLACK_KEY_CONTROL_LIMIT": text_error(Outcome.CONTENT_REFUSED),
    "isv.UNSUPPORTED_CONTENT": text_error(Outcome.CONTENT_REFUSED),
    "isv.PARAM_LENGTH_LIMIT": text_error(Outcome.CONTENT_REFUSED),
    "isv.PARAM_NOT_SUPPORT_URL": text_error(Outcome.CONTENT_REFUSED),
    "isv.TEMPLATE_PARAMS_ILLEGAL": text_error(Outcome.CONTENT_REFUSED),
    "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE": text_error(Outcome.TEMPLATE_REFUSED),
    "isv.TEMPLATE_MISSING_PARAMETERS": account_error(Outcome.TEMPLATE_REFUSED),
    "isv.SMS_TEMPLATE_ILLEGAL": account_error(Outcome.TEMPLATE_REFUSED),
    "isv.SMS_SIGNATURE_ILLEGAL": account_error(Outcome.SIGNATURE_REFUSED),
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": account_error(Outcome.SIGNATURE_REFUSED),
    "isv.SMS_SIGN_ILLEGAL": account_error(Outcome.SIGNATURE_REFUSED),
    "isv.SMS_SIGN_NAME_ILLEGAL": account_error(Outcome.SIGNATURE_REFUSED),
    "SIGN_STATE_ILLEGAL": account_error(Outcome.SIGNATURE_REFUSED),
    "SignatureNotFound": account_error(Outcome.SIGNATURE_REFUSED),
    "TemplateNotFound": account_error(Outcome.TEMPLATE_REFUSED),
    "isv.AMOUNT_NOT_ENOUGH": account_error(Outcome.BALANCE),
    "isv.OUT_OF_SERVICE": account_error(Outcome.BALANCE),
    "isv.DAY_LIMIT_CONTROL": account_error(Outcome.QUOTA),
    "isv.MONTH_LIMIT_CONTROL": account_error(Outcome.QUOTA),
    "isv.SMS_OVER_LIMIT": account_error(Outcome.QUOTA),
    "isp.RAM_PERMISSION_DENY": account_error(Outcome.CREDENTIALS),
    "isv.ACCOUNT_NOT_EXISTS": account_error(Outcome.CREDENTIALS),
    "isv.ACCOUNT_ABNORMAL": account_error(Outcome.CREDENTIALS),
    "isv.SECURITY_FROZEN_ACCOUNT": account_error(Outcome.CREDENTIALS),
    "isv.PRODUCT_UN_SUBSCRIPT": account_error(Outcome.CREDENTIALS),
    "isv.PRODUCT_UNSUBSCRIBE": account_error(Outcome.CREDENTIALS),
    "isv.DENY_IP_RANGE": account_error(Outcome.CREDENTIALS),
    "SignatureDoesNotMatch": account_error(Outcome.CREDENTIALS),
    "IncompleteSignature": account_error(Outcome.CREDENTIALS),
    "NoPermission": account_error(Outcome.CREDENTIALS),
    "InvalidTimeStamp.Expired": account_error(Outcome.OUR_FAULT),
    "SignatureNonceUsed": account_error(Outcome.OUR_FAULT),
    "isv.EXTEND_CODE_ERROR": account_error(Outcome.OUR_FAULT),
    "isv.MOBILE_COUNT_OVER_LIMIT": account_error(Outcome.OUR_FAULT),
    "isv.INVALID_PARAMETERS": account_error(Outcome.OUR_FAULT),
    "isv.INVALID_JSON_PARAM": account_error(Outcome.OUR_FAULT),
    "isp.SYSTEM_ERROR": IN_DOUBT,
    "isv.SYSTEM_ERROR": IN_DOUBT,
}
ERROR_CODE_PREFIXES: tuple[tuple[str, ErrorMeaning], ...] = (
    ("Throttling", SLOWER),
    ("InvalidAccessKey", account_error(Outcome.CREDENTIALS)),
    ("InvalidSecurityToken", account_error(Outcome.CREDENTIALS)),
    ("Forbidden", account_error(Outcome.CREDENTIALS)),
    ("ServiceUnavailable", IN_DOUBT),
    ("InternalError", IN_DOUBT),
    ("Missing", account_error(Outcome.OUR_FAULT)),
    ("Invalid", account_error(Outcome.OUR_FAULT)),
)

REPORTS: dict[str, Outcome] = {
    # codes of its own in receipts; the others are the carriers'
    "MOBILE_NOT_ON_SERVICE": Outcome.SUSPENDED,
    "MOBILE_ACCOUNT_ABNORMAL": Outcome.SUSPENDED,
    "MOBLLE_TERMINAL_ERROR": Outcome.SWITCHED_OFF,
    "MOBILE_TERMINAL_ERROR": Outcome.SWITCHED_OFF,
    "MOBILE_SEND_LIMIT": Outcome.FREQUENCY_LIMIT,
    "MOBILE_IN_BLACK": Outcome.OPTED_OUT,
    "USER_REJECT": Outcome.OPTED_OUT,
    "INVALID_NUMBER": Outcome.BAD_NUMBER,
    "CONTENT_KEYWORD": Outcome.CONTENT_REFUSED,
    "CONTENT_ERROR": Outcome.CONTENT_REFUSED,
    "SIGNATURE_BLACKLIST": Outcome.SIGNATURE_REFUSED,
    "SP_NOT_BY_INTER_SMS": Outcome.BLOCKED_BY_CARRIER,
    "IS_CLOSE": Outcome.PROVIDER_FAULT,
    "NO_ROUTE": Outcome.PROVIDER_FAULT,
    "SP_UNKNOWN_ERROR": Outcome.PROVIDER_FAULT,
    "PARAMS_ILLEGAL": Outcome.OUR_FAULT,
    "REQUEST_SUCCESS": Outcome.UNKNOWN,
}

PAGE = 50
PAGES = 200
"""Most pages of templates: the account cannot have more templates than these hold."""
AUDITS = {
    "AUDIT_STATE_INIT": Audit.PENDING,
    "AUDIT_STATE_PASS": Audit.APPROVED,
    "AUDIT_STATE_NOT_PASS": Audit.REFUSED,
    "AUDIT_SATE_CANCEL": Audit.REFUSED,  # the provider's spelling
    "AUDIT_STATE_CANCEL": Audit.REFUSED,
}
PURPOSES = {"0": Purpose.VERIFICATION, "1": Purpose.NOTIFICATION, "2": Purpose.MARKETING}
"""By OuterTemplateType; the list's TemplateType counts differently."""


def encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def joined(values: Mapping[str, str]) -> str:
    """Return values as a query string or form body, sorted and percent-encoded as the signature wants them."""
    return "&".join(f"{encoded(name)}={encoded(value)}" for name, value in sorted(values.items()))


def authorization(path: str, query: str, headers: Mapping[str, str], body_hash: str, key_id: str, secret: str) -> str:
    """Return the Authorization header of a POST; every one of `headers` (lower-case names) is signed."""
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    canonical = f"POST\n{path}\n{query}\n{lines}\n{names}\n{body_hash}"
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={names},Signature={signature}"


class Aliyun(Channel):
    """One request carries up to 1,000 equal texts or 100 different ones; receipts name its id and the number."""

    kind = "aliyun"
    home = "CN"
    label = _l("Alibaba Cloud SMS")
    about = _l("Templates approved at Alibaba Cloud; receipts and replies come to the callback address.")
    per_request = OWN
    longest_value = 35
    receipts_by_provider_ref = True
    lists_templates = True
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
        return OWN if template.variables else SAME

    async def send(self, submission: SubmitRequest, http: HttpClient) -> list[SubmitResult]:
        """Send one request; one that is refused for its numbers or values is halved to find the messages at fault."""
        template = submission.template

        async def request(messages: Messages) -> list[SubmitResult]:
            return await self._send(template, messages, http)

        return await submit_bisecting([submission.messages], request)

    async def _send(self, template: TemplateSnapshot, messages: Messages, http: HttpClient) -> list[SubmitResult]:
        if all(message.values == messages[0].values for message in messages):
            answer = await self._call("SendSms", self._same(template, messages), {}, http)
        else:
            answer = await self._call(
                "SendBatchSms", {"TemplateCode": template.code}, self._own(template, messages), http
            )
        fields = answer.fields()
        code = str(fields.get("Code") or "")
        if code == "OK":
            return [SubmitResult(True, str(fields.get("BizId") or "")[:CODE_LENGTH])] * len(messages)
        verdict = classify(code, answer, ERROR_CODES, ERROR_CODE_PREFIXES)
        raise as_error(code or f"HTTP {answer.status}", verdict, template, messages, retry_after(answer))

    def _same(self, template: TemplateSnapshot, messages: Messages) -> dict[str, str]:
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

    def _own(self, template: TemplateSnapshot, messages: Messages) -> dict[str, str]:
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
        for template in map(_template, await self._everything("QuerySmsTemplateList", "SmsTemplateList", http)):
            templates.setdefault(template.code, template)
        return list(templates.values())

    async def list_signatures(self, http: HttpClient) -> list[ProviderSignature]:
        """Return all signatures, fifty to a page."""
        return [_signature(item) for item in await self._everything("QuerySmsSignList", "SmsSignList", http)]

    async def _everything(self, action: str, name: str, http: HttpClient) -> list[Any]:
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
                    _looked_up(item, pending)
                    for item in (items if isinstance(items, list) else [])
                    if isinstance(item, dict) and self._is_about(item, template, pending)
                ]
        return receipts

    def _is_about(self, item: Mapping[str, Any], template: TemplateSnapshot, pending: UnconfirmedMessage) -> bool:
        message = pending.message
        ref = verify_ref(self._secret, item.get("OutId"), message.phone)
        if ref:
            return ref == message.ref
        content = str(item.get("Content") or "")
        return (
            item.get("TemplateCode") == template.code
            # Values of verification codes are shown as stars.
            and ("*" in content or content == message.text)
            # The provider returns whole seconds, so a message sent within the first of them seems older.
            and pending.since.replace(microsecond=0) <= _china_time(item.get("SendDate")) <= pending.until
        )

    def read_callback(self, callback: Callback) -> Sequence[Receipt | Reply]:
        """Return the receipts (SmsReport) or replies (SmsUp) in a pushed list; template notices are ignored."""
        items = json.loads(callback.body)
        if not isinstance(items, list):
            raise ValueError("news come as a list")
        return [status for item in items for status in self._read(item)]

    def _read(self, item: Any) -> list[Receipt | Reply]:
        if not isinstance(item, dict):
            raise ValueError("an item of news is a JSON object")
        if "template_status" in item:
            return []
        raw_phone = str(item.get("phone_number") or "").strip()
        phone = e164(raw_phone, self.home) or raw_phone
        if not phone:
            raise ValueError("news without a number")
        if "content" in item:
            return [Reply(phone, str(item["content"] or ""), str(item.get("dest_code") or ""))]
        if "success" not in item:
            raise ValueError("neither a receipt nor a reply")
        code = str(item.get("err_code") or "")[:CODE_LENGTH]
        if item["success"] in (True, "true", "True"):
            status, outcome = ReceiptStatus.DELIVERED, None
        else:
            status, outcome = ReceiptStatus.UNDELIVERED, REPORTS.get(code) or carrier.outcome(code)
        ref = verify_ref(self._secret, item.get("out_id"), phone)
        if ref:
            return [Receipt(status, ref, phone=phone, outcome=outcome, code=code)]
        biz_id = str(item.get("biz_id") or "")
        if not biz_id:
            raise ValueError("a receipt that names no message")
        return [Receipt(status, provider_ref=biz_id, phone=phone, outcome=outcome, code=code)]

    def acknowledgement(self) -> Acknowledgement:
        return Acknowledgement(content_type="application/json", body='{"code":0,"msg":"接收成功"}'.encode())


def _expect_ok(answer: HttpAnswer) -> dict[str, Any]:
    """Return the fields of the answer to a call that is not about messages; raises ChannelError unless "Code" is OK."""
    fields = answer.fields()
    code = str(fields.get("Code") or "")
    if code != "OK":
        verdict = classify(code, answer, ERROR_CODES, ERROR_CODE_PREFIXES)
        raise call_error(code or f"HTTP {answer.status}", verdict, retry_after(answer))
    return fields


SEND_STATUS = {1: ReceiptStatus.ACCEPTED, 2: ReceiptStatus.UNDELIVERED, 3: ReceiptStatus.DELIVERED}


def _looked_up(item: Mapping[str, Any], pending: UnconfirmedMessage) -> Receipt:
    status, code = item.get("SendStatus"), str(item.get("ErrCode") or "")[:CODE_LENGTH]
    status = SEND_STATUS.get(status if isinstance(status, int) else 0, ReceiptStatus.ACCEPTED)
    outcome = (REPORTS.get(code) or carrier.outcome(code)) if status is ReceiptStatus.UNDELIVERED else None
    return Receipt(status, pending.message.ref, phone=pending.message.phone, outcome=outcome, code=code)


def _china_time(raw: Any) -> dt.datetime:
    try:
        return dt.datetime.strptime(str(raw), "%Y-%m-%d %H:%M:%S").replace(tzinfo=carrier.CHINA)
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def _template(item: Any) -> ProviderTemplate:
    if not isinstance(item, dict) or not item.get("TemplateCode"):
        raise unreadable()
    audit = _audit(item)
    return ProviderTemplate(
        str(item["TemplateCode"]),
        str(item.get("TemplateName") or ""),
        str(item.get("TemplateContent") or ""),
        audit,
        PURPOSES.get(str(item.get("OuterTemplateType"))),
        str(item.get("SignatureName") or ""),
        _reason(item) if audit is Audit.REFUSED else "",
    )


def _signature(item: Any) -> ProviderSignature:
    if not isinstance(item, dict) or not item.get("SignName"):
        raise unreadable()
    audit = _audit(item)
    return ProviderSignature(str(item["SignName"]), audit, _reason(item) if audit is Audit.REFUSED else "")


def _audit(item: dict[str, Any]) -> Audit:
    return AUDITS.get(str(item.get("AuditStatus")), Audit.PENDING)


def _reason(item: dict[str, Any]) -> str:
    reason = item.get("Reason")
    parts = [reason.get("RejectInfo"), reason.get("RejectSubInfo")] if isinstance(reason, dict) else [reason]
    return " ".join(str(part).strip() for part in parts if part and part != "NO REASON")


def filled(template: TemplateSnapshot, message: OutboundMessage) -> dict[str, str]:
    return dict(zip(template.variables, message.values, strict=True))


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
