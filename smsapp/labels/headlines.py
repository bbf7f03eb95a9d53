"""What a report says first, in sentences."""

from __future__ import annotations

from typing import Any

from smsapp.domain.headline import Say
from smsapp.labels.locales import lazy_gettext as _l

SENTENCES: dict[Say, Any] = {
    Say.NOT_SENT_YET: _l("Not sent yet."),
    Say.STARTS: _l("It starts on %(moment)s (%(ago)s)."),
    Say.DRAFT: _l("This is a draft."),
    Say.NO_REPORT_YET: _l("Nothing has been sent, so there is no report yet."),
    Say.NOTHING_SENT: _l("Nothing has been sent."),
    Say.REASON: "%(reason)s",
    Say.STARTING: _l("Starting."),
    Say.FREEZING: _l("The audience is being frozen: who is targeted, who will not get it and why."),
    Say.SENDING: _l("Sending: %(done)s of %(planned)s"),
    Say.PAUSED: _l("Paused by a person: %(done)s of %(planned)s dealt with."),
    Say.WAITING: _l("Waiting, and goes on by itself: %(done)s of %(planned)s dealt with."),
    Say.BLOCKED: _l("Held, a person is needed: %(done)s of %(planned)s dealt with."),
    Say.STANDS: _l("%(in_flight)s at the provider, %(queued)s not sent, %(unconfirmed)s unconfirmed."),
    Say.GOES_ON: _l("It goes on at %(moment)s (%(ago)s)."),
    Say.PINNED: "%(pinned)s",
    Say.AUDIENCE_GREW: _l(
        "%(before)s messages were reviewed, now there are %(now)s: %(more)s more, %(elsewhere)s of them to countries "
        "or prefixes that were not there. Nothing has been sent."
    ),
    Say.ENDING: _l("A person is ending it."),
    Say.GIVING_UP: _l("It is being given up, because the run failed."),
    Say.IN_FLIGHT: _l("%(n)s messages are at the provider and are waited for; the rest is cancelled."),
    Say.MISSED: _l("Missed."),
    Say.FAILED: _l("Failed."),
    Say.GIVEN_UP: _l("Given up, because the run failed and nobody acted in time."),
    Say.CANCELLED: _l("%(n)s messages were cancelled; they never left."),
    Say.STOPPED: _l("Ended by a person."),
    Say.SENT_AND_CANCELLED: _l("%(sent)s went out, %(cancelled)s were cancelled."),
    Say.UNCONFIRMED: _l("%(n)s are unconfirmed: they may or may not have left."),
    Say.NOBODY: _l("There was nobody to write to."),
    Say.NOBODY_IN_IT: _l("The segment was empty when the run began."),
    Say.ALL_LEFT_OUT: _l("None of the %(n)s target users could be written to; the reasons are below."),
    Say.MOVED: _l("All of it went on through the other channel."),
    Say.FINISHED: _l("Finished."),
    Say.LATEST_FINISHED: _l("The latest run is finished."),
    Say.AWAITED: _l("Receipts for %(n)s messages are still awaited."),
    Say.REFUSED: _l("%(n)s messages were refused; the reasons are below."),
    Say.UNDELIVERED: _l("%(n)s messages were not delivered; the reasons are below."),
    Say.REFUSED_AND_UNDELIVERED: _l(
        "%(refused)s messages were refused and %(undelivered)s were not delivered; the reasons are below."
    ),
    Say.EXPIRED: _l("%(n)s messages expired: they had not left by the time set for this campaign."),
    Say.ALL_ANSWERED: _l("Every message has its answer."),
    Say.NEXT: _l("The next run starts on %(moment)s."),
}
