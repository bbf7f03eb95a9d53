"""The templates and signatures of the account, as the provider lists them."""

from __future__ import annotations

from typing import Any

from smsapp.channels._error_codes import unreadable
from smsapp.channels.types import ProviderSignature, ProviderTemplate
from smsapp.domain.sms_template import Audit, Purpose

AUDITS = {
    "AUDIT_STATE_INIT": Audit.PENDING,
    "AUDIT_STATE_PASS": Audit.APPROVED,
    "AUDIT_STATE_NOT_PASS": Audit.REFUSED,
    "AUDIT_SATE_CANCEL": Audit.REFUSED,  # the provider's spelling
    "AUDIT_STATE_CANCEL": Audit.REFUSED,
}
PURPOSES = {"0": Purpose.VERIFICATION, "1": Purpose.NOTIFICATION, "2": Purpose.MARKETING}
"""By OuterTemplateType; the list's TemplateType counts differently."""


def read_template(item: Any) -> ProviderTemplate:
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


def read_signature(item: Any) -> ProviderSignature:
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
