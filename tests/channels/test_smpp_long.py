"""Long texts over SMPP: parts leave one after the other, and one receipt is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsapp.channels.smpp import Smpp
from smsapp.channels.types import SubmitResult
from smsapp.domain.outcome import Outcome
from tests.channels.smsc import Link, Submit, accept, smsc
from tests.channels.transceiver import one, refuses
from tests.channels.wire import run

LONG = "积" * 66 + "😀" + "分" * 80


def test_a_long_text_asks_for_one_receipt_and_its_parts_belong_together(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc() as server:
            answer = await one(server, tmp_path, LONG)
            assert isinstance(answer, SubmitResult)
            assert [submit.receipt for submit in server.submits] == [0, 0, 1]
            assert answer.provider_ref == f"{server.submits[-1].seq}"
            assert {submit.text[:3] for submit in server.submits} == {b"\x05\x00\x03"}
            assert len({submit.text[3] for submit in server.submits}) == 1
            assert [submit.text[4:6] for submit in server.submits] == [b"\x03\x01", b"\x03\x02", b"\x03\x03"]
            assert {(submit.esm_class, submit.coding) for submit in server.submits} == {(0x40, 8)}
            assert "".join(submit.text[6:].decode("utf-16-be") for submit in server.submits) == LONG

    run(story())


def test_a_long_text_may_leave_with_sar_parameters_or_whole(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc() as server:
            await one(server, tmp_path, LONG, long_texts="sar")
            assert [submit.extras[0x20F] for submit in server.submits] == [b"\x01", b"\x02", b"\x03"]
            assert {submit.extras[0x20E] for submit in server.submits} == {b"\x03"}
            assert len({submit.extras[0x20C] for submit in server.submits}) == 1
            assert "".join(submit.text.decode("utf-16-be") for submit in server.submits) == LONG
            server.submits.clear()
            await one(server, tmp_path, LONG, long_texts="payload")
            (submit,) = server.submits
            assert (submit.text, submit.esm_class, submit.receipt) == (b"", 0, 1)
            assert submit.extras[0x424].decode("utf-16-be") == LONG

    run(story())


def test_a_first_part_that_is_refused_refuses_the_message_and_nothing_else_leaves(tmp_path: Path) -> None:
    async def story() -> None:
        async with smsc(refuses(0x0B)) as server:
            result = await one(server, tmp_path, LONG)
            assert isinstance(result, SubmitResult)
            assert result.outcome is Outcome.BAD_NUMBER
            assert len(server.submits) == 1

    run(story())


@pytest.mark.parametrize("status", [0x0B, 0x08, 0x0F, None])
def test_a_later_part_that_is_refused_or_lost_leaves_the_message_unconfirmed(
    status: int | None, tmp_path: Path
) -> None:
    async def story() -> None:
        def script(link: Link, submit: Submit) -> None:
            if len(server.submits) == 1:
                accept(link, submit)
            elif status is None:
                link.cut()
            else:
                link.answer(submit, status=status)

        async with smsc(script) as server:
            result = await one(server, tmp_path, LONG)
            assert isinstance(result, SubmitResult)
            assert result.unconfirmed
            assert len(server.submits) == 2

    run(story())


def test_a_later_part_that_is_too_fast_is_tried_again_because_the_first_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Smpp, "_begin_pause", lambda _: 0.01)

    async def story() -> None:
        def script(link: Link, submit: Submit) -> None:
            if len(server.submits) in {2, 3}:
                link.answer(submit, status=0x58)
            else:
                accept(link, submit)

        async with smsc(script) as server:
            result = await one(server, tmp_path, LONG)
            assert isinstance(result, SubmitResult)
            assert result.accepted
            assert [submit.text[5] for submit in server.submits] == [1, 2, 2, 2, 3]

    run(story())
