"""Words for what a run came to beside its rehearsal: the numbers, and why they differ."""

from __future__ import annotations

from flask_babel import format_decimal

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.comparison import Cause, Figure, Why
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.labels.reports import LABELS as REASONS

LABELS = {
    Figure.TARGET: _l("Target users"),
    Figure.LEFT_OUT: _l("Not sent"),
    Figure.PLANNED: _l("Messages planned"),
    Figure.PARTS: _l("Billed parts"),
    Figure.COST: _l("Cost"),
    Figure.END: _l("Ended"),
}
CAUSES = {
    Why.MORE_MEMBERS: _l("%(n)s more: they came into the segment since"),
    Why.FEWER_MEMBERS: _l("%(n)s fewer: they left the segment since"),
    Why.MORE_LEFT_OUT: _l("%(n)s fewer: %(reason)s since"),
    Why.FEWER_LEFT_OUT: _l("%(n)s more: no longer %(reason)s"),
    Why.MORE_MESSAGES: _l("%(n)s messages more"),
    Why.FEWER_MESSAGES: _l("%(n)s messages fewer"),
    Why.NOT_ACCEPTED: _l("%(n)s messages were not accepted, so they are not counted"),
    Why.OTHER_VALUES: _l("values of some people have changed since"),
    Why.OTHER_PRICE: _l("the channel's price has changed since"),
    Why.BEGAN_LATER: _l("it began %(time)s later"),
    Why.BEGAN_EARLIER: _l("it began %(time)s earlier"),
    Why.TOOK_LONGER: _l("it took %(time)s longer"),
    Why.WAS_QUICKER: _l("it took %(time)s less"),
}


def cause(item: Cause, time: str) -> str:
    """Return why a number differs; `time` is the length of time it names, in words."""
    reason = str(REASONS[ExclusionReason(item.reason)]) if item.reason else ""
    return str(CAUSES[item.why]) % {"n": format_decimal(item.n), "reason": reason, "time": time}
