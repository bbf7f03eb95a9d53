"""The door of the API: who calls, with which right, how often; and one decorator from which code and document come."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import flask_smorest
import marshmallow as ma
from flask import Flask, Response, current_app, g, request
from flask.blueprints import BlueprintSetupState
from marshmallow import fields, validate

from smsapp.api import problems
from smsapp.api.parsing import IDEMPOTENCY, KEY_HEADER, KEY_RULE, StrictParser
from smsapp.api.problems import ProblemSchema, Refused
from smsapp.domain.api_key import Scope, covers
from smsapp.domain.errors import Conflict
from smsapp.domain.provenance import Door
from smsapp.domain.version import VERSION
from smsapp.services.channels import accounts
from smsapp.services.contacts import number_searches
from smsapp.services.platform import api_keys, api_rates, api_requests, clock
from smsapp.services.platform.api_keys import KeyHolder
from smsapp.services.platform.api_requests import Claim, Earlier
from smsapp.services.platform.audit_log import Actor
from smsapp.shapes.fitting import Whole
from smsapp.shapes.sight import Sight

View = TypeVar("View", bound=Callable[..., Any])
Made = type[ma.Schema] | ma.Schema

EXTENSION = "smsapp.api"
NAME = "api"
SCHEME = "key"
HIGHEST, HIGHEST_LONG = 2**31 - 1, 2**63 - 1
"""What the two kinds of id columns hold."""
REPLAYED = {"Idempotency-Replayed": "true"}
"""Headers of the answer to a request that had its effect before."""
EVERYWHERE = (401, 403, 422, 429, 503)
"""Statuses that every operation may answer with."""
DESCRIPTION = (
    "What people do in the pages of this application, for programs. Send a key as `Authorization: Bearer sms_live_…`. "
    "Errors are problem documents (RFC 9457) whose `code` does not change. A POST with an `Idempotency-Key` may be "
    "sent again for 24 hours: it has one effect. Lists give a `next` cursor; send it as `after` until it is null. "
    "Numbers are masked unless the key may see them. Sentences come in the language of `Accept-Language`: zh or en."
)


class ApiBlueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    ARGUMENTS_PARSER = StrictParser()


class Api(flask_smorest.Api):  # type: ignore[misc]
    """Makes the document from the operations; errors and pages are ours."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None
    DEFAULT_RESPONSE_CONTENT_TYPE = "application/json"

    def _register_error_handlers(self) -> None:
        """Leave the errors of pages alone: `problems.handle` answers those of the API."""

    def _register_pagination_header(self) -> None:
        """Pages are told by their cursor."""

    def _register_responses(self) -> None:
        usual: str = self.DEFAULT_RESPONSE_CONTENT_TYPE
        self.DEFAULT_RESPONSE_CONTENT_TYPE = problems.MIMETYPE
        super()._register_responses()
        self.DEFAULT_RESPONSE_CONTENT_TYPE = usual


class PageQuery(ma.Schema):
    """The parameters of a list."""

    after = fields.String(validate=Whole(r"^[1-9][0-9]{0,17}$"), metadata={"description": "`next` of the page before."})


class SizedQuery(PageQuery):
    """The parameters of a list whose pages may be smaller or larger."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


bp = ApiBlueprint(NAME, __name__, url_prefix="/api/v1")
problems.handle(bp)


def _without_csrf(state: BlueprintSetupState) -> None:
    # No cookie counts here, so no other site can make a browser send a request that does.
    state.app.extensions["csrf"].exempt(bp)


def init_app(app: Flask) -> None:
    """Serve the operations that the modules of this folder have registered, and make their document."""
    app.config.update(API_TITLE="SMS campaigns", API_VERSION=f"v1 ({VERSION})", OPENAPI_VERSION="3.1.0")
    api = Api(spec_kwargs={"info": {"description": DESCRIPTION}, "servers": [{"url": "/"}], "security": [{SCHEME: []}]})
    api.init_app(app)
    app.cli.commands.pop("openapi")
    api.spec.components.security_scheme(SCHEME, {"type": "http", "scheme": "bearer"})
    api.register_blueprint(bp)
    app.extensions[EXTENSION] = api


def document() -> dict[str, Any]:
    """Return the OpenAPI document of what is served."""
    made: dict[str, Any] = current_app.extensions[EXTENSION].spec.to_dict()
    made.pop("tags", None)  # each operation names its own
    return made


def operation(
    method: str,
    path: str,
    scope: Scope,
    tag: str,
    *,
    answer: Made,
    query: Made | None = None,
    body: Made | None = None,
    status: int = 200,
    errors: tuple[int, ...] = (),
    again: Callable[..., Any] | None = None,
    repeats: bool = False,
    keeps_key: bool = False,
) -> Callable[[View], View]:
    """Serve a function at an address and describe it in the document.

    Path, `query` and `body` are its keyword arguments; what it returns is drawn by `answer`. `again` returns the answer
    of an effect that was made before, by the id of what was made or changed. `repeats`: an effect whose answer was lost
    may be half of it (some runs of several), so it is made again; if nothing is left to do, `again` answers.
    `keeps_key`: the function gets the key as `idempotency_key` and sees to it itself that it has one effect.
    """

    def serve(view: View) -> View:
        served: Any = bp.response(status, answer)(_called(view, with_query=query is not None, with_key=keeps_key))
        possible = {*EVERYWHERE, *errors, *((404, 405) if "<" in path else ()), *((400, 413, 415) if body else ())}
        if method != "GET":
            possible |= {409}
        repeatable = method == "POST" and scope is not Scope.READ
        if repeatable and not keeps_key:
            served = _once(served, None if again is None else bp.response(status, answer)(again), repeats=repeats)
        for number in sorted(possible - {422}):
            served = bp.alt_response(number, HTTPStatus(number).name)(served)
        served = bp.alt_response(422, "UNPROCESSABLE_ENTITY")(served)
        if body is not None:
            served = bp.arguments(_made_once(body), location="json", arg_name="body")(served)
        served = bp.arguments(_made_once(query or ma.Schema), location="query", arg_name="query")(served)
        if repeatable:
            served = _with_key(served)
        served = bp.doc(operationId=view.__name__, **{"x-scope": scope.value})(served)
        served.public = True  # no cookie opens it; `_admit` asks for a key
        served.scope = scope
        bp.route(path, methods=[method], tags=[tag], endpoint=view.__name__)(served)
        return view

    return serve


def _made_once(schema: Made) -> ma.Schema:
    """Return the schema itself: of a class another one would be made for each request."""
    return schema() if isinstance(schema, type) else schema


def _called(view: Callable[..., Any], *, with_query: bool, with_key: bool) -> Callable[..., Any]:
    """Return the view as it is called: what was only parsed to be checked is left out."""

    @functools.wraps(view)
    def called(query: Mapping[str, Any], headers: Mapping[str, Any] | None = None, **values: Any) -> Any:
        key = {"idempotency_key": (headers or {}).get("key", "")} if with_key else {}
        return view(**values, **key, **({"query": query} if with_query else {}))

    return called


def _with_key(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return the view with its Idempotency-Key as `headers`: {"key": ..}, or {} without one.

    Most are right: only a wrong one goes through the schema, which takes much longer, to be refused.
    """
    parsed: Callable[..., Any] = bp.arguments(IDEMPOTENCY, location="headers", arg_name="headers")(view)

    @functools.wraps(parsed)
    def called(**values: Any) -> Any:
        key = request.headers.get(KEY_HEADER)
        if key is not None and not KEY_RULE.fits(key):
            return parsed(**values)
        return view(**values, headers={} if key is None else {"key": key})

    return called


def _once(view: Callable[..., Any], replay: Callable[..., Response] | None, *, repeats: bool) -> Callable[..., Any]:
    """Return the view such that one Idempotency-Key has one effect."""

    @functools.wraps(view)
    def carried_out(**values: Any) -> Response:
        key = (values.get("headers") or {}).get("key")
        if not key:
            made: Response = view(**values)
            return made
        claim = api_requests.begin(holder().key_id, key, sameness(), clock.now())
        is_repeated = repeats and claim.earlier is Earlier.CHANGED
        places = [value for name, value in values.items() if name not in {"body", "headers", "query"}]
        noun_id = places[0] if places else claim.noun_id
        if claim.earlier is not Earlier.NONE and not is_repeated:
            return _earlier(claim, noun_id, replay)
        g.api_claim = claim.place
        try:
            response: Response = view(**values)
        except Exception as error:
            if is_repeated and isinstance(error, Conflict):
                return _earlier(claim, noun_id, replay)
            api_requests.give_back(claim)
            raise
        api_requests.finish(claim, response.status_code, response.get_data(as_text=True))
        return response

    return carried_out


def _earlier(claim: Claim, noun_id: int | None, replay: Callable[..., Response] | None) -> Response:
    """Return the answer of an earlier request with the same key, about this object; raises Refused."""
    match claim.earlier:
        case Earlier.OTHER:
            raise Refused(422, "idempotency_other")
        case Earlier.RUNS:
            raise Refused(409, "idempotency_runs", {"Retry-After": "1"})
        case Earlier.ANSWERED:
            response = Response(claim.answer, claim.status, mimetype="application/json")
        case _:
            if replay is None or noun_id is None:
                raise Refused(409, "idempotency_done")
            response = replay(noun_id)
    response.headers.update(REPLAYED)
    return response


def sameness() -> bytes:
    """Return what makes a request the same one when it is sent again: method, address and body."""
    return b"\n".join([request.method.encode(), request.full_path.encode(), request.get_data()])


def _admit() -> None:
    """Ask for a key, count the request, and look whether the key may do this."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    challenge = {"WWW-Authenticate": "Bearer"}
    if scheme.lower() != "bearer" or not text:
        raise Refused(401, "key_missing", challenge)
    now = clock.now()
    key = api_keys.recognise(text.strip(), now)
    if key is None:
        raise Refused(401, "key_unknown", challenge)
    g.api_key = key
    g.api_rate = rate = api_rates.take(key.key_id, key.per_minute, now)
    if rate.is_exceeded:
        wait = {"Retry-After": str(rate.seconds)}
        raise Refused(429, "too_many_requests", wait, limit=rate.limit, seconds=rate.seconds)
    scope: Scope = getattr(current_app.view_functions[request.endpoint or ""], "scope")  # noqa: B009
    if not covers(key.scopes, scope):
        raise Refused(403, "scope_missing", scope=scope.value)


def _add_headers(response: Response) -> Response:
    rate = g.get("api_rate")
    if rate is not None:
        response.headers["RateLimit-Limit"] = str(rate.limit)
        response.headers["RateLimit-Remaining"] = str(max(0, rate.left))
        response.headers["RateLimit-Reset"] = str(rate.seconds)
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Language")
    return response


bp.record_once(_without_csrf)
bp.before_request(_admit)
bp.after_request(_add_headers)


def holder() -> KeyHolder:
    """Return whose key this request came with."""
    key: KeyHolder = g.api_key
    return key


def actor() -> Actor:
    """Return who acts, for services and the audit log."""
    return holder().actor(Door.API, (request.remote_addr or "")[:45], g.get("api_claim"))


def sight() -> Sight:
    """Return how much of numbers this key may see."""
    return Sight(holder().sees_numbers)


def number(phone: str) -> str:
    """Return a number as this key may see it."""
    return sight().number(phone)


def written_number(value: Any) -> Any:
    """Return the value of a property of numbers, however it is written, as this key may see it."""
    return sight().written_number(value)


def masked(value: Any) -> Any:
    """Return JSON as this key may see it: numbers in its texts and figures are masked for most."""
    return sight().masked(value)


def text(words: str) -> str:
    """Return a text from outside as this key may see it: numbers in it are masked for most."""
    return sight().text(words)


def refuse_real_channels(*channel_ids: int | None) -> None:
    """Raise RealChannelRefused if this is a test key and one of the channels is not a simulator."""
    if holder().is_test:
        accounts.refuse_real(channel_ids)


def cursor_id(query: Mapping[str, Any], highest: int = HIGHEST_LONG) -> int | None:
    """Return the id in a cursor, at most the highest that its column holds; None for the first page."""
    text = query.get("after")
    return min(int(text), highest) if text else None


def cursor(position: object) -> str | None:
    """Return the cursor of the next page; None after the last one."""
    return str(position) if position else None


def note_search(words: str) -> None:
    """Count a search for a whole number by a key that may not see numbers; raises Refusal after too many."""
    if not holder().sees_numbers:
        number_searches.note_search(words, actor(), clock.now())
