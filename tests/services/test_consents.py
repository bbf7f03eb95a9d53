"""Consents: recorded as history, asked for by campaigns, looked at again when a batch is claimed."""

from __future__ import annotations

import datetime as dt

import pytest
from flask import Flask

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.consent import ConsentProperty
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.run import CancelReason
from smsapp.domain.scope import EVERYTHING, Coverage, Scope
from smsapp.domain.trust import KeyKind, Origin, Source
from smsapp.services.apps import app_keys
from smsapp.services.contacts import consents
from smsapp.services.contacts.consents import Statement
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import opening
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.contacts import consents as store
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.replies import OptOut
from smsapp.store.contacts.successors import absorb
from smsapp.store.db import current_session, writing
from smsapp.store.users import AuditEntry
from tests import audiences, builders
from tests.engine import confirmed, funnel, reasons, work
from tests.fakes import FakeChannel, FakeClock
from tests.uploads import report

ACTOR = Actor("olga")
WORDS = "我同意接收青禾商城的营销短信"
MARKETING, OURS = Coverage(Scope.MARKETING), Coverage(Scope.SIGNATURE, ("青禾商城",))
NUMBERS = [builders.phone(n) for n in range(10)]


def say(number: str, given: bool, at: dt.datetime, coverage: Coverage = EVERYTHING) -> None:
    consents.record_of_number(number, Statement(given, WORDS, at, coverage), ACTOR, at)


def asking(clock: FakeClock, purpose: str = "marketing") -> tuple[Campaign, int]:
    channel = builders.channel()
    template = builders.template(channel.id, purpose=purpose)
    return confirmed(clock.now, channel_id=channel.id, template_id=template.id, consented_only=True)


def standing(number: str) -> list[tuple[bool, bool]]:
    current_session().expire_all()
    return [(row.given, row.current) for row in consents.of_number(number)]


@pytest.mark.parametrize(("purpose", "reached"), [("marketing", {0, 1, 2, 3}), ("notification", {0, 2, 3})])
def test_a_campaign_that_asks_for_consent_reaches_those_who_agreed_to_such_texts(
    app: Flask, provider: FakeChannel, clock: FakeClock, purpose: str, reached: set[int]
) -> None:
    # given people who agreed to everything, to marketing, to this signature, as a person; and others who did not
    builders.template(builders.channel().id)
    people = [builders.contact("", number) for number in NUMBERS[:8]]
    say(NUMBERS[0], True, clock.now)
    say(NUMBERS[1], True, clock.now, MARKETING)
    say(NUMBERS[2], True, clock.now, OURS)
    consents.record_of_contact(people[3].id, Statement(True, WORDS, clock.now), ACTOR, clock.now)
    say(NUMBERS[4], True, clock.now)
    say(NUMBERS[4], False, clock.now)
    consents.record_of_contact(people[5].id, Statement(True, WORDS, clock.now), ACTOR, clock.now)
    say(NUMBERS[5], False, clock.now)
    say(NUMBERS[6], True, clock.now)
    builders.kept(OptOut(phone=NUMBERS[6], source="person", at=clock.now))
    campaign, run_id = asking(clock, purpose)
    choices = (campaign.channel_id, campaign.template_id, campaign.mapping)
    before = audiences.counts(audience_of(campaign), *choices, now=clock.now, consented_only=True)
    # when
    work(app, clock)
    # then the others are left out with a reason of their own, after the opt-out
    assert set(provider.texts) == {NUMBERS[n] for n in reached}
    excluded = {ExclusionReason.OPTED_OUT: 1, ExclusionReason.NO_CONSENT: 7 - len(reached)}
    assert funnel(run_id).excluded == before.left_out == excluded


def test_who_withdraws_after_the_freeze_gets_nothing(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    people = builders.contacts(4)
    for row in people:
        say(row.phones["$phone"], True, clock.now)
    _campaign, run_id = asking(clock)
    opening.open_run(run_id, clock.now)
    # when people withdraw everything, marketing, and what this is not
    clock.forward(seconds=1)
    for row, coverage in zip(people, (EVERYTHING, MARKETING, OURS), strict=False):
        say(row.phones["$phone"], False, clock.now, coverage)
    work(app, clock)
    # then
    assert set(provider.texts) == {people[3].phones["$phone"]}
    assert reasons(run_id) == {("cancelled", CancelReason.NO_CONSENT): 3}
    assert funnel(run_id).accepted == 1


def test_a_campaign_that_does_not_ask_reaches_everybody(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    (row,) = builders.contacts(1)
    say(row.phones["$phone"], False, clock.now)
    confirmed(clock.now)
    work(app, clock)
    assert set(provider.texts) == {row.phones["$phone"]}


def test_the_latest_record_counts_whenever_it_is_recorded(app: Flask, clock: FakeClock) -> None:
    # given consent and its withdrawal
    say(NUMBERS[0], True, clock.now)
    clock.forward(days=2)
    say(NUMBERS[0], False, clock.now)
    assert standing(NUMBERS[0]) == [(False, True), (True, False)]
    # when a file brings an older consent, it is kept and does not count
    consents.take_file(f"phone,time\n{NUMBERS[0]},2020-01-01\n".encode(), WORDS, ACTOR, clock.now)
    assert standing(NUMBERS[0]) == [(True, False), (False, True), (True, False)]
    # and a new consent to a part leaves the withdrawal of everything in force
    clock.forward(days=1)
    say(NUMBERS[0], True, clock.now, MARKETING)
    assert standing(NUMBERS[0])[:3] == [(True, True), (True, False), (False, True)]
    say(NUMBERS[0], True, clock.now)
    assert [current for _given, current in standing(NUMBERS[0])] == [True, False, False, False, False]


def refused(statement: Statement, now: dt.datetime) -> set[str]:
    with pytest.raises(Refusal) as caught:
        consents.record_of_number(NUMBERS[0], statement, ACTOR, now)
    return {problem.code for problem in caught.value.problems}


def test_a_record_needs_words_a_past_moment_and_a_signature_of_ours(app: Flask, clock: FakeClock) -> None:
    later = clock.now + dt.timedelta(minutes=1)
    assert refused(Statement(True, " ", later), clock.now) == {"consent_words_missing", "consent_in_future"}
    assert refused(Statement(True, WORDS, clock.now, OURS), clock.now) == {"scope_signature_unknown"}
    with pytest.raises(NotFound):
        consents.record_of_contact(99, Statement(True, WORDS, clock.now), ACTOR, clock.now)
    say(NUMBERS[0], True, clock.now, MARKETING)
    line = builders.existing(current_session().query(AuditEntry).order_by(AuditEntry.id.desc()).first())
    assert (line.action, line.noun_id, line.facts) == ("consent", "138****0000", {"scope": "marketing"})


def test_a_file_brings_consents_and_tells_the_rows_that_it_cannot_read(app: Flask, clock: FakeClock) -> None:
    builders.contact("u1", NUMBERS[1])
    content = (
        "用户ID,手机号,同意,同意内容,时间,范围\n,13800138001,是,可以发,2026-01-02 10:00,营销\nu1,,yes,,,\n"
        ",13800138002,maybe,,,\nu2,,是,,,\n,12,是,,,\n,13800138003,是,,2999-01-01,\n,13800138004,是,,morgen,\n"
    )
    done = consents.take_file(content.encode(), WORDS, ACTOR, clock.now)
    assert (done.added, done.refused) == (2, 5)
    assert [(row, problem.code) for row, problem in sorted(done.complaints, key=lambda pair: pair[0])] == [
        (4, "consent_unreadable"),
        (5, "consent_contact_unknown"),
        (6, "number_unreadable"),
        (7, "consent_in_future"),
        (8, "consent_time_unreadable"),
    ]
    (row,) = consents.of_number("13800138001")
    assert (row.given, row.words, row.scope, row.source) == (True, "可以发", "marketing", "import")
    assert row.at == dt.datetime(2026, 1, 2, 2, tzinfo=dt.UTC)
    with pytest.raises(Refusal):
        consents.take_file("姓名\n张三\n".encode(), WORDS, ACTOR, clock.now)


def noted(xwho: str, value: object, origin: Origin, now: dt.datetime) -> int:
    """Let a contact have this value of the declared property, from this origin; return how many records were added."""
    row = builders.existing(current_session().query(Contact).filter_by(xwho=xwho).one_or_none())
    row.properties = row.properties | {"sms_ok": value}
    row.sources = row.sources | {"sms_ok": Source(origin, 3, now).as_text()}
    current_session().commit()
    with writing() as session:
        return store.note_values(session, builders.existing(consents.declared()), ["u1"], now)


def test_the_declared_property_gives_and_withdraws_consent_unless_anybody_could_have_sent_it(
    app: Flask, clock: FakeClock
) -> None:
    builders.known_property("sms_ok", "bool")
    builders.known_property("name")
    contact = builders.contact("u1", NUMBERS[0])
    for declaration in (ConsentProperty("name", WORDS), ConsentProperty("sms_ok", " ")):
        with pytest.raises(Refusal):
            consents.declare(declaration, ACTOR, clock.now)
    consents.declare(ConsentProperty("sms_ok", WORDS, MARKETING), ACTOR, clock.now)
    steps = [
        (True, Origin.BROWSER, 0),
        (True, Origin.SERVER, 1),
        (True, Origin.SERVER, 0),
        (False, Origin.BROWSER, 1),
        (True, Origin.IMPORT, 1),
        (True, Origin.APP, 1),
    ]
    for value, origin, added in steps:
        clock.forward(minutes=1)
        assert noted("u1", value, origin, clock.now) == added
    current_session().expire_all()
    rows = consents.of_contact(contact)
    assert [(row.given, row.current) for row in rows] == [(False, True), (True, False), (False, False), (True, False)]
    assert (rows[1].words, rows[1].scope, rows[1].source, rows[1].by) == (WORDS, "marketing", "property", "import 3")
    consents.declare(None, ACTOR, clock.now)
    assert consents.declared() is None


def test_consents_stay_with_a_person_who_signs_in(app: Flask, clock: FakeClock) -> None:
    anonymous, person = builders.contact("a1"), builders.contact("u1", NUMBERS[0])
    consents.record_of_contact(anonymous.id, Statement(True, WORDS, clock.now), ACTOR, clock.now)
    with writing() as session:
        absorb(session, {"a1": "u1"})
    assert [row.given for row in consents.of_contact(person)] == [True]


def test_what_keys_report_is_recorded_as_it_is_applied(app: Flask, now: dt.datetime) -> None:
    # given a declared property, and a server and a browser key
    builders.known_property("sms_ok", "bool")
    consents.declare(ConsentProperty("sms_ok", WORDS), ACTOR, now)
    server = app_keys.create("会员系统", KeyKind.SERVER, ACTOR, now)
    browser = app_keys.create("商城网站", KeyKind.BROWSER, ACTOR, now)

    def reported(key: AppKey, what: str = "$profile_set", **context: object) -> list[tuple[str, bool]]:
        report(
            [{"appid": key.key, "xwho": "u1", "xwhat": what, "xcontext": {"$is_login": True, **context}}], key.key, now
        )
        current_session().expire_all()
        return [(row.by, row.given) for row in consents.of_contact(current_session().query(Contact).one())]

    # when both say that a person agrees, the page first, then the server; then the server unsets it
    assert reported(browser, sms_ok=True) == []
    given = (f"server {server.id}", True)
    assert reported(server, sms_ok=True, vip=True) == [given]
    assert reported(server, vip=False) == [given]
    assert reported(server, "$profile_unset", sms_ok="") == [("", False), given]
