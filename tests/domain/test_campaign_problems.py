"""What a draft still lacks, as far as the second channel's trust in numbers goes."""

from __future__ import annotations

import pytest

from smsapp.domain.campaign import DraftFacts, SecondFacts, problems


@pytest.mark.parametrize(("asks", "codes"), [(True, ["second_trusts_less"]), (False, [])])
def test_a_second_channel_asks_for_no_more_trust_than_the_first(asks: bool, codes: list[str]) -> None:
    second = SecondFacts(
        same_channel=False,
        active=True,
        chosen=True,
        of_channel=True,
        approved=True,
        fits=True,
        same_purpose=True,
        asks_for_trusted_numbers=asks,
    )
    draft = DraftFacts(
        name="会员日",
        segment_id=1,
        channel_id=1,
        channel_active=True,
        template_id=1,
        template_approved=True,
        template_of_channel=True,
        unmapped=(),
        unfit=(),
        second=second,
        schedule_problems=(),
    )
    assert [problem.code for problem in problems(draft)] == codes
