"""Nothing that a provider, or whoever knows its address, can send fails or blocks what comes behind it."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings

from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback
from tests.fuzz.callbacks import PROVIDERS, World, odd_callbacks, unreachable
from tests.fuzz.uploads import errors_of

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
"""Per provider and database; `python -m bench.fuzz` tries as many as fit into an hour."""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_odd_callback_is_answered_and_applied_or_put_aside(
    provider: str, app: Flask, now: dt.datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(provider, tmp_path, now, monkeypatch)
    monkeypatch.setattr(HttpClient, "request", unreachable)
    client, errors = app.test_client(), errors_of(app)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(odd_callbacks(provider))
    def tried(callback: Callback) -> None:
        world.apply(callback, errors)
        world.call(client, callback, errors)

    tried()
