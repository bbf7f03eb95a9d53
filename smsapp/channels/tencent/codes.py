"""The error codes of requests and of single numbers, mapped to outcomes."""

from __future__ import annotations

from smsapp.channels._error_codes import (
    OUTCOME_UNKNOWN,
    OUTSIDE_HOURS,
    THROTTLED,
    UNKNOWN_CODE,
    ErrorMeaning,
    account_error,
    find_meaning,
    recipient_error,
    text_error,
)
from smsapp.domain.outcome import Outcome

ERROR_CODES: dict[str, ErrorMeaning] = {
    "FailedOperation.PhoneNumberInBlacklist": recipient_error(Outcome.OPTED_OUT),
    "FailedOperation.PhoneNumberParseFail": recipient_error(Outcome.BAD_NUMBER),
    "InvalidParameterValue.IncorrectPhoneNumber": recipient_error(Outcome.BAD_NUMBER),
    "LimitExceeded.PhoneNumberThirtySecondLimit": recipient_error(Outcome.FREQUENCY_LIMIT),
    "LimitExceeded.PhoneNumberOneHourLimit": recipient_error(Outcome.FREQUENCY_LIMIT),
    "LimitExceeded.PhoneNumberDailyLimit": recipient_error(Outcome.FREQUENCY_LIMIT),
    "LimitExceeded.PhoneNumberSameContentDailyLimit": recipient_error(Outcome.FREQUENCY_LIMIT),
    "LimitExceeded.AppCountryOrRegionInBlacklist": recipient_error(Outcome.BLOCKED_BY_CARRIER),
    "LimitExceeded.AppCountryOrRegionDailyLimit": recipient_error(Outcome.QUOTA),
    "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone": recipient_error(Outcome.TEMPLATE_REFUSED),
    "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone": recipient_error(Outcome.TEMPLATE_REFUSED),
    "UnsupportedOperation.ContainDomesticPhoneNumber": recipient_error(Outcome.TEMPLATE_REFUSED),
    "UnsupportedOperation.UnsupportedRegion": recipient_error(Outcome.PROVIDER_FAULT),
    "UnsupportedOperation.UnsuportedRegion": recipient_error(Outcome.PROVIDER_FAULT),
    "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber": recipient_error(Outcome.OUR_FAULT),
    "FailedOperation.ContainSensitiveWord": text_error(Outcome.CONTENT_REFUSED),
    "InvalidParameter.DirtyWordFound": text_error(Outcome.CONTENT_REFUSED),
    "InvalidParameterValue.ContentLengthLimit": text_error(Outcome.CONTENT_REFUSED),
    "InvalidParameterValue.TemplateParameterLengthLimit": text_error(Outcome.CONTENT_REFUSED),
    "InvalidParameterValue.TemplateParameterFormatError": text_error(Outcome.CONTENT_REFUSED),
    "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter": text_error(Outcome.CONTENT_REFUSED),
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": account_error(Outcome.TEMPLATE_REFUSED),
    "FailedOperation.TemplateIncorrectOrUnapproved": account_error(Outcome.TEMPLATE_REFUSED),
    "FailedOperation.TemplateUnapprovedOrNotExist": account_error(Outcome.TEMPLATE_REFUSED),
    "FailedOperation.TemplateIdNotExist": account_error(Outcome.TEMPLATE_REFUSED),
    "FailedOperation.MarketingTemplateWithoutUnsubscribe": account_error(Outcome.TEMPLATE_REFUSED),
    "InvalidParameterValue.MarketingTemplateWithoutUnsubscribe": account_error(Outcome.TEMPLATE_REFUSED),
    "InvalidParameterValue.UnsupportedTemplateVariable": account_error(Outcome.TEMPLATE_REFUSED),
    "FailedOperation.SignatureIncorrectOrUnapproved": account_error(Outcome.SIGNATURE_REFUSED),
    "FailedOperation.SignIdNotExist": account_error(Outcome.SIGNATURE_REFUSED),
    "FailedOperation.MissingSignature": account_error(Outcome.SIGNATURE_REFUSED),
    "InvalidParameterValue.SignExistAndUnapproved": account_error(Outcome.SIGNATURE_REFUSED),
    "FailedOperation.InsufficientBalanceInSmsPackage": account_error(Outcome.BALANCE),
    "UnauthorizedOperation.ServiceSuspendDueToArrears": account_error(Outcome.BALANCE),
    "LimitExceeded.AppDailyLimit": account_error(Outcome.QUOTA),
    "LimitExceeded.AppMainlandChinaDailyLimit": account_error(Outcome.QUOTA),
    "LimitExceeded.AppGlobalDailyLimit": account_error(Outcome.QUOTA),
    "LimitExceeded.DailyLimit": account_error(Outcome.QUOTA),
    "LimitExceeded.PhoneNumberCountLimit": account_error(Outcome.OUR_FAULT),
    "InvalidParameterValue.SdkAppIdNotExist": account_error(Outcome.CREDENTIALS),
    "FailedOperation.NotEnterpriseCertification": account_error(Outcome.CREDENTIALS),
    "FailedOperation.ProhibitSubAccountUse": account_error(Outcome.CREDENTIALS),
    "FailedOperation.MarketingSendTimeConstraint": OUTSIDE_HOURS,
    "LimitExceeded.DeliveryFrequencyLimit": THROTTLED,
    "LimitExceeded.GlobalSmsSendingRateLimit": THROTTLED,
    "FailedOperation.FailResolvePacket": account_error(Outcome.OUR_FAULT),
    "FailedOperation.JsonParseFail": account_error(Outcome.OUR_FAULT),
    "FailedOperation.ParametersOtherError": account_error(Outcome.OUR_FAULT),
    "FailedOperation.OtherError": OUTCOME_UNKNOWN,
    "InternalError.SigVerificationFail": account_error(Outcome.CREDENTIALS),
    "InternalError.SigFieldMissing": account_error(Outcome.CREDENTIALS),
}
ERROR_CODE_PREFIXES: tuple[tuple[str, ErrorMeaning], ...] = (
    ("RequestLimitExceeded", THROTTLED),
    ("AuthFailure.SignatureExpire", account_error(Outcome.OUR_FAULT)),
    ("AuthFailure", account_error(Outcome.CREDENTIALS)),
    ("UnauthorizedOperation", account_error(Outcome.CREDENTIALS)),
    ("InternalError", OUTCOME_UNKNOWN),
    ("ServiceUnavailable", OUTCOME_UNKNOWN),
    ("Missing", account_error(Outcome.OUR_FAULT)),
    ("Invalid", account_error(Outcome.OUR_FAULT)),
    ("Unknown", account_error(Outcome.OUR_FAULT)),
    ("NoSuch", account_error(Outcome.OUR_FAULT)),
    ("Unsupported", account_error(Outcome.OUR_FAULT)),
)


def meaning_of(code: str) -> ErrorMeaning:
    """Return the meaning of a code other than success."""
    return find_meaning(code, ERROR_CODES, ERROR_CODE_PREFIXES) or UNKNOWN_CODE
