"""`flask channels`: what is configured, whether it answers, and a test message."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from flask_babel import gettext as _

from smsapp.cli.output import CommandGroup, Shown, echo, failure, listed
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.outcome import CallResult
from smsapp.labels import channels as words
from smsapp.labels.channels import told
from smsapp.services.channels import accounts, callback_addresses, channel_health, channel_secrets, registry
from smsapp.services.channels.account_calls import TestResult
from smsapp.services.channels.channel_health import Pace
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import channel_tests
from smsapp.services.sending.channel_tests import TestText
from smsapp.services.templates import sms_templates
from smsapp.shapes import setup

if TYPE_CHECKING:
    from smsapp.store.channels.channels import ChannelRow

command = CommandGroup("channels", help="Accounts at providers.")

BY = Actor("flask channels")


def _result_line(trial: TestResult) -> str:
    return told(trial.result, trial.outcome, trial.code, trial.provider_ref)


def _show(trial: TestResult, good: str) -> None:
    if not trial.ok:
        raise failure(_result_line(trial))
    echo(f"{good} ({trial.seconds:.1f} s)")


def _facts(row: ChannelRow) -> Iterator[str]:
    """Yield the essentials of the channel's page, a line each."""
    health, pace = channel_health.health(row.id, clock.now()), channel_health.pace(row, clock.now())
    success = health.last_success.astimezone().isoformat(" ", "seconds") if health.last_success else "none in 30 days"
    yield f"last success: {success}"
    for (result, reason), n in health.day.most_common():
        yield f"24 hours: {n} {words.failure(result, reason) if result != CallResult.OK else _('Accepted')}"
    yield f"receipts missing: {health.waiting} (accepted more than {channel_health.LATE_HOURS} hours ago)"
    shared = f"{len(pace.campaigns)} campaigns sending"
    if pace.learned:
        yield _learned(pace)
    used = "?" if pace.in_use is None else pace.in_use
    yield f"rate: {used} of {pace.limit} per second, {shared}" if pace.limit else f"rate: unlimited, {shared}"


def _balance(row: ChannelRow) -> Iterator[str]:
    if row.balance_at:
        low = " (low)" if row.is_low else ""
        yield f"balance: {words.left(row.balance, row.balance_currency)}{low}"


def _learned(pace: Pace) -> str:
    return f"learned pace: {pace.learned} per second, since the provider asked to slow down"


@command.command("list", shows=True)
def list_channels() -> Shown:
    """Print one line per channel: id, kind, state, result of the last check, name."""
    return listed(
        accounts.everything(),
        lambda row: setup.channel(row) | {"check_result": row.check_result},
        lambda row: "\t".join(
            (str(row.id), row.kind, "active" if row.active else "off", row.check_result or "never checked", row.name)
        ),
    )


@command.command("health", shows=True)
@click.argument("name")
def health(name: str) -> Shown:
    """Print how channel NAME does, without asking its provider: results of a day, missing receipts, rate.

    Example: flask channels health "Kannel"
    """
    row = accounts.by_name(name)
    return Shown(setup.health(row, clock.now()), _facts(row))


@command.command("check")
@click.argument("name")
def check(name: str) -> None:
    """Ask the provider whether the account of channel NAME answers; sends no message. Exit code 1 if it does not.

    Also says what is known of the channel: last success, failures, missing receipts, balance, rate in use.

    Example: flask channels check "Kannel"
    """
    row = accounts.by_name(name)
    lines = list(_facts(row))  # before this check, which would count as one of the calls
    trial = channel_tests.test_credentials(row.id, BY, clock.now())
    if registry.tells_balance(row):
        channel_tests.ask_balance(row.id, clock.now())
        lines += _balance(accounts.row(row.id))
    for line in lines:
        echo(line)
    _show(trial, f"{_('The account answers.')} {_(trial.text) if trial.text else ''}".strip())


@command.command("test")
@click.argument("name")
@click.argument("phone")
@click.option(
    "--text", default="【测试】这是一条测试短信。", show_default=True, help="What to send, with its signature."
)
@click.option("--template", "code", help="Code of an approved template of the channel to send instead.")
@click.option("--value", "values", multiple=True, metavar="NAME=TEXT", help="Fill a variable of it; repeat it.")
def test(name: str, phone: str, text: str, code: str | None, values: tuple[str, ...]) -> None:
    """Really send one message through channel NAME to PHONE. Exit code 1 if it was not accepted.

    Providers that take only templates they have approved need one.

    Example: flask channels test "Kannel" +8613800138000

    Example: flask channels test "Shop" 13800138000 --template SMS_1 --value name=Wei
    """
    row = accounts.by_name(name)
    trial_text = TestText(text) if code is None else _template(row, code, values)
    pace = channel_health.pace(row, clock.now())
    if pace.learned:
        echo(_learned(pace))
    trial = channel_tests.test_send(row.id, phone, trial_text, BY, clock.now())
    _show(trial, _result_line(trial))


def _template(row: ChannelRow, code: str, values: tuple[str, ...]) -> TestText:
    """Return the test by a template; raises Refusal for an unknown code or a value that is not NAME=TEXT."""
    template = next((choice for choice in sms_templates.choices(row.id) if choice.code == code), None)
    if template is None:
        raise Refusal(Problem("test_template_missing", "template"))
    pairs = [value.partition("=") for value in values]
    if unread := [name for name, sign, _text in pairs if not sign]:
        raise Refusal(Problem("test_value_unread", facts={"words": unread[0]}))
    return TestText(template_id=template.id, values={name: text for name, _sign, text in pairs})


@command.command("rotate-callback")
@click.argument("name")
@click.option("--at-once", is_flag=True, help="The old address ends now; without this it is taken for 24 more hours.")
def rotate_callback(name: str, at_once: bool) -> None:
    """Give channel NAME another callback address and print it: enter it in the provider's console.

    Example: flask channels rotate-callback "Kannel"
    """
    grace = dt.timedelta() if at_once else callback_addresses.GRACE
    echo(callback_addresses.rotate(accounts.by_name(name).id, BY, clock.now(), grace))


@command.command("rotate")
def rotate() -> None:
    """Encrypt all secrets with the first key of ENCRYPTION_KEY; then the keys behind it may go."""
    channels, factors = channel_secrets.rotate(BY, clock.now())
    echo(f"{channels} channels have secrets, {factors} people a second factor; all are encrypted with the newest key.")
