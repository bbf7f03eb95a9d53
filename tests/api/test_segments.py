"""Segments by the API: user ids as they are, and rules that reveal no number."""

from __future__ import annotations

from typing import Any

from smsapp.domain.api_key import Scope
from tests import builders
from tests.api.conftest import Program, Programs


def test_user_ids_are_matched_as_they_are(program: Program) -> None:
    # Given ids that a file would take for columns, missing values, formulas and headings
    ids = ["xwho", "u|1", "u|2", "u|3", "#N/A", "'=x", "a,b;c"]
    for user_id in ids[:-1]:
        builders.contact(user_id)
    # When they are listed, one of them twice, then each is one line and finds its own contact
    made = program.post("/segments/lists", {"name": "Listed", "user_ids": [*ids, "u|1"]}, 201)
    assert (made["size"], made["unmatched"], made["rule"]) == (6, 1, {})
    assert program.get(f"/segments/{made['id']}/count")["count"] == 6
    assert program.post("/segments/lists", {"name": "None", "user_ids": ["\u200b"]}, 409)["errors"]


def compared(name: str, kind: str, operator: str, *params: Any) -> dict[str, Any]:
    condition = {"property": name, "type": kind, "operator": operator, "params": list(params)}
    return {"match": "all", "children": [{"match": "any", "children": [condition]}]}


def test_no_count_reveals_a_number_to_a_key_that_may_not_see_it(program: Program, programs: Programs) -> None:
    # Given people whose numbers stand in a property for them, in a figure and in a text
    for name, kind in (("$phone", "string"), ("mobile", "number"), ("note", "string")):
        builders.known_property(name, kind)
    for n in range(1, 30):
        number = f"138000000{n:02}"
        values = {"$phone": number, "mobile": int(number), "note": f"call {number}", "city": "上海"}
        builders.contact(f"u{n}", f"+86{number}", properties=values)
    hidden = [
        compared("$phone", "string", "starts_with", "1"),
        compared("mobile", "number", "between", 1, 13800000001),
        compared("note", "string", "contains", "13800000001"),
    ]
    for rule in hidden:
        # When a key that may not see numbers asks how many have these digits, then it is refused, stored or not
        refused = program.post("/segments/count", {"rule": rule}, 409)
        assert [(one["code"], one["field"]) for one in refused["errors"]] == [("segment_number_hidden", "rule.0.0")]
        program.post("/segments", {"name": "Some", "kind": "dynamic", "rule": rule}, 409)
        # And a key that may see them is answered
        assert programs.with_(Scope.READ, sees_numbers=True).post("/segments/count", {"rule": rule})["count"] > 0
    # And presence and words are for everybody
    assert program.post("/segments/count", {"rule": compared("$phone", "string", "has_value")})["count"] == 29
    assert program.post("/segments/count", {"rule": compared("note", "string", "contains", "call")})["count"] == 29
