"""Words of the second person: what is wrong, and what has changed since an approval."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import gettext as _

from smsapp.domain.approval_digest import APPROVER, ESTIMATE
from smsapp.labels.campaigns import DRAFT_FIELDS
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "approval_missing": _l(
        "It is so large that a second person has to approve it, and no approval counts for what it is now. "
        "Ask for one on this page."
    ),
    "approval_rule_changed": _l("Approvals were switched on just now. Look at it again and confirm."),
    "approval_not_needed": _l("Nobody has to approve it: it is small enough to be confirmed at once."),
    "approval_by_author": _l("Somebody else has to approve it: you had a hand in it."),
    "approval_overtaken": _l("It was changed after the approval was asked for. Its author has to ask anew."),
    "approval_words_missing": _l("Say why you return it, so that the author knows what to change."),
    "approval_words_long": _l("Write at most %(most)s characters."),
    "approval_runs": _l("Write a number of runs from 1 to %(most)s."),
    "approval_messages": _l("Write a number of messages from 1 to %(most)s, or leave it empty."),
    "approval_amount": _l("Write an amount above 0 and up to %(most)s, or leave it empty."),
    "approval_percent": _l("Write a percentage from 0 to %(most)s."),
    "approval_size_missing": _l("To ask for approvals, write from how many messages or from which amount on."),
}

BESIDE = {
    "text": _l("Text of the template"),
    "second_text": _l("Text of the template on the second channel"),
    "segment_rule": _l("Rule of the segment"),
    ESTIMATE: _l("Estimate: more than was approved"),
    APPROVER: _l("Approver: may not approve any more"),
}


def changed(fields: Iterable[str]) -> str:
    """Return the names of what has changed since an approval."""
    names = DRAFT_FIELDS | BESIDE
    return str(_(", ")).join(str(names.get(field, field)) for field in fields)
