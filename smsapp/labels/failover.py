"""Why messages moved to a campaign's other channel, or did not, in words."""

from __future__ import annotations

from typing import Any

from smsapp.domain.run import FailoverReason, HoldReason, PinReason
from smsapp.labels.locales import lazy_gettext as _l

STAYS: dict[PinReason, Any] = {
    PinReason.PERSON: _l("A person has decided that this run stays on its channel."),
    PinReason.CHANNEL_INACTIVE: _l("The other channel is switched off, so it cannot take over."),
    PinReason.CHANNEL_UNUSABLE: _l("The other channel's keys cannot be read, so it cannot take over."),
    PinReason.TRUSTED_NUMBERS: _l(
        "The other channel takes only numbers from server keys, files and people, so it cannot take over."
    ),
    PinReason.NUMBERS_NOT_ALLOWED: _l(
        "The other channel does not write to numbers of these kinds or countries, so it cannot take over."
    ),
    PinReason.TEMPLATE_WITHDRAWN: _l(
        "The template on the other channel is not approved any more, so it cannot take over."
    ),
    PinReason.TEMPLATE_CHANGED: _l(
        "The template on the other channel is not the one that was confirmed, so it cannot take over."
    ),
    PinReason.REGISTRATION: _l(
        "A carrier would not let the other channel's texts through any more, so it cannot take over."
    ),
    PinReason.RESTORED: _l(
        "The database was restored from a backup; messages may have moved to the other channel by then, so it stays."
    ),
}
"""Why a run is not moved to the campaign's other channel."""

ROUTES: dict[FailoverReason | HoldReason, Any] = {
    FailoverReason.PERSON: _l("A person decided it"),
    FailoverReason.REFUSED: _l("The channel refused them"),
    HoldReason.UNREACHABLE: _l("The provider could not be reached"),
    HoldReason.THROTTLED: _l("The provider kept asking to slow down"),
    HoldReason.NO_ANSWERS: _l("The provider did not answer"),
}
"""Why messages moved there; for any other hold see `hold`."""
