"""The error codes of requests, mapped to outcomes."""

from __future__ import annotations

from smsapp.channels._error_codes import (
    OUTCOME_UNKNOWN,
    OUTSIDE_HOURS,
    THROTTLED,
    ErrorMeaning,
    account_error,
    recipient_error,
    text_error,
)
from smsapp.domain.outcome import Outcome

BAD_NUMBERS = "1023"
"""Some of the request's numbers are wrong; the explanation names them."""

ERROR_CODES: dict[str, ErrorMeaning] = {
    "103": THROTTLED,
    "1008": THROTTLED,
    "1015": THROTTLED,
    "1026": THROTTLED,
    "1018": OUTSIDE_HOURS,
    BAD_NUMBERS: recipient_error(Outcome.BAD_NUMBER),
    "1010": text_error(Outcome.CONTENT_REFUSED),
    "1020": text_error(Outcome.CONTENT_REFUSED),
    "1022": text_error(Outcome.CONTENT_REFUSED),
    "1024": text_error(Outcome.CONTENT_REFUSED),
    "1034": text_error(Outcome.CONTENT_REFUSED),
    "1042": text_error(Outcome.TEMPLATE_REFUSED),
    "1032": account_error(Outcome.SIGNATURE_REFUSED),
    "1035": account_error(Outcome.SIGNATURE_REFUSED),
    "1038": account_error(Outcome.SIGNATURE_REFUSED),
    "1013": account_error(Outcome.CREDENTIALS),
    "1014": account_error(Outcome.CREDENTIALS),
    "1016": account_error(Outcome.CREDENTIALS),
    "1017": account_error(Outcome.CREDENTIALS),
    "1028": account_error(Outcome.CREDENTIALS),
    "1025": account_error(Outcome.BALANCE),
    "2001": account_error(Outcome.BALANCE),
    "101": account_error(Outcome.OUR_FAULT),
    "102": account_error(Outcome.OUR_FAULT),
    "1007": account_error(Outcome.OUR_FAULT),
    "1009": account_error(Outcome.OUR_FAULT),
    "1029": account_error(Outcome.OUR_FAULT),
    "1031": account_error(Outcome.OUR_FAULT),
    "1027": OUTCOME_UNKNOWN,
    "1040": OUTCOME_UNKNOWN,
    "-99": OUTCOME_UNKNOWN,
}
