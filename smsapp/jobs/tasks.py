"""What RQ runs, by dotted name: three lines each. A job carries ids only and may come twice or never."""

from __future__ import annotations

from flask import current_app

from smsapp.services.apps import uploads
from smsapp.services.channels import call_log
from smsapp.services.contacts import contacts, import_rows, imports, properties
from smsapp.services.platform import clock
from smsapp.services.receipts import consumer, opt_out_confirmations, status_queries, unmatched
from smsapp.services.sending import channel_tests, lifecycle, retention, sender
from smsapp.services.templates import template_sync


def send(_run_id: int) -> None:
    """Work one sender: it freezes and sends whatever run may be sent, not only the one that rang."""
    sender.send(current_app._get_current_object(), clock.now)  # type: ignore[attr-defined]


def start(campaign_id: int) -> None:
    """Open the run of a campaign whose time has come."""
    lifecycle.start(campaign_id, clock.now())


def sweep() -> None:
    """Put right whatever Redis lost and whoever died left behind."""
    lifecycle.sweep(clock.now())
    consumer.retry_unmatched(clock.now())
    imports.sweep(clock.now())


def keep_reading() -> None:
    """Read stored callbacks, and those that come meanwhile."""
    consumer.keep_reading(clock.now)


def apply_uploads() -> None:
    """Apply what apps have reported, and what they report meanwhile."""
    uploads.keep_applying(clock.now)


def ask_providers() -> None:
    """Fetch what waits at providers that have to be asked."""
    consumer.ask_providers(clock.now())


def query_unconfirmed() -> None:
    """Ask providers that can be asked what became of messages whose answer was lost."""
    status_queries.query_status(clock.now())


def import_contacts(import_id: int) -> None:
    """Take the rows of an uploaded file that are not in yet."""
    import_rows.run(import_id, clock.now)


def recognise_import(import_id: int) -> None:
    """Find out what an uploaded file is."""
    imports.recognise(import_id, clock.now())


def rebuild_phones(name: str) -> None:
    """Read the numbers of a phone property anew."""
    contacts.rebuild_phones(name)


def sweep_properties() -> None:
    """Ring again for changes of properties that are not done."""
    properties.sweep()


def change_property(change_id: int) -> None:
    """Convert, merge or remove a property of all contacts."""
    properties.run(change_id, clock.now)


def forget_bad_records() -> None:
    """Remove refused records after seven days."""
    contacts.forget_bad_records(clock.now())


def forget_callbacks() -> None:
    """Remove callbacks that are older than they need to be."""
    consumer.forget_old(clock.now())


def delete_old_unmatched() -> None:
    """Remove receipts that name no message once they are old, or too many."""
    unmatched.forget(clock.now())


def forget_messages() -> None:
    """Remove single messages that are older than they need to be."""
    retention.forget_messages(clock.now())


def ask_balances() -> None:
    """Ask what is left on the accounts that tell it."""
    channel_tests.ask_balances(clock.now())


def confirm_opt_outs() -> None:
    """Tell people that their opt-outs were understood."""
    opt_out_confirmations.send_due(clock.now())


def sync_templates() -> None:
    """Compare templates with what their providers list."""
    template_sync.sync_all(clock.now())


def forget_calls() -> None:
    """Cut the logs of calls and the hours to their length."""
    call_log.forget_old(clock.now())
