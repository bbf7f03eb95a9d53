"""A run whose freeze is rolled back because something of it needs a person first."""

from __future__ import annotations

from smsapp.domain.approval import Estimate
from smsapp.domain.run import HoldReason


class HeldBack(Exception):
    """The run just frozen may not leave: it is held for `reason`; `size` is what it would be."""

    def __init__(self, reason: HoldReason, size: Estimate) -> None:
        self.reason = reason
        self.size = size
        super().__init__(f"reason={reason} messages={size.messages}")
