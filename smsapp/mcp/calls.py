"""One call of a tool: admitted, read by its description, carried out, and answered with every number masked."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import marshmallow as ma
from flask import Flask
from flask_babel import force_locale
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout

from smsapp import labels
from smsapp.domain import log_context
from smsapp.domain.errors import NotFound, OutOfTime, Problem, Refusal
from smsapp.domain.phone import mask_all
from smsapp.labels.api import problem_document
from smsapp.mcp import drafting, reading
from smsapp.mcp.caller import NotAdmitted, admit
from smsapp.mcp.tool import TOOLS
from smsapp.services.platform import time_limits
from smsapp.shapes.fitting import storable
from smsapp.shapes.json_text import plain
from smsapp.shapes.problems import UNFIT, places, refused, status_of

MODULES = (reading, drafting)
"""Where the tools are: to import them is to offer them."""
NO_ANSWER = (OutOfTime, OperationalError, InterfaceError, SQLAlchemyTimeout)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a call comes to: the answer of a tool, or a problem document."""

    document: dict[str, Any]
    is_problem: bool = False


@dataclass(frozen=True)
class Agents:
    """The tools of an application for whoever has a key."""

    app: Flask
    key: str = field(repr=False)
    locale: str = "en"

    def check(self) -> None:
        """Raise NotAdmitted if the key does not count."""
        with self.app.app_context(), force_locale(self.locale):
            admit(self.key, None)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """Call a tool; whatever goes wrong is a problem document."""
        marker = log_context.REQUEST.set(secrets.token_hex(8))
        try:
            with self.app.app_context(), force_locale(self.locale):
                time_limits.begin(is_long=False)
                answer = self._answer(name, arguments)
            document = mask_all(plain(answer.document), figures=False)
            if answer.is_problem:
                document |= {"request": log_context.REQUEST.get()}  # by which it is looked up in the log
            return Answer(document, answer.is_problem)
        finally:
            time_limits.end()
            log_context.REQUEST.reset(marker)

    def _answer(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        try:
            tool = TOOLS.get(name)
            caller = admit(self.key, tool.scope if tool else None)
            if tool is None:
                raise NotFound("tool")
            log.info("mcp.called tool=%s", name)
            read: Mapping[str, Any] = tool.schema.load(storable(dict(arguments)))
            return Answer(tool.function(caller, read))
        except ma.ValidationError as error:
            detail = labels.sentence(Problem("request_invalid"))
            return _problem(UNFIT, "request_invalid", detail, list(places(error.messages)))
        except Refusal as refusal:
            errors = refused(refusal)
            status = refusal.status if isinstance(refusal, NotAdmitted) else status_of(refusal)
            code = errors[0]["code"] if errors else "refused"
            return _problem(status, code, " ".join(error["detail"] for error in errors), errors)
        except NO_ANSWER as error:
            log.warning("mcp.failed error=%s", type(error).__name__)
            return _problem(503, "service_unavailable", "")
        except Exception as error:  # an agent gets an answer; what the error holds may be what somebody wrote
            log.error("mcp.failed error=%s", type(error).__name__)
            return _problem(500, "internal_server_error", "")


def _problem(status: int, code: str, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> Answer:
    return Answer(problem_document(status, code, detail, log_context.REQUEST.get(), errors), is_problem=True)
