"""Receipts and replies: pushed ones, and those a status query returns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from smsapp.channels._error_codes import CODE_LENGTH
from smsapp.channels._numbers import e164
from smsapp.channels._signed_ref import verify_ref
from smsapp.channels.aliyun.codes import REPORTS
from smsapp.channels.types import Receipt, ReceiptStatus, Reply, UnconfirmedMessage
from smsapp.domain import carrier
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot

SEND_STATUS = {1: ReceiptStatus.ACCEPTED, 2: ReceiptStatus.UNDELIVERED, 3: ReceiptStatus.DELIVERED}


def read_pushed(item: Any, secret: str) -> list[Receipt | Reply]:
    """Return the receipt or the reply in an item of a pushed list; [] for a notice about a template."""
    if not isinstance(item, dict):
        raise ValueError("an item of the list is a JSON object")
    if "template_status" in item:
        return []
    raw_phone = str(item.get("phone_number") or "").strip()
    phone = e164(raw_phone, "CN") or raw_phone
    if not phone:
        raise ValueError("an item without a number")
    if "content" in item:
        return [Reply(phone, str(item["content"] or ""), str(item.get("dest_code") or ""))]
    if "success" not in item:
        raise ValueError("neither a receipt nor a reply")
    code = str(item.get("err_code") or "")[:CODE_LENGTH]
    if item["success"] in (True, "true", "True"):
        status, outcome = ReceiptStatus.DELIVERED, None
    else:
        status, outcome = ReceiptStatus.UNDELIVERED, _outcome(code)
    ref = verify_ref(secret, item.get("out_id"), phone)
    if ref:
        return [Receipt(status, ref, phone=phone, outcome=outcome, code=code)]
    biz_id = str(item.get("biz_id") or "")
    if not biz_id:
        raise ValueError("a receipt that names no message")
    return [Receipt(status, provider_ref=biz_id, phone=phone, outcome=outcome, code=code)]


def read_queried(item: Mapping[str, Any], pending: UnconfirmedMessage) -> Receipt:
    """Return the receipt in an item of a status query that is about this message."""
    reported, code = item.get("SendStatus"), str(item.get("ErrCode") or "")[:CODE_LENGTH]
    status = SEND_STATUS.get(reported if isinstance(reported, int) else 0, ReceiptStatus.ACCEPTED)
    outcome = _outcome(code) if status is ReceiptStatus.UNDELIVERED else None
    return Receipt(status, pending.message.ref, phone=pending.message.phone, outcome=outcome, code=code)


def is_about(item: Mapping[str, Any], template: TemplateSnapshot, pending: UnconfirmedMessage, secret: str) -> bool:
    """Return whether an item of a status query is about this message: by our reference, or by template, text, time."""
    message = pending.message
    ref = verify_ref(secret, item.get("OutId"), message.phone)
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


def _outcome(code: str) -> Outcome:
    return REPORTS.get(code) or carrier.outcome(code)


def _china_time(raw: Any) -> dt.datetime:
    try:
        return dt.datetime.strptime(str(raw), "%Y-%m-%d %H:%M:%S").replace(tzinfo=carrier.CHINA)
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
