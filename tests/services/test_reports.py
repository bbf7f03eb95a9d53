"""What became of a campaign: numbers that add up, and the people behind each of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.funnel import broken_identities
from smsapp.domain.message import Status
from smsapp.domain.outcome import Charged, Outcome
from smsapp.domain.recipients import GROUPS, Place, Recipient, group
from smsapp.domain.run import RunState
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import message_story, recipient_list, reports
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.runs.receipt_buckets import ReceiptBucket
from smsapp.store.runs.runs import Message
from smsapp.store.users import AuditEntry
from tests import ledgers

ME = Actor("ana")
pytestmark = pytest.mark.usefixtures("app")


def everyone(campaign_id: int, run_id: int | None, name: str, reason: str = "") -> list[Recipient]:
    """Return all people of a group by turning the pages."""

    def turned() -> Iterator[Recipient]:
        wanted = group(name, reason)
        assert wanted is not None
        after: Place | None = None
        while True:
            anybody = recipient_list.parse_phone_query("")
            page = recipient_list.page(campaign_id, run_id, wanted, anybody, after)
            yield from page.rows
            after = page.next
            if after is None:
                return

    return list(turned())


def test_a_run_with_people_in_every_state_adds_up(now: dt.datetime) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)

    report = reports.report(campaign.id, made.id, now)

    assert broken_identities(report.funnel) == []
    excluded = sum(ledgers.EVERY_LEFT.values())
    without_number = ledgers.EVERY_LEFT[ExclusionReason.NO_NUMBER] + ledgers.EVERY_LEFT[ExclusionReason.INVALID_NUMBER]
    assert (report.funnel.target, report.funnel.effective) == (35 + excluded, 35 + excluded - without_number)
    assert (report.funnel.accepted, report.funnel.delivered) == (22, 12)
    numbers = [step.n for step in report.steps]
    for step, following in zip(report.steps, numbers[1:], strict=False):
        assert step.n - sum(gap.n for gap in step.gaps) == following


@pytest.mark.parametrize("name", GROUPS)
def test_behind_each_number_stand_exactly_as_many_people(now: dt.datetime, name: str) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign, [*ledgers.EVERY_STATE, (Status.EXPIRED, "", "", 2)])
    ledgers.run(campaign, slot=ledgers.OPENED + dt.timedelta(days=1))

    recipients = everyone(campaign.id, None, name)

    assert len(recipients) == getattr(reports.report(campaign.id, None, now).funnel, name) > 0
    assert len({(recipient.run_id, recipient.state is None, recipient.position) for recipient in recipients}) == len(
        recipients
    )


def test_every_row_of_a_group_is_in_the_state_it_is_named_after() -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)

    assert {recipient.state for recipient in everyone(campaign.id, None, "in_flight")} == {Status.IN_FLIGHT}
    assert {recipient.state for recipient in everyone(campaign.id, None, "queued")} == {Status.QUEUED}
    assert {recipient.left for recipient in everyone(campaign.id, None, "left_out", ExclusionReason.OPTED_OUT)} == {
        ExclusionReason.OPTED_OUT
    }
    assert {recipient.reason for recipient in everyone(campaign.id, None, "undelivered", Outcome.SWITCHED_OFF)} == {
        "switched_off"
    }


def test_a_list_longer_than_a_page_has_everybody_once() -> None:
    campaign = ledgers.campaign()
    ledgers.run(
        campaign,
        [(Status.DELIVERED, "", "", recipient_list.PAGE + 7)],
        {ExclusionReason.NO_NUMBER: recipient_list.PAGE + 3},
    )

    recipients = everyone(campaign.id, None, "target")

    assert [recipient.position for recipient in recipients if recipient.state is not None] == list(
        range(1, recipient_list.PAGE + 8)
    )
    assert sum(recipient.left == ExclusionReason.NO_NUMBER for recipient in recipients) == recipient_list.PAGE + 3


def test_reasons_say_whether_another_try_is_worth_it_and_who_pays(now: dt.datetime) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)

    lines = {line.code: line for line in reports.report(campaign.id, made.id, now).reasons}

    off = lines[Outcome.SWITCHED_OFF]
    assert (off.n, round(off.share, 2)) == (3, 0.6)
    assert off.meaning is not None
    assert (off.meaning.retriable, off.meaning.charged) == (True, Charged.YES)
    assert lines["worker_lost"].meaning is None


def test_a_code_nobody_knows_is_shown_and_not_a_crash(now: dt.datetime) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, [(Status.REFUSED, "from_the_future", "X1", 1)])

    line = reports.report(campaign.id, made.id, now).reasons[0]

    assert line.code == "from_the_future"
    assert line.meaning is not None
    assert not line.meaning.retriable


def test_parts_and_price_of_accepted_messages_make_the_cost(now: dt.datetime) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)
    ledgers.run(campaign, slot=ledgers.OPENED + dt.timedelta(days=1))
    free = replace(ledgers.SNAPSHOT, price=None)
    ledgers.run(campaign, slot=ledgers.OPENED + dt.timedelta(days=2), snapshot=free)

    costs = reports.report(campaign.id, None, now).costs

    assert {(cost.parts, str(cost.amount), cost.currency) for cost in costs} == {(44, "1.980", "CNY"), (22, "None", "")}


def test_a_recurring_campaign_has_a_line_for_each_run_newest_first(now: dt.datetime) -> None:
    campaign = ledgers.campaign(recurring=True, status="waiting")
    older = ledgers.run(campaign, [(Status.DELIVERED, "", "", 2)], {}, finished_at=now, state=RunState.DONE)
    newer = ledgers.run(
        campaign,
        [(Status.DELIVERED, "", "", 3)],
        {},
        slot=now + dt.timedelta(days=1),
        finished_at=now,
        state=RunState.DONE,
    )

    report = reports.report(campaign.id, None, now)

    assert [line.run.id for line in report.runs] == [newer.id, older.id]
    assert [line.funnel.delivered for line in report.runs] == [3, 2]
    assert report.funnel.delivered == 5


def test_progress_counts_what_is_dealt_with_and_foresees_the_end(now: dt.datetime) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)

    progress = reports.report(campaign.id, made.id, now).progress

    assert progress is not None
    assert (progress.done, progress.planned) == (27, 35)
    assert progress.pace is not None
    assert progress.ends_at is not None
    assert progress.ends_at > now


def test_no_pace_is_told_that_the_channel_does_not_allow(now: dt.datetime) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    current_session().get_one(ChannelRow, campaign.channel_id).rate = 1

    progress = reports.report(campaign.id, made.id, now).progress

    assert progress is not None
    assert progress.pace == 1


def test_a_run_that_has_not_begun_to_send_foresees_nothing(now: dt.datetime) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, [(Status.QUEUED, "", "", 5)], {})

    progress = reports.report(campaign.id, made.id, now).progress

    assert progress is not None
    assert (progress.pace, progress.ends_at) == (None, None)


@pytest.mark.parametrize(
    ("lots", "given", "seconds"),
    [
        ([(Status.QUEUED, "", "", 1)], {}, 2),
        ([(Status.QUEUED, "", "", 1)], {"state": RunState.HELD, "hold_reason": "quiet_hours"}, 10),
        ([(Status.ACCEPTED, "", "", 1)], {"state": RunState.DONE, "finished_at": ledgers.OPENED}, 5),
        ([(Status.DELIVERED, "", "", 1)], {"state": RunState.DONE, "finished_at": ledgers.OPENED}, None),
    ],
)
def test_the_page_asks_again_only_while_something_can_change(
    now: dt.datetime, lots: list[ledgers.Lot], given: dict[str, Any], seconds: int | None
) -> None:
    campaign = ledgers.campaign(status="sent" if "finished_at" in given else "sending")
    made = ledgers.run(campaign, lots, {}, **given)

    assert reports.report(campaign.id, made.id, now).refresh == seconds


def test_receipts_over_hours_become_bars_of_equal_width_without_holes(now: dt.datetime) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, [(Status.DELIVERED, "", "", 2)], {})
    late = int(ledgers.OPENED.timestamp()) + 40 * 3600
    current_session().add(ReceiptBucket(run_id=made.id, bucket=late - late % 600, state="delivered", n=5))
    current_session().commit()

    report = reports.report(campaign.id, made.id, now)

    assert report.bar_seconds == 3600
    assert len(report.bars) == 41
    assert [bar.delivered for bar in report.bars if bar.delivered] == [2, 5]


def test_a_whole_number_is_found_among_messages_and_among_those_left_out() -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, left={ExclusionReason.OPTED_OUT: 1})
    first = current_session().get(Message, (made.id, 1))
    assert first is not None

    recipients = recipient_list.page(
        campaign.id, None, GROUPS["target"], recipient_list.parse_phone_query(first.phone.removeprefix("+86")), None
    ).rows
    left = recipient_list.page(
        campaign.id, None, GROUPS["target"], recipient_list.parse_phone_query("139 0000 1234"), None
    ).rows

    assert [recipient.position for recipient in recipients] == [1]
    assert [recipient.left for recipient in left] == [ExclusionReason.OPTED_OUT]


def test_last_digits_find_everybody_whose_number_ends_so() -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    first = current_session().get(Message, (made.id, 1))
    assert first is not None

    recipients = recipient_list.page(
        campaign.id,
        None,
        GROUPS["planned"],
        recipient_list.parse_phone_query(first.phone[-6:], sees_full_numbers=True),
        None,
    ).rows

    assert [recipient.phone for recipient in recipients] == [first.phone]


def test_too_few_digits_are_refused_with_what_is_needed() -> None:
    with pytest.raises(Refusal) as refused:
        recipient_list.parse_phone_query("123")

    assert refused.value.problems[0].code == "phone_search_short"


def test_who_may_not_see_numbers_gets_no_further_than_the_four_digits_that_are_shown() -> None:
    assert recipient_list.parse_phone_query("8000").ending == "8000"
    assert recipient_list.parse_phone_query("13800138000").phone == "+8613800138000"
    with pytest.raises(Refusal) as refused:
        recipient_list.parse_phone_query("38000")
    assert refused.value.problems[0].code == "phone_search_hidden"


def test_the_text_of_one_message_is_as_it_was_sent() -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)

    story = message_story.story(campaign.id, made.id, 1)

    assert story.text == "【青禾商城】尊敬的客户1，您的优惠券A100即将到期。"
    assert "客户1" not in repr(story)
    assert story.recipient.phone not in repr(story)


def test_a_message_of_another_campaign_is_not_shown() -> None:
    made = ledgers.run(ledgers.campaign())
    other = ledgers.campaign()

    with pytest.raises(NotFound):
        message_story.story(other.id, made.id, 1)


def test_a_deleted_campaign_and_a_foreign_run_are_not_found(now: dt.datetime) -> None:
    gone = ledgers.campaign(deleted_at=now)
    made = ledgers.run(ledgers.campaign())
    other = ledgers.campaign()

    with pytest.raises(NotFound):
        reports.report(gone.id, None, now)
    with pytest.raises(NotFound):
        reports.report(other.id, made.id, now)
    with pytest.raises(NotFound):
        recipient_list.page(other.id, made.id, GROUPS["target"], recipient_list.parse_phone_query(""), None)


def test_an_export_brings_everybody_in_order_and_leaves_a_line(
    now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipient_list, "CHUNK", 10)
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)

    chunks = list(recipient_list.export(campaign.id, None, GROUPS["target"], ME, now, masked=True))

    everybody = 35 + sum(ledgers.EVERY_LEFT.values())
    assert [len(chunk) for chunk in chunks] == [min(10, everybody - at) for at in range(0, everybody, 10)]
    assert [recipient.position for chunk in chunks for recipient in chunk if recipient.state is not None] == list(
        range(1, 36)
    )
    line = current_session().query(AuditEntry).one()
    assert (line.by, line.action, line.noun_id) == ("ana", "export", str(campaign.id))
    assert line.facts == {"run": None, "group": "target", "masked": True}
    assert made.planned == 35


def test_a_contact_deleted_since_is_still_a_line() -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, [(Status.DELIVERED, "", "", 1)], {})
    first = current_session().get(Message, (made.id, 1))
    assert first is not None
    current_session().delete(current_session().get_one(Contact, first.contact_id))
    current_session().commit()

    assert [(recipient.xwho, recipient.phone) for recipient in everyone(campaign.id, None, "target")] == [
        ("", first.phone)
    ]
