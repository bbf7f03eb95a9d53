"""Webhooks: programs of the organisation that hear what has happened; how they are kept, and what was sent to them."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from smsapp.channels.errors import AccountError
from smsapp.channels.http import HttpClient
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.webhook import OFFERED, SECRET_BYTES, SECRET_PREFIX, EventKind
from smsapp.services.platform import audit_log, keyset_page, sealing
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.services.platform.sealing import Sealed
from smsapp.store.apps import webhook_outbox
from smsapp.store.apps import webhooks as store
from smsapp.store.apps.webhooks import Webhook, WebhookDelivery, WebhookEvent
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.settings import settings

NOUN = "webhook"
MOST_NAME, MOST_URL = 120, 1000
LINES, AT_ONCE = 50, 1000
UNUSABLE = {
    "address_unreadable": "webhook_address_unreadable",
    "address_not_allowed": "webhook_address_not_allowed",
    "plain_http": "webhook_plain_http",
}
"""Code of the HTTP client -> the problem that says what to do."""

WebhookRow = Webhook
LoggedDelivery = tuple[WebhookDelivery, WebhookEvent]


def listed() -> Sequence[Webhook]:
    """Return all webhooks, the oldest first."""
    return store.listed(current_session())


def unreachable(before: dt.datetime) -> list[Webhook]:
    """Return the webhooks that have taken no event since that moment although there were some, and those that their
    receivers have had switched off."""
    failing = [webhook for webhook in listed() if webhook.failing_since]
    return [webhook for webhook in failing if not webhook.active or (webhook.failing_since or before) < before]


def row(webhook_id: int) -> Webhook:
    """Return the webhook; raise NotFound."""
    webhook = current_session().get(Webhook, webhook_id)
    if webhook is None:
        raise NotFound(NOUN)
    return webhook


def create(name: str, url: str, kinds: Collection[str], by: Actor, now: dt.datetime) -> tuple[Webhook, str]:
    """Make a webhook; return it and its secret, which is shown this once. Raises Refusal."""
    require(by, Right.KEYS_WRITE)
    secret = _new_secret()
    webhook = Webhook(secret=sealing.seal({"secret": secret}), active=True, created_at=now)
    with writing() as session:
        _describe(webhook, name, url, kinds)
        session.add(webhook)
        session.flush()
        audit_log.log_action(session, by, "create", NOUN, webhook.id, now, name=webhook.name, host=host(webhook))
    return webhook, secret


def change(webhook_id: int, name: str, url: str, kinds: Collection[str], by: Actor, now: dt.datetime) -> Webhook:
    """Give a webhook another name, address or other kinds of events. Raises Refusal."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        webhook = _locked(session, webhook_id)
        _describe(webhook, name, url, kinds)
        audit_log.log_action(session, by, "change", NOUN, webhook.id, now, name=webhook.name, host=host(webhook))
    return webhook


def switch(webhook_id: int, active: bool, by: Actor, now: dt.datetime) -> Webhook:
    """Switch a webhook on or off. What waits for it goes on waiting; while it is off no new events wait for it."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        webhook = _locked(session, webhook_id)
        webhook.failing_since = None
        if webhook.active is not active:
            webhook.active = active
            action = "enable" if active else "disable"
            audit_log.log_action(session, by, action, NOUN, webhook.id, now, name=webhook.name)
    return webhook


def remove(webhook_id: int, by: Actor, now: dt.datetime) -> None:
    """Remove a webhook with its log and what waits for it.

    In several transactions: nobody who writes an event waits while a long log is removed.
    """
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        webhook = _locked(session, webhook_id)
        webhook.active = False
        audit_log.log_action(session, by, "delete", NOUN, webhook.id, now, name=webhook.name)
    removed = AT_ONCE
    while removed == AT_ONCE:
        with writing() as session:
            removed = store.remove_some(session, webhook_id, AT_ONCE)
    with writing() as session:
        session.delete(_locked(session, webhook_id))


def renew_secret(webhook_id: int, by: Actor, now: dt.datetime) -> str:
    """Replace the secret at once; return the new one, which is shown this once."""
    require(by, Right.KEYS_WRITE)
    secret = _new_secret()
    with writing() as session:
        webhook = _locked(session, webhook_id)
        webhook.secret = sealing.seal({"secret": secret})
        audit_log.log_action(session, by, "make_secret", NOUN, webhook.id, now, name=webhook.name)
    return secret


def try_out(webhook_id: int, by: Actor, now: dt.datetime) -> None:
    """Send a test event to this webhook; the log shows what became of it."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        webhook = _locked(session, webhook_id)
        event_id = store.add(session, EventKind.TEST, secrets.token_hex(12), {"name": webhook.name}, now)
        store.address(session, event_id, [webhook.id], None, now)
        webhook_outbox.have_sent(session)


def send_anew(webhook_id: int, event_id: int, by: Actor, now: dt.datetime) -> None:
    """Send one event anew. Raises NotFound."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        if not store.send_anew(session, _locked(session, webhook_id).id, now, store.of_event(event_id)):
            raise NotFound(NOUN)
        webhook_outbox.have_sent(session)


def send_since(webhook_id: int, moment: dt.datetime, by: Actor, now: dt.datetime) -> int:
    """Send every event anew that happened then or later, in their order; return how many."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        webhook = _locked(session, webhook_id)
        n = store.send_anew(session, webhook.id, now, store.since(moment))
        facts = {"name": webhook.name, "since": moment.isoformat(), "events": n}
        audit_log.log_action(session, by, "send_anew", NOUN, webhook.id, now, **facts)
        webhook_outbox.have_sent(session)
    return n


def log(webhook_id: int, before: int | None = None) -> KeysetPage[LoggedDelivery, int]:
    """Return a page of what was sent to a webhook, newest first."""
    rows = store.log_rows(current_session(), webhook_id, before, LINES + 1)
    return keyset_page.cut(rows, LINES, lambda line: line[1].id)


def host(webhook: Webhook) -> str:
    """Return the host of a webhook's address; the rest may hold a secret of its receiver."""
    return urlsplit(webhook.url).hostname or ""


def secret_of(webhook: Webhook) -> str | None:
    """Return the secret of a webhook; None if the application's keys do not open it any more."""
    try:
        return sealing.unseal(webhook.secret)["secret"]
    except Sealed:
        return None


def seal_all_anew(session: Session) -> int:
    """Encrypt the secrets of all webhooks with the newest key of the application; return how many. Raises Sealed."""
    webhooks = store.listed(session)
    for webhook in webhooks:
        webhook.secret = sealing.seal_anew(webhook.secret)
    return len(webhooks)


def _locked(session: Session, webhook_id: int) -> Webhook:
    webhook = lock_row(session, Webhook, webhook_id, key_share=True)
    if webhook is None:
        raise NotFound(NOUN)
    return webhook


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _describe(webhook: Webhook, name: str, url: str, kinds: Collection[str]) -> None:
    name, url = name.strip(), url.strip()
    problems = []
    if not name or len(name) > MOST_NAME:
        problems.append(Problem("webhook_name", "name", {"most": MOST_NAME}))
    if (wrong := _wrong_with(url)) is not None:
        problems.append(wrong)
    chosen = [kind for kind in OFFERED if kind in kinds]
    if not chosen:
        problems.append(Problem("webhook_kinds", "kinds"))
    if problems:
        raise Refusal(*problems)
    webhook.name, webhook.url, webhook.kinds = name, url, [kind.value for kind in chosen]


def _wrong_with(url: str) -> Problem | None:
    """Return why events cannot be sent to this address, as far as it tells; its host is checked again in each try."""
    try:
        is_whole = bool(url) and len(url) <= MOST_URL and url.isascii() and urlsplit(url).username is None
    except ValueError:
        is_whole = False
    if not is_whole:
        return Problem("webhook_url", "address")
    try:
        HttpClient(settings().ALLOWED_PRIVATE_HOSTS).check(url)
    except AccountError as error:
        return Problem(UNUSABLE.get(error.code, "webhook_url"), "address")
    return None
