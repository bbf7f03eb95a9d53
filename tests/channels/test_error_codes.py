"""A refused request is halved until only the messages at fault are refused: none is lost, none is accepted twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from smsapp.channels import _error_codes
from smsapp.channels._error_codes import (
    ErrorMeaning,
    RequestRefused,
    Scope,
    call_error,
    refusal_error,
    submit_bisecting,
)
from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.types import OutboundMessage, SubmitResult
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot

LETTERS = "abcdefgh"
KINDS = {
    # what a piece's answer is, by the last letter of a recipe
    "T": Throttled("slow", outcome=Outcome.THROTTLED),
    "M": AccountError("key", outcome=Outcome.CREDENTIALS),
    "O": AccountError("odd"),
    "R": NotSent("gone", outcome=Outcome.NETWORK),
    "?": OutcomeUnknown("cut", outcome=Outcome.PROVIDER_FAULT),
}


def message(letter: str, *values: str) -> OutboundMessage:
    return OutboundMessage(f"1-{letter}", f"+861380013800{LETTERS.index(letter)}", "您好", values)


def letter_of(outgoing: OutboundMessage) -> str:
    return outgoing.ref[-1]


class Provider:
    """Takes every piece unless `rules` says otherwise: {a letter in the piece: a kind of KINDS, "n"umber or "u"nknown}.

    "-" refuses this one message in an answer of its own, "d" leaves it unconfirmed.
    """

    def __init__(self, rules: dict[str, str]) -> None:
        self.rules = rules
        self.pieces: list[str] = []

    async def request(self, messages: Sequence[OutboundMessage]) -> Sequence[SubmitResult]:
        piece = "".join(map(letter_of, messages))
        self.pieces.append(piece)
        answers = []
        for letter in piece:
            rule = self.rules.get(letter, "+")
            if rule in KINDS:
                raise KINDS[rule]
            if rule in "nu":
                raise RequestRefused("bad", Outcome.BAD_NUMBER if rule == "n" else Outcome.UNKNOWN)
            answers.append(
                {
                    "+": SubmitResult(True, provider_ref=letter),
                    "-": SubmitResult(False, outcome=Outcome.OPTED_OUT, code="black"),
                    "d": SubmitResult(False, unconfirmed=True),
                }[rule]
            )
        return answers


def drawn(answers: Sequence[SubmitResult]) -> str:
    """Return one sign for each answer: + taken, ? unconfirmed, else the first letter of the outcome."""
    return "".join("+" if a.accepted else "?" if a.unconfirmed else str(a.outcome)[0] for a in answers)


def submitted(pieces: str, rules: dict[str, str]) -> tuple[str, str]:
    """Submit these requests; return (results as signs or the error, the requests that were made)."""
    provider = Provider(rules)
    messages = [[message(letter) for letter in piece] for piece in pieces.split()]
    try:
        answers = asyncio.run(submit_bisecting(messages, provider.request))
    except ChannelError as error:
        return f"{type(error).__name__} {error.code}", " ".join(provider.pieces)
    assert len(answers) == sum(map(len, messages))
    return drawn(answers), " ".join(provider.pieces)


@pytest.mark.parametrize(
    ("pieces", "rules", "answers", "requests"),
    [
        pytest.param("", {}, "", "", id="nothing to hand over"),
        pytest.param("abcd", {}, "++++", "abcd", id="all taken in one request"),
        pytest.param("ab cd", {}, "++++", "ab cd", id="pieces in order"),
        pytest.param("abcd", {"b": "-"}, "+o++", "abcd", id="one refused in an answer of its own"),
        pytest.param("a", {"a": "n"}, "b", "a", id="the only one refused"),
        pytest.param("abcd", {"c": "n"}, "++b+", "abcd ab cd c d", id="halved to the one it is about"),
        pytest.param("abc", {"a": "n"}, "b++", "abc a bc", id="an odd number is halved, too"),
        pytest.param("ab", {"a": "n", "b": "n"}, "bb", "ab a b", id="it is about both"),
        pytest.param("abcd", {"c": "u"}, "uuuu", "abcd", id="halving tells nothing of a code nobody knows"),
        pytest.param("ab cd", {"a": "n"}, "b+++", "ab a b cd", id="halves go before the next piece"),
        # trouble before anything left holds for all of them
        pytest.param("ab cd", {"a": "T"}, "Throttled slow", "ab", id="asked to slow down at once"),
        pytest.param("ab cd", {"a": "M"}, "AccountError key", "ab", id="the account is at fault at once"),
        pytest.param("ab cd", {"a": "R"}, "NotSent gone", "ab", id="nobody there at once"),
        pytest.param("ab", {"a": "n", "b": "M"}, "AccountError key", "ab a b", id="refused, then the account"),
        pytest.param("ab cd", {"a": "-", "b": "-", "c": "T"}, "Throttled slow", "ab cd", id="none taken, then slower"),
        # once something left, the rest surely did not and says why
        pytest.param("ab cd", {"c": "T"}, "++tt", "ab cd", id="asked to slow down after some were taken"),
        pytest.param("ab cd ef", {"c": "M"}, "++cccc", "ab cd", id="the account is at fault after some were taken"),
        pytest.param("ab cd", {"c": "O"}, "++oo", "ab cd", id="an error that says no more is our fault"),
        pytest.param("a b cd", {"a": "d", "b": "T"}, "?ttt", "a b", id="what is unconfirmed may have left"),
        # a cut: doubt for that piece, the others are tried
        pytest.param("ab", {"a": "?"}, "OutcomeUnknown cut", "ab", id="cut, and there is nothing else"),
        pytest.param("ab cd", {"a": "?"}, "??++", "ab cd", id="cut, and the next ones are taken"),
        pytest.param("ab cd", {"c": "?"}, "++??", "ab cd", id="cut after some were taken"),
        pytest.param("ab c", {"a": "?", "c": "T"}, "??t", "ab c", id="cut, then asked to slow down"),
        pytest.param("ab", {"a": "n", "b": "?"}, "b?", "ab a b", id="one refused and one cut"),
    ],
)
def test_what_becomes_of_every_message(pieces: str, rules: dict[str, str], answers: str, requests: str) -> None:
    assert submitted(pieces, rules) == (answers, requests)


TRUTH_TABLE = """
# what fails   where   before    results or error   requests that were made
  recipient    first   nothing   b+++++             ab a b cd ef
  recipient    middle  accepted  ++b+++             ab cd c d ef
  recipient    middle  refused   oob+++             ab cd c d ef
  recipient    last    accepted  ++++b+             ab cd ef e f
  recipient    last    refused   oooob+             ab cd ef e f
  unknown-code first   nothing   uu++++             ab cd ef
  unknown-code middle  accepted  ++uu++             ab cd ef
  unknown-code middle  refused   oouu++             ab cd ef
  unknown-code last    accepted  ++++uu             ab cd ef
  unknown-code last    refused   oooouu             ab cd ef
  throttled    first   nothing   Throttled          ab
  throttled    middle  accepted  ++tttt             ab cd
  throttled    middle  refused   Throttled          ab cd
  throttled    last    accepted  ++++tt             ab cd ef
  throttled    last    refused   Throttled          ab cd ef
  account      first   nothing   AccountError       ab
  account      middle  accepted  ++cccc             ab cd
  account      middle  refused   AccountError       ab cd
  account      last    accepted  ++++cc             ab cd ef
  account      last    refused   AccountError       ab cd ef
  not-sent     first   nothing   NotSent            ab
  not-sent     middle  accepted  ++nnnn             ab cd
  not-sent     middle  refused   NotSent            ab cd
  not-sent     last    accepted  ++++nn             ab cd ef
  not-sent     last    refused   NotSent            ab cd ef
  outcome      first   nothing   ??++++             ab cd ef
  outcome      middle  accepted  ++??++             ab cd ef
  outcome      middle  refused   oo??++             ab cd ef
  outcome      last    accepted  ++++??             ab cd ef
  outcome      last    refused   oooo??             ab cd ef
"""
"""Three requests of two messages; one of them fails, after the earlier ones were accepted or refused themselves."""
RULES = {"recipient": "n", "unknown-code": "u", "throttled": "T", "account": "M", "not-sent": "R", "outcome": "?"}
ROWS = [line.split(maxsplit=4) for line in TRUTH_TABLE.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("failure", "where", "before", "results", "requests"), ROWS)
def test_what_one_failed_request_means_for_all(
    failure: str, where: str, before: str, results: str, requests: str
) -> None:
    position = ("first", "middle", "last").index(where) * 2
    rules = dict.fromkeys(LETTERS[:position], "-") if before == "refused" else {}
    outcome, made = submitted("ab cd ef", rules | {LETTERS[position]: RULES[failure]})
    assert (outcome.split()[0], made) == (results, requests)


def test_the_table_has_every_case() -> None:
    cases = {(failure, where, before) for failure, where, before, *_ in ROWS}
    later = {(where, before) for where in ("middle", "last") for before in ("accepted", "refused")}
    assert cases == {(failure, *place) for failure in RULES for place in later | {("first", "nothing")}}


@pytest.mark.parametrize("bad", [f"{n:08b}" for n in range(256)])
def test_only_the_messages_a_refusal_is_about_are_refused_and_nobody_is_taken_twice(bad: str) -> None:
    rules = {letter: "n" for letter, bit in zip(LETTERS, bad, strict=True) if bit == "1"}
    answers, requests = submitted(LETTERS, rules)
    assert answers == "".join("b" if letter in rules else "+" for letter in LETTERS)
    taken = "".join(piece for piece in requests.split() if not set(piece) & set(rules))
    assert sorted(taken) == sorted(set(LETTERS) - set(rules))


def test_halving_ends_at_the_most_requests_and_what_is_not_known_may_be_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given at most two requests for a piece that may be halved, and only the last letter bad
    monkeypatch.setattr(_error_codes, "MOST_REQUESTS", 3)
    answers, requests = submitted("abcdefgh", {"h": "n"})
    # then the first request is halved, the second taken, and the third says nothing of anyone
    assert (answers, requests) == ("++++pppp", "abcdefgh abcd efgh")


def test_the_code_a_provider_gave_is_kept() -> None:
    provider = Provider({"a": "n", "c": "?", "d": "M"})
    pieces = [[message("a")], [message("b")], [message("c")], [message("d")]]
    answers = asyncio.run(submit_bisecting(pieces, provider.request))
    assert [answer.code for answer in answers] == ["bad", "", "cut", "key"]
    assert answers[1].provider_ref == "b"


NAMED = TemplateSnapshot("T1", "您好{name}", "店", ("name",), marketing=False)
FIXED = TemplateSnapshot("T1", "您好", "店", (), marketing=False)


@pytest.mark.parametrize(
    ("about", "template", "values", "expected"),
    [
        (Scope.RECIPIENT, FIXED, ["", ""], "RequestRefused"),
        (Scope.RECIPIENT, FIXED, [""], "RequestRefused"),
        (Scope.TEXT, NAMED, ["甲"], "RequestRefused"),
        (Scope.TEXT, NAMED, ["甲", "乙"], "RequestRefused"),
        (Scope.TEXT, NAMED, ["甲", "甲"], "AccountError"),
        (Scope.TEXT, FIXED, [""], "AccountError"),
        (Scope.TEXT, FIXED, ["", ""], "AccountError"),
        (Scope.TIMING, NAMED, ["甲"], "Throttled"),
        (Scope.ACCOUNT, NAMED, ["甲"], "AccountError"),
        (Scope.UNKNOWN, NAMED, ["甲"], "OutcomeUnknown"),
    ],
)
def test_what_a_request_refused_as_a_whole_means_for_its_messages(
    about: Scope, template: TemplateSnapshot, values: list[str], expected: str
) -> None:
    messages = [message(letter, value) for letter, value in zip(LETTERS, values, strict=False)]
    error = refusal_error("x" * 100, ErrorMeaning(about, Outcome.CONTENT_REFUSED), template, messages, 5.0)
    assert type(error).__name__ == expected
    assert (error.code, error.outcome) == ("x" * 80, Outcome.CONTENT_REFUSED)
    assert getattr(error, "retry_after", None) == (5.0 if expected == "Throttled" else None)


def test_trouble_without_messages_is_never_about_one_of_them() -> None:
    kinds = [type(call_error("x", ErrorMeaning(about, Outcome.QUOTA), 1.0)).__name__ for about in Scope]
    assert kinds == ["AccountError", "AccountError", "Throttled", "AccountError", "OutcomeUnknown"]
