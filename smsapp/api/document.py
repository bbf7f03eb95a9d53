"""The OpenAPI document of the API, and the page that people read: both made from the operations that are served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from smsapp.api import door

bp = Blueprint("api_pages", __name__, url_prefix="/api")
METHODS = ("get", "put", "post", "delete")


@dataclass(frozen=True)
class Field:
    """One parameter, or one field of a body or an answer."""

    name: str
    type: str
    required: bool
    note: str


@dataclass(frozen=True)
class Operation:
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    scope: str
    summary: str
    more: str
    parameters: list[Field]
    body: list[Field]
    answer: list[Field]
    statuses: list[str]


@bp.get("/openapi.json")
def openapi() -> Response:
    """Serve the document."""
    return jsonify(door.document())


@bp.get("/")
def reference() -> str:
    """Show every operation, by what it is about."""
    made = door.document()
    areas: dict[str, list[Operation]] = {}
    for path, methods in made["paths"].items():
        for method in METHODS:
            if method in methods:
                areas.setdefault(methods[method]["tags"][0], []).append(_shown(made, path, method, methods))
    return render_template("api/reference.html", areas=areas, version=made["info"]["version"])


setattr(openapi, "public", True)  # noqa: B010  it holds nothing but what the product can do
setattr(reference, "public", True)  # noqa: B010


def _shown(made: Mapping[str, Any], path: str, method: str, methods: Mapping[str, Any]) -> Operation:
    described = methods[method]
    parameters = [*methods.get("parameters", []), *described.get("parameters", [])]
    return Operation(
        id=described["operationId"],
        method=method.upper(),
        path=path,
        scope=described["x-scope"],
        summary=described.get("summary", ""),
        more=described.get("description", ""),
        parameters=[
            Field(one["name"], _type(made, one["schema"]), one.get("required", False), one.get("description", ""))
            for one in parameters
        ],
        body=list(_fields(made, _content(described.get("requestBody", {})))),
        answer=list(_fields(made, _content(_success(described["responses"])))),
        statuses=sorted(described["responses"]),
    )


def _success(responses: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the answer to a request that was carried out."""
    (made,) = [response for status, response in responses.items() if status.startswith("2")]
    answer: Mapping[str, Any] = made
    return answer


def _content(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a body or an answer; {} if it has none."""
    schema: Mapping[str, Any] = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _fields(made: Mapping[str, Any], schema: Mapping[str, Any], place: str = "", deep: int = 0) -> Iterator[Field]:
    """Yield the fields of an object, those of objects in it under their path."""
    schema = _resolved(made, schema)
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        yield Field(place + name, _type(made, inner), name in required, inner.get("description", ""))
        items = _resolved(made, inner).get("items")
        if deep < 2:
            yield from _fields(made, items or inner, f"{place}{name}{'[]' if items else ''}.", deep + 1)


def _resolved(made: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference_ = schema.get("$ref", "")
    if not reference_ and "allOf" in schema:
        reference_ = schema["allOf"][0].get("$ref", "")
    return made["components"]["schemas"][reference_.rpartition("/")[2]] if reference_ else schema


def _type(made: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return a type in a word or two: "string (date-time)", "integer[]", one of some words."""
    schema = _resolved(made, schema)
    if "enum" in schema:
        return " | ".join(str(word) for word in schema["enum"] if word is not None)
    if "items" in schema:
        return f"{_type(made, schema['items'])}[]"
    kind = schema.get("type", "any")
    text = " | ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{text} ({schema['format']})" if "format" in schema else text
