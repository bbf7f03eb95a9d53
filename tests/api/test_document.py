"""Every operation of the served document, called with all that fits its description and much that does not."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

import hypothesis
import schemathesis
from flask import Flask
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from smsapp.domain.api_key import Scope
from tests import builders
from tests.api.conftest import Programs

EXAMPLES = 2
"""Of each operation and mode; `docs/api.md` says how to search on with the command of schemathesis."""


def fresh(case: Any) -> None:
    """Give the request an Idempotency-Key of its own: one for two requests is refused on purpose."""
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


def test_answers_are_what_the_document_says(app: Flask, programs: Programs) -> None:
    # Given something of each kind
    builders.known_property("$phone")
    builders.contact("u1", builders.phone(1))
    builders.campaign()
    # When every operation is called as the document allows, and as it does not
    program = programs.with_(*Scope, is_test=True, per_minute=60_000)
    document = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    calls = 0

    def answered(case: Any) -> None:
        nonlocal calls
        calls += 1
        if case.meta.generation.mode is GenerationMode.POSITIVE:
            fresh(case)
        # Then its status, its type and its content are described, and nothing breaks
        case.call_and_validate(headers=program.headers)

    for described in document.get_all_operations():
        assert isinstance(described, Ok)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            cases = hypothesis.given(case=described.ok().as_strategy(generation_mode=mode))
            # Nothing can be wrong about an operation without a parameter.
            with contextlib.suppress(hypothesis.errors.Unsatisfiable):
                hypothesis.settings(max_examples=EXAMPLES, database=None)(cases(answered))()
    assert calls > 100
