"""Words of the test group: why a text was not sent, and what is wrong with what was typed."""

from __future__ import annotations

from smsapp.domain.message import Status
from smsapp.domain.proof import NotSent
from smsapp.labels import reports
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    NotSent.NUMBER_NOT_ALLOWED: _l("The channel does not write to this kind of number or country"),
    NotSent.TOO_LATE: _l("Could not be sent in time"),
    NotSent.RUN_ENDED: _l("The run ended before its first text left"),
    NotSent.CHANNEL_GONE: _l("The channel has been switched off"),
    NotSent.ERASED: _l("The person was erased before it was sent"),
    NotSent.RESTORED: _l("The database was restored from a backup made before it was sent"),
}

PROBLEMS = {
    "colleague_name": _l("Write a name of at most %(most)s characters."),
    "colleague_number": _l("No phone number can be read from this."),
    "colleague_known": _l("This number is in the test group already."),
    "colleagues_many": _l("The test group has at most %(most)s people. Remove somebody first."),
    "proof_key": _l("This button has grown old. Load the page again."),
    "proof_nobody": _l("Nobody is in the test group yet. An administrator adds people in the settings."),
    "proof_often": _l("You have sent %(most)s proofs within the hour. Wait a little."),
    "proof_incomplete": _l("There is no finished text yet. Choose a channel and a template first."),
    "proof_without_person": _l("Nobody of the audience has values for the variables, so there is no text to send."),
}


def reason(status: int, code: str) -> str:
    """Return why a text of the test group got no further, in a few words; "" if nothing is known."""
    words = {str(member): str(word) for member, word in LABELS.items()}
    return words.get(code) or reports.reason(Status(status), code)


def colour(status: int) -> str:
    return reports.COLOURS[Status(status)]
