"""Receipts and replies: pulled pages, and pushed receipts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from smsapp.channels._error_codes import CODE_LENGTH
from smsapp.channels._numbers import e164
from smsapp.channels._signed_ref import verify_ref
from smsapp.channels.types import Receipt, ReceiptStatus, Reply
from smsapp.domain import carrier

HOME = "CN"
CODE = re.compile(r"(?=.*[A-Z])[A-Z0-9:_-]+")
"""Matches carriers' codes, such as DELIVRD and MK:0001."""


def read_page(page: Any, secret: str) -> Iterator[Receipt | Reply]:
    """Yield the receipts and replies of a pulled page; raises ValueError. `secret` signed our references."""
    if not isinstance(page, dict):
        raise ValueError("a page is a JSON object")
    for item in page.get("ReportInfos") or ():
        yield from _pulled_receipts(item, secret)
    for item in page.get("MoInfos") or ():
        if not isinstance(item, dict) or not item.get("PhoneNos"):
            raise ValueError("a reply without a number")
        sender = str(item["PhoneNos"])
        number = e164(sender, HOME) or sender
        yield Reply(number, str(item.get("MoContent") or ""), str(item.get("SpNo") or ""))


def _pulled_receipts(item: Any, secret: str) -> Iterator[Receipt]:
    if not isinstance(item, dict) or not item.get("MsgID"):
        raise ValueError("nothing that names a message")
    reported = [str(item.get(name) or "").strip() for name in ("ReportCode", "ReportDesc", "SourceCode")]
    codes = [text for text in reported if CODE.fullmatch(text)]
    arrival_code = next((code for code in codes if code in carrier.ARRIVED), "")
    if arrival_code:
        status, code = ReceiptStatus.DELIVERED, arrival_code
    elif codes:
        status, code = ReceiptStatus.UNDELIVERED, codes[0]
    else:
        # Undocumented words prove neither outcome: the message stays accepted and the word is kept as its code.
        status, code = ReceiptStatus.ACCEPTED, next(filter(None, reported), "")
    for phone in str(item.get("PhoneNos") or "").split(","):
        yield _receipt(status, str(item["MsgID"]), e164(phone, HOME), code, item.get("OutId"), secret)


def read_pushed(item: Mapping[str, str], secret: str) -> Receipt:
    """Return the receipt in the fields of a push; raises ValueError."""
    if not item.get("MsgID") or not item.get("MobilePhone"):
        raise ValueError("nothing that names a message")
    sent, arrived = item.get("SendState", ""), item.get("ReportState", "")
    if arrived == "True":
        status = ReceiptStatus.DELIVERED
    elif arrived == "False" or sent == "False":
        status = ReceiptStatus.UNDELIVERED
    elif sent == "True":
        status = ReceiptStatus.ACCEPTED
    else:
        raise ValueError("no status")
    code = item.get("ReportResultInfo") or item.get("SendResultInfo") or ""
    return _receipt(status, item["MsgID"], e164(item["MobilePhone"], HOME), code, item.get("ClientMsgId"), secret)


def _receipt(status: ReceiptStatus, msg_id: str, phone: str, code: str, out_id: object, secret: str) -> Receipt:
    ref = verify_ref(secret, out_id, phone)
    outcome = carrier.outcome(code) if status is ReceiptStatus.UNDELIVERED else None
    return Receipt(status, ref, "" if ref else msg_id, phone, outcome, code[:CODE_LENGTH])
