"""Codes and texts of Amazon SNS and AWS End User Messaging, mapped to outcomes."""

from __future__ import annotations

import re
from html import unescape

from smsapp.channels._error_codes import (
    OUTCOME_UNKNOWN,
    THROTTLED,
    ErrorMeaning,
    account_error,
    classify_single,
    recipient_error,
    text_error,
)
from smsapp.channels.http import HttpAnswer
from smsapp.channels.types import ReceiptStatus
from smsapp.domain.outcome import Outcome

ERROR_CODES: dict[str, ErrorMeaning] = {
    "Throttled": THROTTLED,
    "ThrottledException": THROTTLED,
    "Throttling": THROTTLED,
    "ThrottlingException": THROTTLED,
    "KMSThrottling": THROTTLED,
    "RequestLimitExceeded": THROTTLED,
    "OptedOut": recipient_error(Outcome.OPTED_OUT),
    "AuthorizationError": account_error(Outcome.CREDENTIALS),
    "AuthorizationErrorException": account_error(Outcome.CREDENTIALS),
    "AccessDenied": account_error(Outcome.CREDENTIALS),
    "AccessDeniedException": account_error(Outcome.CREDENTIALS),
    "InvalidClientTokenId": account_error(Outcome.CREDENTIALS),
    "UnrecognizedClientException": account_error(Outcome.CREDENTIALS),
    "SignatureDoesNotMatch": account_error(Outcome.CREDENTIALS),
    "IncompleteSignature": account_error(Outcome.CREDENTIALS),
    "MissingAuthenticationToken": account_error(Outcome.CREDENTIALS),
    "InvalidSecurity": account_error(Outcome.CREDENTIALS),
    "NotAuthorized": account_error(Outcome.CREDENTIALS),
    "OptInRequired": account_error(Outcome.CREDENTIALS),
    "ExpiredToken": account_error(Outcome.CREDENTIALS),
    "UserError": account_error(Outcome.OUR_FAULT),
    "RequestExpired": account_error(Outcome.OUR_FAULT),
    "InvalidAction": account_error(Outcome.OUR_FAULT),
    "InvalidParameterCombination": account_error(Outcome.OUR_FAULT),
    "InvalidQueryParameter": account_error(Outcome.OUR_FAULT),
    "MalformedQueryString": account_error(Outcome.OUR_FAULT),
    "MissingAction": account_error(Outcome.OUR_FAULT),
    "MissingParameter": account_error(Outcome.OUR_FAULT),
    "NotFound": account_error(Outcome.OUR_FAULT),
    "InternalError": OUTCOME_UNKNOWN,
    "InternalFailure": OUTCOME_UNKNOWN,
    "ServiceUnavailable": OUTCOME_UNKNOWN,
}
PARAMETER = frozenset({"InvalidParameter", "InvalidParameterValue", "ValidationError", "ValidationException"})
PARAMETERS: tuple[tuple[str, ErrorMeaning], ...] = (
    # what a code for any wrong parameter is about, by its explanation; the first that fits counts
    ("opted out", recipient_error(Outcome.OPTED_OUT)),
    ("SenderI", account_error(Outcome.SIGNATURE_REFUSED)),
    ("rigination", account_error(Outcome.SIGNATURE_REFUSED)),
    ("AWS.", account_error(Outcome.OUR_FAULT)),
    ("PhoneNumber", recipient_error(Outcome.BAD_NUMBER)),
    ("E164", recipient_error(Outcome.BAD_NUMBER)),
    ("SMS message", text_error(Outcome.CONTENT_REFUSED)),
    ("Message too long", text_error(Outcome.CONTENT_REFUSED)),
    ("Empty message", text_error(Outcome.CONTENT_REFUSED)),
    ("Message Reason", text_error(Outcome.CONTENT_REFUSED)),
    ("", account_error(Outcome.OUR_FAULT)),
)

REASONS: dict[str, Outcome] = {
    # what the delivery log of SNS gives as providerResponse of a failure
    "Blocked as spam by phone carrier": Outcome.CONTENT_REFUSED,
    "Destination is on a blocked list": Outcome.BLOCKED_BY_CARRIER,
    "Destination is blacklisted": Outcome.BLOCKED_BY_CARRIER,
    "Invalid phone number": Outcome.BAD_NUMBER,
    "Message body is invalid": Outcome.CONTENT_REFUSED,
    "Phone carrier has blocked this message": Outcome.BLOCKED_BY_CARRIER,
    "Phone carrier is currently unreachable/unavailable": Outcome.NETWORK,
    "Phone has blocked SMS": Outcome.BLOCKED_BY_CARRIER,
    "Phone is on a blocked list": Outcome.BLOCKED_BY_CARRIER,
    "Phone is blacklisted": Outcome.BLOCKED_BY_CARRIER,
    "Phone is currently unreachable/unavailable": Outcome.SWITCHED_OFF,
    "Phone number is opted out": Outcome.OPTED_OUT,
    "This delivery would exceed max price": Outcome.QUOTA,
    "No quota left for account": Outcome.QUOTA,
    "Rate exceeded": Outcome.THROTTLED,
    "Unknown error attempting to reach phone": Outcome.PROVIDER_FAULT,
}
EVENTS: dict[str, ReceiptStatus | Outcome] = {
    # event types of AWS End User Messaging
    "TEXT_QUEUED": ReceiptStatus.ACCEPTED,
    "TEXT_PENDING": ReceiptStatus.ACCEPTED,
    "TEXT_SENT": ReceiptStatus.ACCEPTED,
    "TEXT_UNKNOWN": ReceiptStatus.ACCEPTED,
    "TEXT_SUCCESSFUL": ReceiptStatus.DELIVERED,
    "TEXT_DELIVERED": ReceiptStatus.DELIVERED,
    "TEXT_BLOCKED": Outcome.BLOCKED_BY_CARRIER,
    "TEXT_CARRIER_BLOCKED": Outcome.BLOCKED_BY_CARRIER,
    "TEXT_PROTECT_BLOCKED": Outcome.BLOCKED_BY_CARRIER,
    "TEXT_SPAM": Outcome.CONTENT_REFUSED,
    "TEXT_INVALID_MESSAGE": Outcome.CONTENT_REFUSED,
    "TEXT_INVALID": Outcome.BAD_NUMBER,
    "TEXT_UNREACHABLE": Outcome.SWITCHED_OFF,
    "TEXT_CARRIER_UNREACHABLE": Outcome.NETWORK,
    "TEXT_TTL_EXPIRED": Outcome.EXPIRED,
}


def element(answer: HttpAnswer, name: str) -> str:
    """Return the text of the first element of this name; "" if there is none."""
    match = re.search(rf"<{name}>([^<]*)</{name}>", answer.text())
    return unescape(match[1]).strip() if match else ""


def classify_error(code: str, answer: HttpAnswer) -> ErrorMeaning:
    """Return the meaning of an answer's code for its message."""
    if code in PARAMETER:
        text = element(answer, "Message")
        return next(meaning for sign, meaning in PARAMETERS if sign in text)
    return classify_single(code, answer, ERROR_CODES)
