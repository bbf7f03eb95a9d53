"""Words of what carriers have registered."""

from __future__ import annotations

from typing import Any

from smsapp.domain.carrier_prefixes import Carrier
from smsapp.domain.registration import (
    EXPIRED,
    LIGHTS,
    SAID_USABLE,
    UNHEARD_OF,
    Light,
    RegistrationKind,
    RegistrationSource,
    RegistrationState,
)
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    Carrier.MOBILE: _l("China Mobile"),
    Carrier.UNICOM: _l("China Unicom"),
    Carrier.TELECOM: _l("China Telecom"),
    Carrier.OTHER: _l("Virtual and other operators"),
    RegistrationState.REGISTERED: _l("Registered"),
    RegistrationState.TO_VERIFY: _l("Registered, to be verified"),
    RegistrationState.UNDER_WAY: _l("Under way at the carrier"),
    RegistrationState.LAPSED: _l("Lapsed"),
    RegistrationState.FAILED: _l("Registration failed"),
    RegistrationState.UNREGISTERED: _l("Not registered"),
    RegistrationState.UNKNOWN: _l("Not known"),
    RegistrationKind.SIGNATURE: _l("Signature"),
    RegistrationKind.TEMPLATE: _l("Template"),
    RegistrationKind.LINK: _l("Link"),
    RegistrationKind.PHONE: _l("Contact number"),
    RegistrationSource.PROVIDER: _l("the provider says so"),
    RegistrationSource.PERSON: _l("typed in by a person"),
}

COLOURS = {
    Light.GREEN: "green",
    Light.HOLLOW: "green badge-hollow",
    Light.AMBER: "orange",
    Light.RED: "red",
    Light.GREY: "grey",
}

REASONS: dict[str, Any] = {
    "UNBINDING_QUA": _l("No qualification papers belong to the signature."),
    "BINDING_INCOMPLETE_QUA": _l("The qualification papers are incomplete."),
    "NON_REGISTER": _l("Nobody has asked for the registration yet."),
    "REGISTERING": _l("The registration is under way."),
    "DETECTING": _l("The provider is still trying it out."),
    "DETECT_SUCCESS": _l("Texts with it arrive."),
    "QUALIFICATION_ERROR": _l("The qualification papers were not accepted."),
    "SIGNATURE_ERROR": _l("The signature itself was not accepted."),
    "SIGNATURE_QUALIFICATION_ERROR": _l("The signature and its qualification papers do not fit."),
    "ONE_CODE_MULTIPLE_SIGN": _l("Its extension number is used by several signatures."),
    "OTHERS_ERROR": _l("For another reason; ask the provider."),
    "REGISTER_TIMEOUT": _l("The carrier did not answer in time."),
    "NO_SEND_RECORD": _l("Nothing was sent with it for more than six months."),
    "EXT_CODE_RECYCLE": _l("Its extension number was taken back."),
    "SUBPORT_RECYCLE": _l("The carrier has closed its sub-number."),
    "QUALIFICATION_PENDING": _l("The qualification papers are being looked at."),
    "AUDITING": _l("The provider is still reviewing the signature."),
    SAID_USABLE: _l("The provider calls it usable and does not say what each carrier has registered."),
    EXPIRED: _l("The term that was typed in is over."),
    UNHEARD_OF: _l("Nobody has confirmed it lately."),
}
"""Codes of providers, and ours."""


def reason(code: str) -> str:
    """Return why a carrier says what it says; a person's words, and codes without words, as they are."""
    return str(REASONS.get(code, code))


def light_colour(state: str) -> str:
    """Return the badge of a state."""
    return COLOURS[LIGHTS[RegistrationState(state)]]


PROBLEMS = {
    "carrier_registration": _l(
        "%(n)s of %(planned)s numbers are numbers of %(carrier)s, by their first digits. There, %(value)s has had the "
        "state “%(state)s” since %(since)s."
    ),
    "registration_changed_since_review": _l(
        "What carriers have registered has changed since you looked at it. Look at it again."
    ),
    "registration_to_accept": _l(
        "A carrier would not let its texts through any more. Look at the registrations and decide, or end the run."
    ),
    "registration_value_missing": _l("Enter what is registered."),
    "registration_value_long": _l("This has at most %(most)s characters."),
    "registration_carrier_missing": _l("Choose at least one carrier."),
    "registration_words_long": _l("The reason has at most %(most)s characters."),
    "registration_term_over": _l("Choose a day that is still to come."),
    "registration_remind_days": _l("Choose from 0 to %(most)s days."),
    "channel_lists_no_registrations": _l(
        "This channel's provider does not say what carriers have registered. Type it in."
    ),
    "links_too_many": _l("The text has %(n)s links; carriers in China take at most %(most)s in one template."),
    "contacts_too_many": _l(
        "The text has %(n)s phone numbers; carriers in China take at most %(most)s in one template."
    ),
    "mobile_contact": _l("This channel's provider takes no mobile number as a contact: take %(number)s out."),
}
