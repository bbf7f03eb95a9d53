"""A person is erased: nothing of them stays, and sums, caps and opt-outs hold."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.errors import OutcomeUnknown
from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.channels.types import Reply as Incoming
from smsapp.domain import phone
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.erasure import ERASED_ID, ErasureState
from smsapp.domain.errors import Refusal
from smsapp.domain.message import Resolution, Status
from smsapp.domain.optout import OptOutSource
from smsapp.domain.run import CancelReason
from smsapp.services.contacts import audience, opt_outs
from smsapp.services.contacts.audience import Choices
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import arrivals, erasing
from smsapp.services.receipts import replies, unconfirmed
from smsapp.services.reports import verify
from smsapp.services.sending import opening, sweeping
from smsapp.store.apps import key_journal
from smsapp.store.apps.app_keys import AppKey, BadRecord
from smsapp.store.apps.key_journal import Replaced
from smsapp.store.contacts import contacts as contact_rows
from smsapp.store.contacts.aliases import Alias
from smsapp.store.contacts.consents import Consent
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.imports import Import
from smsapp.store.contacts.numbers import SpecialNumber
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.contacts.segments import SegmentMember
from smsapp.store.db import current_session, writing
from smsapp.store.privacy import persons
from smsapp.store.privacy.erasures import Erasure
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs.provider_refs import ProviderRef
from smsapp.store.runs.runs import Exclusion, Message
from smsapp.store.users import AuditEntry
from tests import audiences, builders, ledgers, traces
from tests.engine import apply, confirmed, funnel, in_hands, reasons, recount, work
from tests.fakes import FakeChannel, FakeClock

ADMIN = Actor("root")
NUMBER, DIGITS = "+8613912340001", "13912340001"


def erased(clock: FakeClock, *texts: str, by: Actor = ADMIN) -> Erasure:
    """Erase these people with as many passes as it takes, three at most."""
    erasure_id = erasing.request(texts, by, clock.now)
    for _ in range(3):
        erasing.erase_people(clock)
    return erasing.get(erasure_id)


def messages(number: str) -> list[Message]:
    current_session().expire_all()
    return list(current_session().scalars(sa.select(Message).where(Message.phone == number)))


def hashed_messages() -> list[Message]:
    current_session().expire_all()
    return list(current_session().scalars(sa.select(Message).where(Message.phone.startswith("~"))))


def whole() -> None:
    assert [check.broken for check in verify.verify() if check.broken] == []


def planted_everywhere(now: dt.datetime) -> Contact:
    """A person whose number is in every table that may hold one."""
    run = ledgers.run(ledgers.campaign())
    person = builders.contact(
        "QH-777", NUMBER, properties={"mobile2": "139-1234-0002", "note": f"call {DIGITS}"}, phones={}
    )
    other = builders.contact("QH-778", "+8613700000001", properties={"friend": DIGITS})
    session = current_session()
    message = session.get_one(Message, (run.id, 1))
    message.phone, message.contact_id, message.params = NUMBER, person.id, f'["{DIGITS}"]'
    earlier = session.get_one(Message, (run.id, 2))
    earlier.phone, earlier.contact_id, earlier.code = "+8613912340003", person.id, "E13912340003"
    session.add_all(
        [
            Exclusion(run_id=run.id, contact_id=person.id, reason="no_number"),
            ProviderRef(channel_id=run.channel_id, ref="ref-1", phone=NUMBER, run_id=run.id, seq=1, at=0),
            Alias(anonymous_id="anon-777", xwho="QH-777", created_at=now),
            Reply(channel_id=run.channel_id, phone=NUMBER, text="我是王五", received_at=now),
            Reply(channel_id=run.channel_id, phone=other.phones["$phone"], text=f"打 {DIGITS}", received_at=now),
            OptOut(phone=NUMBER, source="person", note="王五", at=now),
            OptOut(phone="+8613700000002", source="person", note=f"同 {DIGITS}", at=now),
            UnmatchedReceipt(channel_id=run.channel_id, at=now, phone=NUMBER, status="delivered", code=DIGITS),
            BadRecord(at=now, source="up", reason="x", raw=f'{{"xwho":"a","$phone":"{DIGITS}"}}'),
            BadRecord(at=now, source="up", reason="x", raw='{"xwho":"QH-777","x":1}'),
            SpecialNumber(phone=NUMBER, number_class="premium"),
            Import(file_name=f"{DIGITS}.csv", path="x", state="done", preview={"rows": [[DIGITS]]}, created_at=now),
        ]
    )
    session.add(AppKey(id=7, key="k7", name="Web", kind="browser", created_at=now))
    session.flush()
    replaced = [Replaced(["QH-777", "QH-779"], ["$phone"], [[NUMBER, "+8613700000003"]], ["{}", "{}"])]
    key_journal.add(session, 7, replaced, now)
    session.add(
        Consent(
            contact_id=person.id, given=True, scope="everything", source="person", words=f"电话 {DIGITS}", by="x",
            at=now, recorded_at=now,
        )
    )  # fmt: skip
    segment = builders.segment(
        name=f"给 {DIGITS}", kind="uploaded", size=1, rule={"source": {"first_unmatched": [[1, DIGITS], [2, "QH-777"]]}}
    )
    session.add(SegmentMember(segment_id=segment.id, contact_id=person.id))
    audit_log.log_action(session, Actor("x"), "create", "segment", 1, now, name=f"给 {DIGITS}", lists=[DIGITS])
    run.planned, run.target = run.planned, run.target + 1
    session.execute(sa.text("UPDATE tally SET n = n + 1 WHERE state = 'excluded' AND reason = 'no_number'"))
    session.commit()
    return person


def test_nothing_of_an_erased_person_stays_in_any_table(app: Flask, clock: FakeClock) -> None:
    person_id = planted_everywhere(clock.now).id
    whole()
    secrets = (DIGITS, "13912340003", "139-1234-0002", "QH-777", "anon-777", "王五")
    assert set(traces.places_of(*secrets)) == set(secrets)

    erasure = erased(clock, "QH-777")

    assert erasure.state == ErasureState.DONE
    assert erasure.sealed is None
    assert traces.places_of(*secrets) == {}
    whole()
    assert current_session().get(Contact, person_id) is None
    assert len(hashed_messages()) == 2
    far = dt.timedelta(days=1)
    row = key_journal.row_below(current_session(), 7, 1 << 40, clock.now - far, clock.now + far)
    assert [group.xwhos for group in builders.existing(row).replaced] == [["QH-779"]]
    assert current_session().scalars(sa.select(Consent.contact_id)).one() == person_id + ERASED_ID
    segment = current_session().scalar(sa.text("SELECT size FROM segment WHERE kind = 'uploaded'"))
    assert segment == 0


def test_nothing_stays_in_the_files_either(app: Flask, clock: FakeClock) -> None:
    planted_everywhere(clock.now)
    erased(clock, DIGITS)
    assert traces.files_with(DIGITS, "13912340003", "QH-777") == {}


def test_an_erasure_that_was_done_is_done_again_without_harm(app: Flask, clock: FakeClock) -> None:
    planted_everywhere(clock.now)
    erased(clock, NUMBER)
    before = sorted(text for _, text in traces.cells() if text.startswith("~"))
    again = erased(clock, NUMBER)
    assert again.state == ErasureState.DONE
    assert sorted(text for _, text in traces.cells() if text.startswith("~")) == before
    whole()


def test_the_audit_log_says_who_did_it_and_names_the_hash_only(app: Flask, clock: FakeClock) -> None:
    builders.contact("QH-1", NUMBER)
    erased(clock, "QH-1", by=Actor("chief"))
    entry = current_session().scalars(sa.select(AuditEntry).where(AuditEntry.action == "erase")).one()
    assert (entry.by, entry.facts["people"]) == ("chief", 1)
    assert [phone.is_erased(text) for text in entry.facts["numbers"]] == [True]


def test_two_contacts_with_one_number_are_erased_together(app: Flask, clock: FakeClock) -> None:
    builders.contact("a", NUMBER)
    builders.contact("b", NUMBER)
    stranger = builders.contact("c", "+8613700000009")
    assert [xwho for _, xwho in erasing.preview(["a"]).contacts] == ["a", "b"]
    erased(clock, "a")
    assert list(current_session().scalars(sa.select(Contact.id))) == [stranger.id]


def test_a_number_that_leads_to_very_many_people_is_refused(app: Flask, clock: FakeClock) -> None:
    for _ in range(erasing.MOST_TOGETHER + 1):
        builders.contact(phone=NUMBER)
    with pytest.raises(Refusal) as refusal:
        erasing.request([NUMBER], ADMIN, clock.now)
    assert refusal.value.problems[0].code == "erasure_shared"


@pytest.mark.parametrize(("texts", "code"), [([], "erasure_nobody"), (["nobody"], "erasure_unknown")])
def test_nobody_is_erased_by_mistake(app: Flask, clock: FakeClock, texts: list[str], code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        erasing.request(texts, ADMIN, clock.now)
    assert refusal.value.problems[0].code == code


def test_queued_messages_are_cancelled_and_the_sums_hold(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    numbers = [person.phones["$phone"] for person in builders.contacts(5)]
    _, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)

    erased(clock, numbers[2])

    assert reasons(run_id) == {("cancelled", CancelReason.ERASED): 1}
    work(app, clock)
    assert numbers[2] not in provider.numbers
    assert (funnel(run_id).accepted, recount(run_id)) == (4, {"accepted": 4, "cancelled": 1})
    whole()


def test_a_message_in_flight_ends_first_and_is_erased_by_the_next_pass(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    _, run_id, batch = in_hands(4, clock, "worker")
    number = batch.rows[1][1]

    erasure = erased(clock, number)

    assert (erasure.state, erasure.counts["in_flight"]) == (ErasureState.WAITING, 1)
    assert len(messages(number)) == 1
    clock.forward(minutes=5)
    sweeping.sweep(clock.now)
    erasing.erase_people(clock)
    assert erasing.get(erasure.id).state == ErasureState.DONE
    assert messages(number) == []
    assert traces.places_of(number[3:]) == {}
    assert recount(run_id) == {"unconfirmed": 4}
    whole()


def test_a_late_receipt_advances_the_message_of_an_erased_person(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    people = builders.contacts(3)
    numbers = [person.phones["$phone"] for person in people]
    _, run_id = confirmed(clock.now)
    work(app, clock)
    channel_id = current_session().scalars(sa.text("SELECT channel_id FROM run")).one()
    with writing() as session:
        session.add_all(
            ProviderRef(
                channel_id=channel_id,
                ref=f"P{seq % 2}",
                phone=number,
                run_id=run_id,
                seq=seq,
                at=int(clock.now.timestamp()),
            )
            for seq, number in enumerate(numbers, 1)
        )
    current_session().execute(
        sa.text("UPDATE message SET provider_ref = CASE WHEN seq % 2 = 1 THEN 'P1' ELSE 'P0' END")
    )
    current_session().commit()
    erased(clock, *numbers)

    # the same id for two people: the number, as the provider writes it, tells them apart
    apply(
        clock,
        Receipt(ReceiptStatus.DELIVERED, provider_ref="P1", phone=numbers[0][1:]),
        Receipt(ReceiptStatus.DELIVERED, provider_ref="P1", phone=numbers[2][3:]),
        Receipt(ReceiptStatus.DELIVERED, f"{run_id}-2"),
    )

    assert recount(run_id) == {"delivered": 3}
    assert traces.places_of(*(number[3:] for number in numbers)) == {}
    whole()


def marketing(clock: FakeClock) -> int:
    channel = builders.channel()
    template = builders.template(channel.id, purpose="marketing", text="优惠，拒收请回复R")
    _, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    return run_id


def left_out(run_id: int) -> dict[str, int]:
    rows = current_session().execute(
        sa.select(Exclusion.reason, sa.func.count()).where(Exclusion.run_id == run_id).group_by(Exclusion.reason)
    )
    return dict(iter(rows))


def test_opt_outs_and_caps_hold_for_erased_people_who_come_back(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    with writing() as session:
        session.execute(
            sa.text("INSERT INTO preference (name, value) VALUES ('frequency_caps', :value)"),
            {"value": '{"enabled": true, "per_day": 2}'},
        )
    people = builders.contacts(4)
    numbers = [person.phones["$phone"] for person in people]
    with writing() as session:
        opt_outs.record(session, numbers[0], OptOutSource.REPLY, clock.now)
    marketing(clock)
    work(app, clock)
    clock.forward(minutes=1)
    erased(clock, *numbers[:3])
    for number in numbers[:3]:
        builders.contact(phone=number)
    marketing(clock)
    work(app, clock)
    clock.forward(minutes=1)
    third = marketing(clock)
    work(app, clock)

    # once before and once after the erasure is twice, as for the one who was never erased
    assert left_out(third) == {ExclusionReason.OPTED_OUT: 1, ExclusionReason.FREQUENCY_CAP: 3}
    assert provider.numbers == {numbers[1]: 2, numbers[2]: 2, numbers[3]: 2}
    assert opt_outs.find(numbers[0]).source == OptOutSource.REPLY
    whole()


def test_what_an_erased_person_replies_is_acted_on_and_not_kept(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    (person,) = builders.contacts(1)
    number = person.phones["$phone"]
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    erased(clock, number)

    with writing() as session:
        replies.take(session, campaign.channel_id or 0, None, 0, Incoming(number, "TD"), clock.now)

    reply = current_session().scalars(sa.select(Reply)).one()
    assert (reply.text, reply.opt_out, reply.campaign_id) == ("", True, campaign.id)
    assert phone.is_erased(reply.phone)
    builders.contact(phone=number)
    segment = builders.segment()
    counts = audiences.counts(AudienceRule.of(segment.id), campaign.channel_id, now=clock.now)
    assert counts.left_out == {ExclusionReason.OPTED_OUT: 1}
    assert traces.places_of(number[3:]).keys() == {number[3:]}  # the contact that came back, and nothing else
    assert {place.split(".")[0] for place in traces.places_of(number[3:])[number[3:]]} == {"contact"}
    assert run_id


def test_unconfirmed_messages_of_erased_people_are_neither_asked_for_nor_sent_again(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    people = builders.contacts(2)
    provider.script = lambda _submission: OutcomeUnknown("cut")
    _, run_id = confirmed(clock.now)
    work(app, clock)
    provider.script = None
    erased(clock, people[0].xwho)

    unconfirmed.decide(run_id, Resolution.RESEND, ADMIN, clock.now)
    work(app, clock)

    assert provider.sent[f"{run_id}-1"] + provider.sent[f"{run_id}-2"] <= 3
    assert not any(phone.is_erased(number) for number in provider.numbers)
    assert recount(run_id) == {"unconfirmed": 1, "accepted": 1}
    whole()


def test_billed_parts_of_an_erased_message_are_those_of_its_text(app: Flask, clock: FakeClock) -> None:
    run = ledgers.run(ledgers.campaign(), [(Status.UNCONFIRMED, "worker_lost", "", 1)], {})
    message = current_session().get_one(Message, (run.id, 1))
    message.params = '["' + "很" * 90 + '"]'
    current_session().commit()
    erased(clock, message.phone)
    apply(clock, Receipt(ReceiptStatus.DELIVERED, f"{run.id}-1"))
    current_session().expire_all()
    assert current_session().get_one(Message, (run.id, 1)).parts == 2
    whole()


def test_a_pass_that_dies_is_made_again(app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    planted_everywhere(clock.now)
    erasure_id = erasing.request([DIGITS], ADMIN, clock.now)
    with monkeypatch.context() as patched:
        patched.setattr(persons, "hash_opt_outs", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erasing.erase_people(clock)
    current_session().rollback()
    erasing.erase_people(clock)
    assert erasing.get(erasure_id).state == ErasureState.WORKING  # the dead worker's lease still holds
    clock.forward(hours=1)
    erasing.erase_people(clock)
    assert erasing.get(erasure_id).state == ErasureState.DONE
    assert traces.places_of(DIGITS) == {}
    whole()


def test_what_names_an_erased_number_later_is_redacted(app: Flask, clock: FakeClock) -> None:
    planted_everywhere(clock.now)
    erased(clock, DIGITS)
    channel_id = current_session().scalars(sa.text("SELECT channel_id FROM run")).first()
    with writing() as session:
        session.add(BadRecord(at=clock.now, source="up", reason="x", raw=f'{{"p":"{DIGITS}"}}'))
        session.add(
            UnmatchedReceipt(channel_id=channel_id, at=clock.now, phone=NUMBER, status="delivered", provider_ref="new")
        )
    assert arrivals.redact(clock.now) == 2
    assert traces.places_of(DIGITS) == {}
    assert arrivals.redact(clock.now) == 0


def test_nothing_is_hashed_while_nobody_was_erased(app: Flask, clock: FakeClock) -> None:
    builders.contacts(1)
    described = audience.describe(AudienceRule.of(builders.segment().id), Choices(), clock.now)
    assert described.erased_key is None
    assert arrivals.redact(clock.now) == 0


def test_a_number_comes_back_with_its_own_contact(app: Flask, clock: FakeClock) -> None:
    builders.contact("QH-1", NUMBER)
    erased(clock, "QH-1")
    builders.contact("QH-1", NUMBER)
    arrivals.redact(clock.now)
    assert contact_rows.ids_of(current_session(), ["QH-1"])
