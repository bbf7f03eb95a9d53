"""A whole journey through every door, failures included: where planted secrets and numbers lie afterwards."""

from __future__ import annotations

import gzip
import io
import json
import logging
from collections.abc import Iterator

import pytest
import redis
from flask import Flask
from flask.testing import FlaskCliRunner
from openpyxl import Workbook

from smsapp.channels.errors import AccountError, NotSent
from smsapp.channels.types import Callback, SubmitRequest, SubmitResult
from smsapp.cli import supervision
from smsapp.domain.erasure import ErasureState
from smsapp.domain.outcome import Outcome
from smsapp.domain.roles import Role
from smsapp.services.apps import applying, uploads
from smsapp.services.channels import channel_secrets
from smsapp.services.contacts import import_rows, imports
from smsapp.services.platform import clock, users
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import arrivals, erasing
from smsapp.services.receipts import callback_inbox, consumer
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.db import Base, current_session
from smsapp.store.receipts import inbox
from smsapp.store.settings import settings
from tests import builders, traces
from tests.engine import confirmed, work
from tests.fakes import FakeChannel, FakeClock
from tests.pages import Pages

DIGITS = [f"139{n:08d}" for n in range(77_120_001, 77_120_009)]
"""Planted numbers: server key, file, workbook, browser, refused record, waiting file, opt-out, form that fails."""
PASSWORD, WRONG, SECRET, KEY = "Geheim-Karpfen-4711", "Falsch-Karpfen-4712", "channel-secret-4713", "appkey-4714-x"
MAY_HOLD_NUMBERS = {
    "contact.phones",
    "contact.properties",
    "contact.xwho",
    "message.phone",
    "message.params",
    "message.code",
    "channel_call.code",
    "unknown_code.code",
    "provider_ref.phone",
    "reply.phone",
    "opt_out.phone",
    "unmatched_receipt.phone",
    "bad_record.raw",
    "inbox.body",
    "inbox.query",
    "import.preview",
    "import.file_name",
    "upload.records",
}
"""Columns in which a number may lie in plain; its erasure empties all of them."""
MAY_HOLD_SECRETS = {"app_key.key", "bad_record.appid", "bad_record.raw", "upload.records"}
"""An AppKey names an app in each record, and every browser knows those of web pages; nothing else lies in plain."""
ADMIN = Actor("root")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that is logged at DEBUG."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


def echoing(submission: SubmitRequest) -> list[SubmitResult] | NotSent:
    """Refuse each message with a code that repeats its number."""
    return [
        SubmitResult(False, outcome=Outcome.UNKNOWN, code=f"bad {message.phone}") for message in submission.messages
    ]


def brought(content: bytes, name: str) -> None:
    row = imports.upload(io.BytesIO(content), name, ADMIN, clock.now())
    imports.recognise(row.id, clock.now())
    row = imports.found(row.id)
    preview = imports.preview(row)
    imports.start(row.id, imports.layout_of(preview.guesses, preview.header), imports.UNCHANGED, ADMIN, clock.now())
    import_rows.run(row.id, clock.now)


def workbook(number: str) -> bytes:
    book, file = Workbook(), io.BytesIO()
    assert book.active is not None
    for row in (["会员号", "手机号"], ["X-3", number]):
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def journey(app: Flask, client: Pages, runner: FlaskCliRunner, provider: FakeChannel, fake: FakeClock) -> list[str]:
    """Go through all doors; return the bodies of all error pages."""
    errors: list[str] = []
    ada = client.as_("administrator", locale="en")
    web = app.test_client()

    # people: a password that is set, one that is wrong
    users.create("chief", "主管", Role.OPERATOR, PASSWORD, ADMIN, fake.now)
    anonymous = Pages(app)
    page = anonymous.post("/sign-in", status=422, login="chief", password=WRONG)
    errors.append(str(page))
    errors.append(str(anonymous.post("/sign-in", login="chief", password=PASSWORD)))

    # a channel with a secret, and its account's error
    channel = builders.channel(name="演练", callback_token="tok-4715", secrets=channel_secrets.seal({"secret": SECRET}))
    provider.script = lambda _submission: AccountError("bad key")
    template = builders.template(channel.id, text="您好${name}")

    # /up: good, broken, of a browser, and refused
    app.extensions.pop(uploads.EXTENSION, None)
    current_session().add(AppKey(key=KEY, name="Demo", active=True, created_at=fake.now))
    current_session().add(AppKey(key=KEY + "b", name="Web", kind="browser", active=True, created_at=fake.now))
    current_session().commit()
    for key, who, number in ((KEY, "X-1", DIGITS[0]), (KEY + "b", "X-4", DIGITS[3]), (KEY, "", DIGITS[4])):
        record = {"appid": key, "xwho": who, "xwhat": "$profile_set", "xcontext": {"$phone": number, "name": "王五"}}
        web.post("/up", data=gzip.compress(json.dumps([record]).encode()))
    errors.append(web.post("/up", data=f'[{{"appid":"{KEY}","xwho":{DIGITS[0]}').get_data(as_text=True))
    applying.apply_waiting(clock.now())

    # files: imported, and one that waits; one that is no table
    brought(f"会员号,手机号\nX-2,{DIGITS[1]}\n".encode("gbk"), f"{DIGITS[1]}.csv")
    brought(workbook(DIGITS[2]), "members.xlsx")
    imports.recognise(
        imports.upload(io.BytesIO(f"会员号,手机号\nX-6,{DIGITS[5]}\n".encode()), "later.csv", ADMIN, fake.now).id,
        fake.now,
    )
    broken = imports.upload(io.BytesIO(b"\0\1\2" + DIGITS[5].encode()), "bad.bin", ADMIN, fake.now)
    imports.recognise(broken.id, fake.now)

    # pages that fail, and a page that breaks
    errors.append(str(ada.post("/replies/opt-outs/add", status=422, phone=f"{DIGITS[7]}9")))
    ada.raw.post("/replies/opt-outs/add", data={"phone": DIGITS[7]})
    runner.invoke(args=["optouts", "add", DIGITS[6]])
    runner.invoke(args=["contacts", "erase", "nobody", "--yes"])

    # a campaign: the account fails, then every message is refused with its number in the code
    mapping = {"name": {"property": "name", "fallback": "会员"}}
    confirmed(fake.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    work(app, fake)
    provider.script = echoing
    confirmed(fake.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    work(app, fake)

    # callbacks: with a number, broken, and to an address that nobody has
    callback_inbox.keep(channel.id, [Callback("GET", f"to={DIGITS[0]}", {}, b"")], fake.now)
    callback_inbox.keep(channel.id, [Callback("POST", "", {}, f'{{"to":"{DIGITS[1]}"}}'.encode())], fake.now)
    consumer.apply_callbacks(fake.now)
    errors.append(web.post("/callbacks/nobody", data=DIGITS[0]).get_data(as_text=True))
    errors.append(web.get(f"/no/such/page/{SECRET}"[:14]).get_data(as_text=True))
    return errors


def test_secrets_lie_nowhere_and_numbers_only_where_they_may_until_they_are_erased(
    app: Flask,
    client: Pages,
    runner: FlaskCliRunner,
    provider: FakeChannel,
    clock: FakeClock,
    valkey: redis.Redis,
    logged: pytest.LogCaptureFixture,
) -> None:
    errors = journey(app, client, runner, provider, clock)
    session_cookie = client.as_("operator").raw.get_cookie("smsapp")
    secrets = [PASSWORD, WRONG, SECRET, settings().SECRET_KEY, settings().ENCRYPTION_KEY]
    secrets += [session_cookie.value] if session_cookie else []

    # where the planted secrets lie
    assert traces.places_of(*secrets) == {}
    assert traces.places_of(KEY)[KEY] <= MAY_HOLD_SECRETS
    assert traces.files_with(*secrets) == {}
    assert traces.keys_with(valkey, *secrets, KEY) == {}
    assert not [secret for secret in [*secrets, KEY] if secret in logged.text]
    assert not [secret for secret in secrets for page in errors if secret in page]
    command_lines = supervision.configuration(settings(), 8000) + " ".join(supervision.valkey(settings()))
    assert not [secret for secret in secrets if secret in command_lines]

    # where the planted numbers lie
    numbers = traces.places_of(*DIGITS)
    assert len(numbers) >= 6
    assert set().union(*numbers.values()) <= MAY_HOLD_NUMBERS, numbers
    assert traces.keys_with(valkey, *DIGITS) == {}
    assert not [number for number in DIGITS if number in logged.text]
    assert not [number for number in DIGITS[:7] for page in errors if number in page]

    # and after their erasure nowhere
    erasure_id = erasing.request(DIGITS, ADMIN, clock.now)
    for _ in range(3):
        erasing.erase_people(clock)
    arrivals.redact(clock.now)
    assert erasing.get(erasure_id).state == ErasureState.DONE, erasing.get(erasure_id).counts
    assert traces.places_of(*DIGITS) == {}
    assert traces.files_with(*DIGITS) == {}
    assert traces.keys_with(valkey, *DIGITS) == {}
    assert not [number for number in DIGITS if number in logged.text]


def test_every_column_that_may_hold_something_exists(app: Flask) -> None:
    tables = [*Base.metadata.sorted_tables, *inbox.metadata.sorted_tables]
    names = {f"{table.name}.{column.name}" for table in tables for column in table.columns}
    assert names >= MAY_HOLD_NUMBERS | MAY_HOLD_SECRETS
