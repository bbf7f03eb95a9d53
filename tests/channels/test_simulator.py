"""The simulator: every outcome on request, the same in every process, and its memory outlives them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.http import HttpClient
from smsapp.channels.simulator.adapter import PAGE, Simulator
from smsapp.channels.simulator.scenarios import LATE, SCENARIOS
from smsapp.channels.types import (
    Callback,
    OutboundMessage,
    Receipt,
    ReceiptStatus,
    Reply,
    SubmitRequest,
    SubmitResult,
    UnconfirmedMessage,
)
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import TemplateSnapshot
from tests.channels.contract import Contract
from tests.channels.wire import run

NOON = 1_800_000_000.0
TEMPLATE = TemplateSnapshot("SMS_1", "您好", "青禾商城", (), False)
QUIET = {"refused": "0", "undelivered": "0", "silent": "0", "opt_outs": "0"}


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def made(folder: Path, clock: Clock | None = None, /, **values: str) -> Simulator:
    channel = Simulator(QUIET | values, folder)
    channel.clock = clock or Clock()
    return channel


def to(*phones: str, run_id: int = 7) -> SubmitRequest:
    return SubmitRequest(
        TEMPLATE, [OutboundMessage(f"{run_id}-{n}", phone, "您好", ()) for n, phone in enumerate(phones, 1)], ""
    )


def magic(digits: str) -> SubmitRequest:
    return to(f"+861380000{digits}")


def sent(channel: Simulator, submission: SubmitRequest) -> list[SubmitResult]:
    return run(channel.send(submission, HttpClient()))


def heard(channel: Simulator) -> list[Receipt | Reply]:
    """Return everything that is due, as the product would read it."""

    async def pull() -> list[Callback]:
        return [page async for page in channel.pull(HttpClient())]

    return [news for page in run(pull()) for news in channel.read_callback(page)]


class TestSimulator(Contract):
    def make(self, url: str, folder: Path, **values: str) -> Simulator:
        return made(folder, **values)


@pytest.mark.parametrize("digits", list(SCENARIOS))
def test_every_magic_number_does_what_its_line_in_the_guide_says(digits: str, tmp_path: Path) -> None:
    clock = Clock()
    channel, scenario = made(tmp_path, clock), SCENARIOS[digits]
    assert any(note.term == f"138 0000 {digits}" for note in channel.guide)
    accepted = scenario.refused is None and scenario.error is None
    if scenario.error is None:
        answer = sent(channel, magic(digits))[0]
        assert answer.accepted is accepted
        assert answer.outcome is scenario.refused
    else:
        with pytest.raises(type(scenario.error())):
            sent(channel, magic(digits))
    if not scenario.error_once:
        clock.now += 60 + (LATE if scenario.late else 0)
        news = heard(channel)
        receipts = [(item.status, item.outcome, item.code) for item in news if isinstance(item, Receipt)]
        assert receipts == list(scenario.receipts if accepted or digits == "0321" else ())
        assert [item.text for item in news if isinstance(item, Reply)] == ([scenario.reply] if scenario.reply else [])


@pytest.mark.parametrize("kind", [Throttled, NotSent, AccountError])
def test_trouble_that_passes_lets_the_same_message_through_the_second_time(
    kind: type[ChannelError], tmp_path: Path
) -> None:
    digits = {Throttled: "0301", NotSent: "0302", AccountError: "0303"}[kind]
    with pytest.raises(kind):
        sent(made(tmp_path), magic(digits))
    assert sent(made(tmp_path), magic(digits))[0].accepted


def test_trouble_of_one_number_is_trouble_of_its_whole_request(tmp_path: Path) -> None:
    clock = Clock()
    channel = made(tmp_path, clock)
    with pytest.raises(NotSent):
        sent(channel, to("+8613900000001", "+8613800000312", "+8613900000002"))
    clock.now += 60
    assert heard(channel) == []


def test_a_cut_request_had_arrived_and_its_receipts_come(tmp_path: Path) -> None:
    clock = Clock()
    channel = made(tmp_path, clock)
    with pytest.raises(OutcomeUnknown):
        sent(channel, to("+8613900000001", "+8613800000321"))
    clock.now += 60
    assert {item.ref for item in heard(channel) if isinstance(item, Receipt)} == {"7-1", "7-2"}


def test_it_can_be_asked_about_what_was_cut_and_is_silent_about_what_never_arrived(tmp_path: Path) -> None:
    channel = made(tmp_path)
    cut = to("+8613800000321", "+8613800000322", "+8613900000001")
    with pytest.raises(OutcomeUnknown):
        sent(channel, cut)
    since, until = (dt.datetime.fromtimestamp(NOON + n, dt.UTC) for n in (0, 60))
    asked = [
        UnconfirmedMessage(message, since, until)
        for message in [*cut.messages, *to("+8613900000009", run_id=8).messages]
    ]

    known = run(channel.query_status(TEMPLATE, asked, HttpClient()))

    assert sorted((receipt.ref, receipt.status) for receipt in known) == [
        ("7-1", ReceiptStatus.ACCEPTED),
        ("7-3", ReceiptStatus.ACCEPTED),
    ]


def test_receipts_come_when_they_are_due_and_not_before(tmp_path: Path) -> None:
    clock = Clock()
    channel = made(tmp_path, clock, receipt_seconds="10", receipt_spread="100")
    sent(channel, to(*[f"+861390000{n:04}" for n in range(200)]))
    clock.now = NOON + 9.9
    assert heard(channel) == []
    clock.now = NOON + 60
    first = len(heard(channel))
    assert 60 < first < 140
    clock.now = NOON + 111
    assert first + len(heard(channel)) == 200


def test_an_early_receipt_waits_for_nothing(tmp_path: Path) -> None:
    channel = made(tmp_path, receipt_seconds="1000")
    sent(channel, magic("0002"))
    assert [item.ref for item in heard(channel) if isinstance(item, Receipt)] == ["7-1"]


def test_receipts_survive_the_process_that_sent(tmp_path: Path) -> None:
    clock = Clock()
    sent(made(tmp_path, clock), to("+8613900000001"))
    clock.now += 60
    assert len(heard(made(tmp_path, clock))) == 1


def test_it_has_news_only_once_a_receipt_is_due(tmp_path: Path) -> None:
    clock = Clock()
    channel = made(tmp_path, clock)
    assert not channel.may_have_news()
    sent(channel, to("+8613900000001"))
    assert not channel.may_have_news()
    clock.now += 60
    assert channel.may_have_news()
    heard(channel)
    assert not channel.may_have_news()


def test_a_page_that_was_not_stored_comes_again(tmp_path: Path) -> None:
    clock = Clock()
    channel = made(tmp_path, clock)
    sent(channel, to("+8613900000001"))
    clock.now += 60

    async def dies_with_the_page_in_hand() -> None:
        pages = channel.pull(HttpClient())
        assert isinstance(pages, AsyncGenerator)
        await anext(pages)
        await pages.aclose()

    run(dies_with_the_page_in_hand())
    assert len(heard(channel)) == 1
    assert heard(channel) == []


def test_many_receipts_come_in_pages(tmp_path: Path) -> None:
    clock = Clock()
    channel = made(tmp_path, clock)
    sent(channel, to(*[f"+861390{n:06}" for n in range(PAGE * 2 + 1)]))
    clock.now += 60

    async def pull() -> list[int]:
        return [len(channel.read_callback(page)) async for page in channel.pull(HttpClient())]

    assert run(pull()) == [PAGE, PAGE, 1]


def test_the_rates_are_kept_and_the_seed_decides_whom_they_hit(tmp_path: Path) -> None:
    clock = Clock()
    rates = {"refused": "10", "undelivered": "20", "silent": "10", "opt_outs": "5"}
    phones = [f"+861390{n:06}" for n in range(4000)]

    def story(folder: str, seed: str) -> tuple[list[SubmitResult], list[Any]]:
        channel = made(tmp_path / folder, clock, seed=seed, **rates)
        clock.now = NOON
        answers = sent(channel, to(*phones))
        clock.now = NOON + 100
        return answers, heard(channel)

    answers, news = story("a", "1")
    counts = Counter(item.status for item in news if isinstance(item, Receipt))
    refused = [answer for answer in answers if not answer.accepted]
    assert 330 < len(refused) < 470
    assert {answer.outcome for answer in refused} <= set(Outcome)
    accepted = len(answers) - len(refused)
    assert 0.17 < counts[ReceiptStatus.UNDELIVERED] / accepted < 0.23
    assert 0.67 < counts[ReceiptStatus.DELIVERED] / accepted < 0.73
    assert 0.03 < sum(isinstance(item, Reply) for item in news) / counts[ReceiptStatus.DELIVERED] < 0.07
    assert story("b", "1") == (answers, news)
    assert story("c", "2")[0] != answers


def test_the_answer_takes_as_long_as_set(tmp_path: Path) -> None:
    assert sent(made(tmp_path, answer_seconds="0.01"), to("+8613900000001"))[0].accepted
    assert made(tmp_path, per_request="7").per_request == 7


def test_a_rehearsal_has_no_quiet_hours_and_its_receipts_name_our_reference() -> None:
    assert Simulator.quiet_hours_exempt
    assert Simulator.polls
    assert not Simulator.receipts_by_provider_ref
