"""Words of erased and exported people."""

from __future__ import annotations

from smsapp.domain.erasure import ErasureState
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "erasure_nobody": _l("Write a user id or a phone number."),
    "erasure_too_many": _l("At most %(most)s people at a time. Erase them in several steps."),
    "erasure_unknown": _l("Nobody is known by this. Write the whole user id or the whole number."),
    "erasure_shared": _l(
        "%(count)s contacts belong together by this number or id: it is rather a shared number than a person's. "
        "Remove the number from those contacts first."
    ),
    "erasure_word": _l("Write the word as it stands there."),
}

LABELS = {
    ErasureState.WORKING: _l("Under way"),
    ErasureState.WAITING: _l("Waits for messages in flight"),
    ErasureState.COMPACTING: _l("Writes the database file anew"),
    ErasureState.DONE: _l("Erased"),
}

TABLES = {
    "contact": _l("Contacts"),
    "segment_member": _l("Memberships of stored segments"),
    "proposal": _l("Proposed changes"),
    "message": _l("Messages (number and values)"),
    "exclusion": _l("Exclusions from runs"),
    "reply": _l("Replies"),
    "opt_out": _l("Opt-outs (they stay in force)"),
    "unmatched_receipt": _l("Receipts without a message"),
    "provider_ref": _l("Ids of providers"),
    "colleague": _l("Test group"),
    "proof": _l("Texts to the test group"),
    "proof_message": _l("Texts to the test group"),
    "inbox": _l("Callbacks as they came"),
    "bad_record": _l("Refused records"),
    "special_number": _l("Kinds of numbers"),
    "import": _l("Imports and waiting files"),
    "segment": _l("Segments that name the person"),
    "api_request": _l("Answers to programs"),
    "api_message": _l("Single messages that programs asked for"),
    "message_request": _l("Requests of programs for single messages"),
    "audit_entry": _l("Details of the audit log"),
}
"""What the rows of a table are; a table that is not here holds other texts."""
OTHER_TEXTS = _l("Other texts")


def table_name(table: str) -> str:
    """Return what the rows of a table are."""
    return str(TABLES.get(table, OTHER_TEXTS))
