"""What Amazon SNS and AWS End User Messaging say about a message, in our words."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

from smsapp.channels._verdicts import IN_DOUBT, SLOWER, Verdict, account, judged_alone, number, words
from smsapp.channels.base import News
from smsapp.domain.outcome import Outcome

if TYPE_CHECKING:
    from smsapp.channels.http import HttpAnswer

VERDICTS: dict[str, Verdict] = {
    "Throttled": SLOWER,
    "ThrottledException": SLOWER,
    "Throttling": SLOWER,
    "ThrottlingException": SLOWER,
    "KMSThrottling": SLOWER,
    "RequestLimitExceeded": SLOWER,
    "OptedOut": number(Outcome.OPTED_OUT),
    "AuthorizationError": account(Outcome.CREDENTIALS),
    "AuthorizationErrorException": account(Outcome.CREDENTIALS),
    "AccessDenied": account(Outcome.CREDENTIALS),
    "AccessDeniedException": account(Outcome.CREDENTIALS),
    "InvalidClientTokenId": account(Outcome.CREDENTIALS),
    "UnrecognizedClientException": account(Outcome.CREDENTIALS),
    "SignatureDoesNotMatch": account(Outcome.CREDENTIALS),
    "IncompleteSignature": account(Outcome.CREDENTIALS),
    "MissingAuthenticationToken": account(Outcome.CREDENTIALS),
    "InvalidSecurity": account(Outcome.CREDENTIALS),
    "NotAuthorized": account(Outcome.CREDENTIALS),
    "OptInRequired": account(Outcome.CREDENTIALS),
    "ExpiredToken": account(Outcome.CREDENTIALS),
    "UserError": account(Outcome.OUR_FAULT),
    "RequestExpired": account(Outcome.OUR_FAULT),
    "InvalidAction": account(Outcome.OUR_FAULT),
    "InvalidParameterCombination": account(Outcome.OUR_FAULT),
    "InvalidQueryParameter": account(Outcome.OUR_FAULT),
    "MalformedQueryString": account(Outcome.OUR_FAULT),
    "MissingAction": account(Outcome.OUR_FAULT),
    "MissingParameter": account(Outcome.OUR_FAULT),
    "NotFound": account(Outcome.OUR_FAULT),
    "InternalError": IN_DOUBT,
    "InternalFailure": IN_DOUBT,
    "ServiceUnavailable": IN_DOUBT,
}
PARAMETER = frozenset({"InvalidParameter", "InvalidParameterValue", "ValidationError", "ValidationException"})
PARAMETERS: tuple[tuple[str, Verdict], ...] = (
    # what a code for any wrong parameter is about, by its explanation; the first that fits counts
    ("opted out", number(Outcome.OPTED_OUT)),
    ("SenderI", account(Outcome.SIGNATURE_REFUSED)),
    ("rigination", account(Outcome.SIGNATURE_REFUSED)),
    ("AWS.", account(Outcome.OUR_FAULT)),
    ("PhoneNumber", number(Outcome.BAD_NUMBER)),
    ("E164", number(Outcome.BAD_NUMBER)),
    ("SMS message", words(Outcome.CONTENT_REFUSED)),
    ("Message too long", words(Outcome.CONTENT_REFUSED)),
    ("Empty message", words(Outcome.CONTENT_REFUSED)),
    ("Message Reason", words(Outcome.CONTENT_REFUSED)),
    ("", account(Outcome.OUR_FAULT)),
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
EVENTS: dict[str, News | Outcome] = {
    # event types of AWS End User Messaging
    "TEXT_QUEUED": News.ACCEPTED,
    "TEXT_PENDING": News.ACCEPTED,
    "TEXT_SENT": News.ACCEPTED,
    "TEXT_UNKNOWN": News.ACCEPTED,
    "TEXT_SUCCESSFUL": News.DELIVERED,
    "TEXT_DELIVERED": News.DELIVERED,
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
    found = re.search(rf"<{name}>([^<]*)</{name}>", answer.text())
    return unescape(found[1]).strip() if found else ""


def verdict(code: str, answer: HttpAnswer) -> Verdict:
    """Return what the code of an answer means for its message."""
    if code in PARAMETER:
        told = element(answer, "Message")
        return next(meant for sign, meant in PARAMETERS if sign in told)
    return judged_alone(code, answer, VERDICTS)
