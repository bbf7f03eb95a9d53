"""The steps before the first campaign, in their order."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from smsapp.store import first_steps
from smsapp.store.db import current_session


@dataclass(frozen=True)
class Setup:
    """Which of the steps are done."""

    channel: bool
    contacts: bool
    segment: bool
    template: bool
    campaign: bool = False
    """Nobody who has made one is shown these steps."""

    @property
    def next(self) -> str:
        """The first step that is not done."""
        return next(name for name, done in asdict(self).items() if not done)


def setup() -> Setup:
    """Return which steps are done: whether there is one of each."""
    return Setup(*first_steps.present(current_session()))
