"""Replies that look like refusals: a corpus of suspected ones, a part of which the rules were not written with."""

from __future__ import annotations

import pytest

from smsapp.domain.refusal import looks_like_refusal
from tests.domain.test_optout import CORPUS, cases

LEAST_FOUND, MOST_FALSE = 0.95, 0.10


def test_the_corpus_of_suspected_refusals_is_large_and_labels_each_once() -> None:
    parts = [CORPUS["suspected"], CORPUS["suspected_held_out"]]
    refusals = [text for part in parts for text in part["refusals"]]
    harmless = [text for part in parts for text in part["harmless"]]
    assert len(refusals) + len(harmless) >= 500
    assert len({*refusals, *harmless}) == len(refusals) + len(harmless)
    assert not {*refusals, *harmless} & {*cases("opt_out"), *cases("no_opt_out")}


@pytest.mark.parametrize("part", ["suspected", "suspected_held_out"])
def test_nearly_all_refusals_are_shown_to_a_person_and_little_else(part: str) -> None:
    refusals, harmless = CORPUS[part]["refusals"], CORPUS[part]["harmless"]
    found = sum(map(looks_like_refusal, refusals)) / len(refusals)
    wrongly = sum(map(looks_like_refusal, harmless)) / len(harmless)
    assert found >= LEAST_FOUND, [text for text in refusals if not looks_like_refusal(text)]
    assert wrongly <= MOST_FALSE, [text for text in harmless if looks_like_refusal(text)]


@pytest.mark.parametrize(
    "text", ["别 再 发 了！！", "ＳＴＯＰ　ＴＥＸＴＩＮＧ　ＭＥ", "d.o.n.t text me 😡", "別再發了"]
)
def test_width_spaces_and_decorations_do_not_matter(text: str) -> None:
    assert looks_like_refusal(text)


def test_a_very_long_reply_is_decided_quickly() -> None:
    assert not looks_like_refusal("好" * 50_000)
