"""Why a message failed, in a few words and in a sentence that says what can be done."""

from __future__ import annotations

from typing import Any

from smsapp.domain.outcome import Outcome
from smsapp.labels.locales import lazy_gettext as _l

LABELS: dict[Outcome, Any] = {
    Outcome.BAD_NUMBER: _l("Wrong number"),
    Outcome.NO_SUCH_SUBSCRIBER: _l("Number not in service"),
    Outcome.SWITCHED_OFF: _l("Phone off or out of reach"),
    Outcome.SUSPENDED: _l("Service suspended"),
    Outcome.BLOCKED_BY_CARRIER: _l("Blocked by the carrier"),
    Outcome.OPTED_OUT: _l("Opted out at the provider"),
    Outcome.FREQUENCY_LIMIT: _l("Too many texts to this number"),
    Outcome.CONTENT_REFUSED: _l("Content refused"),
    Outcome.TEMPLATE_REFUSED: _l("Template refused"),
    Outcome.SIGNATURE_REFUSED: _l("Signature refused"),
    Outcome.SIGNATURE_UNREGISTERED: _l("Signature not registered with the carrier"),
    Outcome.TEMPLATE_UNREGISTERED: _l("Template not registered with the carrier"),
    Outcome.CONTACT_BLOCKED: _l("Link or number in the text blocked"),
    Outcome.OUTSIDE_HOURS: _l("Outside permitted hours"),
    Outcome.CREDENTIALS: _l("Credentials refused"),
    Outcome.BALANCE: _l("Balance used up"),
    Outcome.QUOTA: _l("Quota used up"),
    Outcome.THROTTLED: _l("Too fast for the provider"),
    Outcome.EXPIRED: _l("Expired before delivery"),
    Outcome.NETWORK: _l("Carrier network trouble"),
    Outcome.PROVIDER_FAULT: _l("Provider trouble"),
    Outcome.OUR_FAULT: _l("Request not understood"),
    Outcome.UNKNOWN: _l("Unknown reason"),
}
WORDS: dict[str, Any] = {str(outcome): word for outcome, word in LABELS.items()}

EXPLANATIONS: dict[str, Any] = {
    Outcome.BAD_NUMBER: _l("The provider does not take this for a phone number. Correct it in the contact."),
    Outcome.NO_SUCH_SUBSCRIBER: _l("Nobody has this number (any more). Leave it out or ask the person for a new one."),
    Outcome.SWITCHED_OFF: _l("The phone was off or without signal until the carrier gave up. It can be retried later."),
    Outcome.SUSPENDED: _l("The line is suspended, usually for unpaid bills. Another try soon will not help."),
    Outcome.BLOCKED_BY_CARRIER: _l(
        "The number or the sender is on a block list of the carrier. Ask the provider to check it; do not keep trying."
    ),
    Outcome.OPTED_OUT: _l("The provider keeps this number on its own opt-out list. Respect it."),
    Outcome.FREQUENCY_LIMIT: _l("The number has had too many texts in a short time. Try again another day."),
    Outcome.CONTENT_REFUSED: _l(
        "A word or link in the text is not permitted. Change the template and have it approved."
    ),
    Outcome.TEMPLATE_REFUSED: _l(
        "The provider does not know or no longer approves this template. Sync the templates, then send again."
    ),
    Outcome.SIGNATURE_REFUSED: _l("The signature is not registered at the provider. Register it, then send again."),
    Outcome.SIGNATURE_UNREGISTERED: _l(
        "This carrier does not know the signature, perhaps only in some provinces yet. Look at its registration; send "
        "again once the carrier has registered it."
    ),
    Outcome.TEMPLATE_UNREGISTERED: _l("This carrier does not know the template. Have it registered, then send again."),
    Outcome.CONTACT_BLOCKED: _l(
        "This carrier does not know a link or phone number in the text. Have it registered or take it out, then send "
        "again."
    ),
    Outcome.OUTSIDE_HOURS: _l("The provider does not send this kind of text at that hour. Send again in the daytime."),
    Outcome.CREDENTIALS: _l(
        "The provider refused the account's key or password. Correct it in the channel and test it."
    ),
    Outcome.BALANCE: _l("The account at the provider has no money left. Top it up, then send again."),
    Outcome.QUOTA: _l("The account's daily or monthly quota is used up. Have it raised or wait for the next period."),
    Outcome.THROTTLED: _l("The provider took too many requests at once. Lower the channel's rate, then send again."),
    Outcome.EXPIRED: _l("It could not be delivered within its period of validity. It can be retried."),
    Outcome.NETWORK: _l("The carrier's network did not pass the message on. It can be retried."),
    Outcome.PROVIDER_FAULT: _l("Something went wrong at the provider. Try again, or ask them with the code."),
    Outcome.OUR_FAULT: _l("The provider did not understand our request. Check the channel's settings."),
    Outcome.UNKNOWN: _l("The provider gave a code without a known meaning. Ask them with the code."),
}
"""What happened and what can be done."""


def explanation(code: str) -> str:
    """Return what an Outcome means and what can be done; "" for anything else."""
    return str(EXPLANATIONS.get(code, ""))
