"""Words of replies and of the opt-out list."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from smsapp.domain.consent import ConsentSource
from smsapp.domain.optout import Confirmation, OptOutSource
from smsapp.domain.refusal import Suspicion
from smsapp.domain.scope import Scope
from smsapp.labels.locales import lazy_gettext as _l

SCOPES: dict[StrEnum, Any] = {
    Scope.EVERYTHING: _l("Every text"),
    Scope.MARKETING: _l("Marketing texts"),
    Scope.SIGNATURE: _l("Texts of one signature"),
}

LABELS: dict[StrEnum, Any] = {
    **SCOPES,
    OptOutSource.REPLY: _l("By reply"),
    OptOutSource.PROVIDER: _l("Told by the provider"),
    OptOutSource.PERSON: _l("By hand"),
    OptOutSource.IMPORT: _l("From a file"),
    Suspicion.WAITS: _l("To be decided"),
    Suspicion.OPT_OUT: _l("Opt-out"),
    Suspicion.HARMLESS: _l("No refusal"),
    ConsentSource.PROPERTY: _l("By property"),
    ConsentSource.IMPORT: _l("From a file"),
    ConsentSource.PERSON: _l("By hand"),
    OptOutSource.RESTORED: _l("From the journal, after a restore"),
    Confirmation.DUE: _l("Confirmation to be sent"),
    Confirmation.UNCONFIRMED: _l("Confirmation perhaps sent"),
    Confirmation.SENT: _l("Confirmed by text"),
    Confirmation.FAILED: _l("Confirmation not sent"),
}

PROBLEMS = {
    "confirmation_unfit": _l("Choose an approved template of this channel without variables that is not marketing."),
    "number_missing": _l("Type a phone number."),
    "number_unreadable": _l("No phone number can be read from this. Write it like 138 0013 8000 or +852 9123 4567."),
    "dismissal_reason_missing": _l("Write why this reply needs no number; it is kept in the audit log."),
    "consent_words_missing": _l("Write what the person agreed to, or how it was withdrawn."),
    "consent_in_future": _l("This time is still to come. Enter when the person said so."),
    "consent_unreadable": _l("Write yes or no in the column of consent."),
    "consent_time_unreadable": _l("No time can be read from this. Write it like 2026-05-03 or 2026-05-03 14:30."),
    "consent_contact_unknown": _l("There is no contact with this user id."),
    "consent_column_missing": _l("The file needs a column 手机号 (phone) or 用户ID (xwho)."),
    "consent_property_unfit": _l("Choose a property of contacts that is yes or no."),
    "decision_overtaken": _l("What this number refuses was changed since then. Change it on the opt-out list."),
    "scope_unreadable": _l("“%(word)s” is no scope. Write everything, marketing or signature."),
    "scope_signature_missing": _l("Choose the signature whose texts are refused."),
    "scope_signature_unknown": _l("No text of ours has the signature “%(signature)s”. Check how it is written."),
    "scope_always_everything": _l(
        "A refusal by a number of this country counts for every text. It cannot be narrowed."
    ),
    "scope_reason_missing": _l("Write why the scope changes; it is kept in the audit log."),
    "consent_reason_missing": _l("Write how the person agreed again; it is kept in the audit log."),
}
