"""Words of channels, their settings and their tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import format_decimal, get_locale, ngettext
from flask_babel import gettext as _

from smsapp.domain.numbering import NumberClass
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.labels import outcomes
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "channel_kind_unknown": _l(
        "This product has no kind of channel called %(kind)s (any more). Install the version that has it."
    ),
    "channel_secrets_locked": _l(
        "The secrets of this channel cannot be decrypted: ENCRYPTION_KEY is not the one they were saved with. Set the "
        "old key behind the new one, or enter the secrets again."
    ),
    "channel_tells_no_balance": _l("This account does not tell what is left on it."),
    "channel_used": _l("Something was done with this channel, so it stays for the record. Switch it off instead."),
    "channel_name_missing": _l("Give the channel a name by which operators know it."),
    "channel_name_long": _l("A name has at most 120 characters."),
    "channel_name_taken": _l("Another channel has this name. Choose another one."),
    "channel_phone_property": _l("Choose a property that holds text."),
    "channel_country": _l("A country is written with two letters such as CN."),
    "channel_number_limits": _l(
        "This cannot be read: %(words)s. Write one limit a line, such as +44: 100 or others: 0; at most %(most)s."
    ),
    "channel_countries": _l(
        "“%(words)s” names no country. Write two letters such as CN or HK, or a code such as +852."
    ),
    "test_number_not_allowed": _l(
        "This channel does not write to numbers of this kind or country. Choose another one, or change the channel."
    ),
    "channel_rate": _l("A whole number from 1 to 100,000; empty means as fast as the provider takes them."),
    "channel_quiet_time": _l("A time such as 21:00."),
    "channel_price": _l("A price from 0 to 100,000."),
    "channel_balance_low": _l("A number from 0; empty means no warning."),
    "balance_low": _l("The account of this channel has little left. Top it up, or the run will stop half way."),
    "channel_currency": _l("Three letters such as CNY."),
    "setting_missing": _l("Please fill this in."),
    "setting_number": _l("This must be a number."),
    "setting_whole_number": _l("This must be a whole number."),
    "setting_pattern": _l("This is not written as the provider writes it. Write it like %(example)s."),
    "address_unencrypted": _l(
        "%(host)s would be called without encryption: passwords and numbers could be read on the way. Use an encrypted "
        "address, permit it in the settings below if the kind offers that, or name the host in ALLOWED_PRIVATE_HOSTS "
        "if it is your own."
    ),
    "channel_settings_unread": _l(
        "The settings of the channel %(name)s cannot be read by this version. Edit the channel and save it again."
    ),
    "setting_range": _l("From %(low)s to %(high)s."),
    "setting_choice": _l("Choose one of the offered values."),
    "setting_region": _l("A region is written like us-east-1."),
    "setting_topic": _l("%(line)s is not a topic. Write an ARN such as arn:aws:sns:us-east-1:123456789012:receipts."),
    "gateway_placeholder": _l("Nothing is filled in for %(placeholder)s here. See the list of placeholders."),
    "setting_address": _l("An address begins with https:// or http:// and names a host without placeholders."),
    "setting_host_and_port": _l("An address names a host and a port, like %(example)s."),
    "gateway_place": _l(
        "This cannot be read: %(line)s. Write a JSON path such as $.data.id or a regular expression between slashes."
    ),
    "gateway_rule": _l("This rule cannot be read: %(line)s. Write for example: 403 /text/ = misconfigured credentials"),
    "setting_outcome": _l("This line cannot be read: %(line)s. Write for example: EXPIRED = expired"),
    "simulator_template": _l(
        "This line cannot be read: %(line)s. Write for example: T1 | approved | marketing | 【Shop】Sale. 拒收请回复R"
    ),
    "gateway_header": _l("This header cannot be read: %(line)s. Write Name: value"),
    "gateway_batch_phone": _l("With several numbers per request a receipt must say which number it is about."),
    "callback_refused": _l("The signature of this callback is wrong."),
    "callbacks_full": _l("Too many callbacks of this channel wait to be read. The provider has to come again."),
    "callback_unclear": _l("Whether this callback is genuine cannot be found out at the moment."),
    "test_number_unreadable": _l("No phone number can be read from this. Write it with its country code, or +86."),
    "test_number_opted_out": _l("This number is on the opt-out list. Nobody may write to it; choose another one."),
    "test_send_often": _l(
        "You sent %(most)s test messages within an hour. Wait a little; campaigns have no such limit."
    ),
    "secret_again": _l("The address changed to %(host)s. Type this again, so that it goes nowhere unintended."),
    "test_text_missing": _l("Write the text to send."),
    "test_template_missing": _l(
        "This provider takes only templates that it has approved. Choose an approved template of this channel."
    ),
    "test_value_missing": _l("Fill in a value for the variable %(variable)s."),
    "test_value_unread": _l("Write a value as NAME=TEXT, not %(words)s."),
    "test_value_unknown": _l("The template has no variable %(variable)s."),
}

CLASSES = {
    NumberClass.LANDLINE: _l("Landline"),
    NumberClass.OTHER: _l("Other numbers"),
    NumberClass.PAGER: _l("Pager"),
    NumberClass.PREMIUM: _l("Premium rate"),
    NumberClass.SATELLITE: _l("Satellite"),
    NumberClass.SHARED_COST: _l("Shared cost"),
    NumberClass.TOLL_FREE: _l("Toll-free"),
    NumberClass.VOIP: _l("Internet telephony"),
}


def country(region: str) -> str:
    """Return the name of a country or region in the reader's language, with its code."""
    if region == "001":
        return str(_("International services"))
    return f"{get_locale().territories.get(region, region)} ({region})"


TROUBLE: dict[CallResult, Any] = {
    CallResult.REFUSED: _l("The provider refused the message."),
    CallResult.NOT_SENT: _l("The provider could not be reached; nothing was sent."),
    CallResult.THROTTLED: _l("The provider asks to slow down; nothing was sent. Try again in a moment."),
    CallResult.ACCOUNT_ERROR: _l("The provider does not accept the account or the settings; nothing was sent."),
    CallResult.OUTCOME_UNKNOWN: _l("The request left, but no clear answer came back. The message may have been sent."),
    CallResult.UNTESTED: _l("This account cannot be checked; verify it with a test message."),
}

LABELS = {
    CallResult.REFUSED: _l("message refused"),
    CallResult.OK: _l("answers"),
    CallResult.NOT_SENT: _l("not reachable"),
    CallResult.THROTTLED: _l("too fast"),
    CallResult.ACCOUNT_ERROR: _l("settings refused"),
    CallResult.OUTCOME_UNKNOWN: _l("no clear answer"),
    CallResult.UNTESTED: _l("cannot be checked"),
}

CODES: dict[str, Any] = {
    "address_not_allowed": _l(
        "The address lies in a private network. If it is meant, name the host in ALLOWED_PRIVATE_HOSTS."
    ),
    "plain_http": _l("The address is http:// to a public host. Use https://, or allow it in the settings."),
    "plain_connection": _l(
        "The address is an unencrypted one of a public host. Use an encrypted one, or allow it in the settings."
    ),
    "not_connected": _l("The connection does not stand. Is a process running that holds it (worker.py connect)?"),
    "closed": _l("The connection was closed before anything left."),
    "bound_already": _l(
        "The account permits no further connection; the process that sends may hold the only one. Switch the channel "
        "off for the test, or send a campaign to one person."
    ),
    "address_unreadable": _l("The address cannot be read. It begins with https:// and names a host."),
    "name_not_found": _l("The host's name is not known. Check the address."),
    "connect": _l("Nobody listens at this address. Check host and port, and whether the gateway runs."),
    "connect_timeout": _l("The host does not answer. Check the address and the firewall."),
    "tls_certificate": _l("The host's certificate is not valid for this address."),
    "tls": _l("No encrypted connection could be made. Is it really https?"),
    "timeout": _l("The answer took too long."),
    "cut": _l("The connection was cut before the answer was complete."),
    "unreadable": _l("The answer is not what this kind of gateway says. Check the address and the sign of acceptance."),
}
"""What can be done about the client's own codes."""


WHAT = {
    "send": _l("Campaign"),
    "test": _l("Test message"),
    "check": _l("Test of the account"),
    "balance": _l("Question for the balance"),
    "pull": _l("Fetching receipts"),
    "templates": _l("List of templates"),
    "signatures": _l("Registration of signatures"),
    "confirm": _l("Confirmation of an opt-out"),
    "proof": _l("Text to the test group"),
}
"""What a call was for."""


def failure(result: str, reason: str) -> str:
    """Return what became of messages, in a few words; "" for "the others"."""
    if not result:
        return str(_("Other failures"))
    if reason and result in {CallResult.REFUSED, CallResult.ACCOUNT_ERROR}:
        return str(outcomes.LABELS[Outcome(reason)])
    return str(LABELS[CallResult(result)])


def trouble(result: str, outcome: str, code: str) -> str:
    """Return what a call ended with, in sentences."""
    return told(CallResult(result), Outcome(outcome) if outcome else None, code, "")


def left(amount: Decimal | None, currency: str) -> str:
    """Return what is left on an account."""
    if amount is None:
        return str(_("without a limit"))
    number = format_decimal(amount)
    return (
        f"{number} {currency}" if currency else str(ngettext("%(n)s message", "%(n)s messages", int(amount), n=number))
    )


def told(result: CallResult, outcome: Outcome | None, code: str, provider_ref: str) -> str:
    """Return the result of a channel test, in sentences."""
    if result is CallResult.OK:
        reference = f" ({provider_ref})" if provider_ref else ""
        return str(_("The provider accepted the message%(reference)s.", reference=reference))
    sentences = [str(TROUBLE[result]), str(CODES.get(code, ""))]
    if code not in CODES:
        sentences += [outcomes.explanation(outcome) if outcome else ""]
        sentences += [_("The provider's code: %(code)s", code=code) if code else ""]
    return " ".join(filter(None, sentences))
