"""Tasks that RQ runs by dotted name, three lines each. A job carries only ids and may run twice or never."""

from __future__ import annotations

from flask import current_app

from smsapp.services.apps import applying, key_undo, key_watch, webhook_delivery
from smsapp.services.campaigns import rehearsals
from smsapp.services.channels import phone_properties, provider_calls
from smsapp.services.contacts import import_rows, imports, properties
from smsapp.services.monitoring import health
from smsapp.services.platform import clock, failed_sign_ins
from smsapp.services.privacy import arrivals, erasing, retention
from smsapp.services.receipts import consumer, polling, status_queries, unmatched, unmatched_retry
from smsapp.services.sending import (
    channel_tests,
    opt_out_confirmations,
    proof_sending,
    recovery,
    sender,
    starting,
    sweeping,
)
from smsapp.services.templates import template_sync


def send(_run_id: int) -> None:
    """Run one sender: it freezes and sends any run that may be sent, not only the one that enqueued it."""
    sender.send(current_app._get_current_object(), clock.now)  # type: ignore[attr-defined]


def plan_messages() -> None:
    """Run one sender: it plans single messages before it sends."""
    sender.send(current_app._get_current_object(), clock.now)  # type: ignore[attr-defined]


def start(campaign_id: int) -> None:
    """Open the run of a campaign whose time has come."""
    starting.start(campaign_id, clock.now())


def rehearse(campaign_id: int) -> None:
    """Render every text of a campaign before it is confirmed."""
    rehearsals.run(campaign_id, clock.now)


def sweep() -> None:
    """Resume what Redis has lost or a dead process has left unfinished."""
    sweeping.sweep(clock.now())
    unmatched_retry.retry(clock.now())
    imports.sweep(clock.now())


def check_numbers() -> None:
    """Check that the numbers of the latest runs add up, for monitoring."""
    health.note_numbers(clock.now())


def keep_reading() -> None:
    """Read stored callbacks, also those that arrive meanwhile."""
    consumer.keep_reading(clock.now)


def apply_uploads() -> None:
    """Apply what apps have reported, and what they report meanwhile."""
    applying.keep_applying(clock.now)


def undo_key(undo_id: int) -> None:
    """Count or undo what an AppKey did."""
    key_undo.run(undo_id, clock.now)


def watch_keys() -> None:
    """Raise alarms of unusual hours of AppKeys, and go on with undos that a dead worker left."""
    key_undo.resume()
    key_watch.look(clock.now())


def forget_key_tallies() -> None:
    """Trim what is kept of what AppKeys did."""
    key_watch.forget_old(clock.now())


def ask_providers() -> None:
    """Fetch what waits at providers that must be polled."""
    polling.ask_providers(clock.now())


def query_unconfirmed() -> None:
    """Query the status of unconfirmed messages at providers that support it."""
    status_queries.query_status(clock.now())


def import_contacts(import_id: int) -> None:
    """Import the rows of an uploaded file that are not imported yet."""
    import_rows.run(import_id, clock.now)


def recognise_import(import_id: int) -> None:
    """Recognise the format of an uploaded file."""
    imports.recognise(import_id, clock.now())


def rebuild_phones(name: str) -> None:
    """Parse the numbers of a phone property again."""
    phone_properties.rebuild_phones(name)


def sweep_properties() -> None:
    """Enqueue unfinished changes of properties again."""
    properties.sweep()


def change_property(change_id: int) -> None:
    """Convert, merge or remove a property of all contacts."""
    properties.run(change_id, clock.now)


def trim_unmatched() -> None:
    """Remove unmatched receipts that are too many."""
    unmatched.forget()


def purge_old() -> None:
    """Remove what is older than the rules of retention say."""
    retention.purge(clock.now())


def ask_balances() -> None:
    """Query the balances of accounts whose provider reports them."""
    channel_tests.ask_balances(clock.now())


def confirm_opt_outs() -> None:
    """Send the confirmations of opt-outs that are due."""
    opt_out_confirmations.send_due(clock.now())


def send_proofs() -> None:
    """Send what waits for the test group: proofs, and the seeds of runs that have begun."""
    proof_sending.send_due(clock.now)


def sync_templates() -> None:
    """Compare templates with what their providers list."""
    template_sync.sync_all(clock.now())


def erase_people() -> None:
    """Go on with erasures, and redact what names erased people since."""
    erasing.erase_people(clock.now)
    arrivals.redact(clock.now())


def deliver_webhooks() -> None:
    """Send events to webhooks."""
    webhook_delivery.deliver(clock.now)


def log_failed_sign_ins() -> None:
    """Log failed attempts to sign in that were counted in the last hour."""
    failed_sign_ins.log_counted(clock.now())


def forget_calls() -> None:
    """Trim the logs of calls, the hourly counts and the journal."""
    provider_calls.forget_old(clock.now())
    recovery.forget_old(clock.now())
