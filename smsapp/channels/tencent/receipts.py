"""Receipts and replies: pushed ones, and pulled pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from smsapp.channels._error_codes import CODE_LENGTH
from smsapp.channels.types import Receipt, ReceiptStatus, Reply
from smsapp.domain import carrier


def read_items(body: Any) -> Iterator[Receipt | Reply]:
    """Yield the receipts or replies in a pushed list of receipts, a pushed reply, or a pulled page of either."""
    if isinstance(body, dict) and isinstance(body.get("Response"), dict):
        response = body["Response"]
        for item in response.get("PullSmsSendStatusSet") or ():
            yield _receipt(item, "ReportStatus", "Description", "SerialNo", "CountryCode", "SubscriberNumber")
        for item in response.get("PullSmsReplyStatusSet") or ():
            yield _reply(item, "ReplyContent", "ExtendCode", "CountryCode", "SubscriberNumber")
        return
    for item in body if isinstance(body, list) else [body]:
        if isinstance(item, dict) and "text" in item:
            yield _reply(item, "text", "extend", "nationcode", "mobile")
        else:
            yield _receipt(item, "report_status", "errmsg", "sid", "nationcode", "mobile")


def _receipt(item: Any, status: str, code: str, sid: str, country: str, mobile: str) -> Receipt:
    if not isinstance(item, dict) or not item.get(sid) or not item.get(status):
        raise ValueError("no status, or nothing that names a message")
    arrived = item[status] == "SUCCESS"
    reported_code = str(item.get(code) or item[status])[:CODE_LENGTH]
    return Receipt(
        ReceiptStatus.DELIVERED if arrived else ReceiptStatus.UNDELIVERED,
        provider_ref=str(item[sid]),
        phone=_e164(item, country, mobile),
        outcome=None if arrived else carrier.outcome(reported_code),
        code=reported_code,
    )


def _reply(item: Any, text: str, extension: str, country: str, mobile: str) -> Reply:
    if not isinstance(item, dict) or not item.get(mobile) or text not in item:
        raise ValueError("no number, or no text")
    return Reply(_e164(item, country, mobile), str(item[text] or ""), str(item.get(extension) or ""))


def _e164(item: Mapping[str, Any], country: str, mobile: str) -> str:
    number = str(item.get(mobile) or "").strip()
    if number.startswith("+") or not number:
        return number
    return f"+{digits_of(item.get(country)) or '86'}{number}"


def digits_of(raw: object) -> str:
    """Return a number, or a country's calling code, without the mark of the international form."""
    return str(raw or "").strip().removeprefix("+").removeprefix("00")
