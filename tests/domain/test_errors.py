"""What can go wrong is told as codes; the sentence is made where it is read."""

from __future__ import annotations

from smsapp.domain.errors import Conflict, NotFound, Problem, Refusal


def test_a_refusal_says_every_problem() -> None:
    refusal = Refusal(Problem("name_missing", "name"), Problem("segment_missing", "segment", warning=True))
    assert str(refusal) == "name_missing, segment_missing"
    assert [problem.place for problem in refusal.problems] == ["name", "segment"]


def test_what_is_not_there_and_what_was_faster_say_what_it_is_about() -> None:
    assert NotFound("campaign").problems == (Problem("not_found", facts={"noun": "campaign"}),)
    assert Conflict(status="sent").problems == (Problem("conflict", facts={"status": "sent"}),)
    assert issubclass(NotFound, Refusal)
    assert issubclass(Conflict, Refusal)
