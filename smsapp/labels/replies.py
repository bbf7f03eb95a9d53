"""Words of replies and of the opt-out list."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from smsapp.domain.optout import Confirmation, OptOutSource

LABELS = {
    OptOutSource.REPLY: _l("By reply"),
    OptOutSource.PROVIDER: _l("Told by the provider"),
    OptOutSource.PERSON: _l("By hand"),
    OptOutSource.IMPORT: _l("From a file"),
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
    "consent_reason_missing": _l("Write how the person agreed again; it is kept in the audit log."),
}
