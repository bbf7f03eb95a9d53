"""The templates and signatures of the account, as the provider lists them."""

from __future__ import annotations

from typing import Any

from smsapp.channels._error_codes import unreadable
from smsapp.channels.types import ProviderSignature, ProviderTemplate
from smsapp.domain.sms_template import Audit

AUDITS = {0: Audit.APPROVED, 1: Audit.PENDING, 2: Audit.PENDING, -1: Audit.REFUSED}  # 2: approved, not in force yet


def read_template(item: Any) -> ProviderTemplate:
    if not isinstance(item, dict) or not item.get("TemplateId"):
        raise unreadable()
    audit = AUDITS.get(item.get("StatusCode", 1), Audit.PENDING)
    return ProviderTemplate(
        str(item["TemplateId"]),
        str(item.get("TemplateName") or ""),
        str(item.get("TemplateContent") or ""),
        audit,
        reason=str(item.get("ReviewReply") or "").strip() if audit is Audit.REFUSED else "",
    )


def read_signature(item: Any) -> ProviderSignature:
    if not isinstance(item, dict) or not item.get("SignName"):
        raise unreadable()
    audit = AUDITS.get(item.get("StatusCode", 1), Audit.PENDING)
    reason = str(item.get("ReviewReply") or "").strip() if audit is Audit.REFUSED else ""
    return ProviderSignature(str(item["SignName"]), audit, reason)
