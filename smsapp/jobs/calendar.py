"""Chores that come back: what is rung how often. The scheduler brings its entries in line with this list at start."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Chore:
    """A task rung every `every` seconds on a queue; missed rings are not made up for."""

    task: str
    every: int
    queue: str = "chores"

    @property
    def ring_id(self) -> str:
        """An id made from the content: a changed chore is another one, and the old one is recognised as forgotten."""
        content = f"{self.task} {self.every} {self.queue}"
        return f"chore-{self.task}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


CHORES = (
    Chore("sweep", every=60),
    Chore("sweep_properties", every=60),
    # Every callback rings it; this is for the ring that got lost.
    Chore("keep_reading", every=5, queue="news"),
    Chore("apply_uploads", every=5, queue="uploads"),
    Chore("ask_providers", every=10, queue="news"),
    Chore("look_up_doubts", every=300),
    Chore("forget_bad_records", every=21_600),
    Chore("forget_callbacks", every=21_600),
    Chore("forget_strays", every=600),
    Chore("forget_messages", every=21_600),
    Chore("ask_balances", every=3600),
    Chore("forget_calls", every=600),
    Chore("sync_templates", every=3600),
    Chore("confirm_opt_outs", every=60),
)
