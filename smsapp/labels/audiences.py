"""Whom a campaign is for, in words; and what is wrong with a choice of segments."""

from __future__ import annotations

from flask_babel import gettext as _

from smsapp.domain.audience_rule import NamedAudience
from smsapp.domain.segment import Match
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "segment_on_both_sides": _l("A segment cannot be chosen and left out at the same time."),
    "segments_too_many": _l("At most %(limit)s segments. Make one segment of some of them first."),
}

MATCHES = {
    Match.ANY: _l("members of any of them"),
    Match.ALL: _l("members of all of them"),
}


def audience_in_words(audience: NamedAudience) -> str:
    """Return whom it is for: Members or Guests, but not Staff."""
    if not audience.include:
        return str(_("No segment chosen"))
    joint = _(" and also in ") if audience.match is Match.ALL else _(" or ")
    included = joint.join(audience.include)
    if not audience.exclude:
        return str(included)
    return str(_("%(included)s, but not in %(excluded)s", included=included, excluded=_(" or ").join(audience.exclude)))
