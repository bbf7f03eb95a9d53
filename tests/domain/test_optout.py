"""The reply corpus: every case with the decision a person would take."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from smsapp.domain.optout import is_opt_out

CORPUS = yaml.safe_load((Path(__file__).parent / "replies.yaml").read_text("utf-8"))


def cases(decision: str) -> list[str]:
    return list(dict.fromkeys(text for group in CORPUS[decision].values() for text in group))


@pytest.mark.parametrize("text", cases("opt_out"))
def test_this_reply_is_an_opt_out(text: str) -> None:
    assert is_opt_out(text)


@pytest.mark.parametrize("text", cases("no_opt_out"))
def test_this_reply_is_conversation(text: str) -> None:
    assert not is_opt_out(text)


def test_the_corpus_is_large_and_decides_each_reply_once() -> None:
    yes, no = cases("opt_out"), cases("no_opt_out")
    assert len(yes) + len(no) >= 220
    assert min(len(yes), len(no)) >= 80
    assert not set(yes) & set(no)


@pytest.mark.parametrize("part", ["suspected", "suspected_held_out"])
def test_suspected_refusals_are_no_opt_outs_by_themselves(part: str) -> None:
    assert not [text for text in cases(part) if is_opt_out(text)]


def test_a_long_reply_is_decided_quickly_and_is_no_opt_out() -> None:
    assert not is_opt_out("回复" * 50_000 + "T")
