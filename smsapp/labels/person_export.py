"""Words of the page with all that is stored about one person."""

from __future__ import annotations

from smsapp.labels.locales import lazy_gettext as _l

SECTIONS = {
    "profile": _l("Profile"),
    "earlier_ids": _l("Earlier anonymous ids"),
    "segments": _l("Segments"),
    "proposals": _l("Proposed changes"),
    "messages": _l("Messages"),
    "exclusions": _l("Runs that left the person out"),
    "replies": _l("Replies"),
    "opt_outs": _l("Opt-outs"),
    "consents": _l("Consents"),
    "test_group": _l("Test group"),
}
"""Section of an export -> heading."""
COLUMNS = {
    "name": _l("Name"),
    "user_id": _l("User id"),
    "known_since": _l("Known since"),
    "changed_at": _l("Last change"),
    "numbers": _l("Phone numbers"),
    "property": _l("Property"),
    "value": _l("Value"),
    "source": _l("Source"),
    "from": _l("Reported by"),
    "at": _l("Time"),
    "anonymous_id": _l("Anonymous id"),
    "since": _l("Since"),
    "segment": _l("Segment"),
    "old": _l("Before"),
    "new": _l("Proposed"),
    "campaign": _l("Campaign"),
    "run": _l("Run"),
    "planned_for": _l("Planned for"),
    "number": _l("Phone number"),
    "text": _l("Text"),
    "signature": _l("Signature"),
    "state": _l("State"),
    "reason": _l("Reason"),
    "provider_id": _l("Provider's message id"),
    "answered_at": _l("Answered at"),
    "receipt_at": _l("Receipt at"),
    "refuses": _l("Opt-out"),
    "scope": _l("Covers"),
    "signatures": _l("Signatures"),
    "note": _l("Remark"),
    "given": _l("Agreed"),
    "words": _l("Words"),
}
"""Name of a value -> what it is called."""


def section(name: str) -> str:
    """Return the heading of a section."""
    return str(SECTIONS.get(name, name))


def column(name: str) -> str:
    """Return what a value is called."""
    return str(COLUMNS.get(name, name))
