"""Words of SMS templates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import gettext as _

from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.sms_template import Audit, Purpose, SyncFate, TemplateSource
from smsapp.domain.template_file import Fate
from smsapp.labels import channels, outcomes
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    Audit.PENDING: _l("Waiting for approval"),
    Audit.APPROVED: _l("Approved"),
    Audit.REFUSED: _l("Not approved"),
    Audit.WITHDRAWN: _l("Withdrawn by the provider"),
    Purpose.MARKETING: _l("Marketing"),
    Purpose.NOTIFICATION: _l("Notification"),
    Purpose.VERIFICATION: _l("Verification code"),
    Purpose.UNSAID: _l("Not said yet"),
    TemplateSource.MANUAL: _l("Typed in"),
    TemplateSource.IMPORT: _l("From a file"),
    TemplateSource.SYNC: _l("From the provider"),
    SyncFate.ADDED: _l("added"),
    SyncFate.CHANGED: _l("changed"),
    SyncFate.WITHDRAWN: _l("withdrawn"),
    SyncFate.UNCHANGED: _l("as it was"),
}

COLUMNS = {
    "code": _l("The provider's template code. A template with a known code is changed, not added twice."),
    "name": _l("For your colleagues."),
    "text": _l("The text with its variables; a 【signature】 around it is recognised."),
    "signature": _l("Without 【】."),
    "purpose": _l("marketing, notification or verification (营销, 通知, 验证码); without it the text tells."),
    "status": _l(
        "pending, approved or refused (待审核, 审核通过, 审核不通过); without it new templates wait for approval."
    ),
    "reason": _l("Why the provider refused it."),
}
"""What the columns of a file of templates hold."""

FATE_COLOURS = {Fate.ADDED: "green", Fate.CHANGED: "blue", Fate.UNCHANGED: "grey", Fate.REFUSED: "red"}

FIELDS = {
    "name": _l("name"),
    "text": _l("text"),
    "signature": _l("signature"),
    "purpose": _l("kind"),
    "audit": _l("approval status"),
}
"""What a sync may change."""

TROUBLE: dict[CallResult, Any] = {
    CallResult.NOT_SENT: _l("The provider could not be reached."),
    CallResult.THROTTLED: _l("The provider asks to slow down."),
    CallResult.ACCOUNT_ERROR: _l("The provider does not accept the account or the settings."),
    CallResult.OUTCOME_UNKNOWN: _l("The provider gave no clear answer."),
}


def moment(text: str) -> dt.datetime:
    """Return a stored moment (ISO 8601) as a datetime."""
    return dt.datetime.fromisoformat(text)


def sync_trouble(result: str, outcome: str, code: str) -> str:
    """Return why a sync did not work, in sentences; the templates are as they were."""
    sentences = [
        str(TROUBLE.get(CallResult(result), TROUBLE[CallResult.OUTCOME_UNKNOWN])),
        str(channels.CODES.get(code, "")),
    ]
    if code not in channels.CODES:
        sentences += [outcomes.explanation(Outcome(outcome)) if outcome else ""]
        sentences += [_("The provider's code: %(code)s", code=code) if code else ""]
    return " ".join(filter(None, sentences))


def changed_fields(names: Iterable[str]) -> str:
    """Return which fields a sync changed, in words."""
    return str(_(", ")).join(str(FIELDS[name]) for name in names if name in FIELDS)


def changes_told(counts: Mapping[SyncFate, int]) -> str:
    """Return what a sync did, in one sentence."""
    return str(
        _(
            "%(added)s added, %(changed)s changed, %(gone)s withdrawn, %(unchanged)s as they were.",
            **{fate.value: n for fate, n in counts.items()},
        )
    )


PROBLEMS = {
    "template_approval_needs_approver": _l(
        "The file calls it approved. It waits until an approver or administrator has compared it with the provider."
    ),
    "variable_longest": _l("A value of %(variable)s has from 1 to %(most)s characters."),
    "template_name_missing": _l("Give it a name."),
    "template_value_too_long": _l("This has %(length)s characters; at most %(most)s fit."),
    "template_text_missing": _l("Write the text."),
    "template_text_too_long": _l(
        "With its signature the text has %(length)s characters; carriers take at most %(most)s."
    ),
    "brackets_in_text": _l(
        "【】 may stand only around the signature. Put it into its own field and take the brackets out of the text."
    ),
    "brace_alone": _l(
        "The %(brace)s in “%(near)s” cannot be sent: { and } are kept for variables such as ${name}. Write （ or ） "
        "instead."
    ),
    "brace_unclear": _l("“%(near)s” is not a variable. Write a variable as ${name} or {1}, with both braces."),
    "variables_mixed": _l("The text mixes ${name} and {1}. Write all variables the same way."),
    "variables_must_be_numbered": _l("This channel takes numbered variables only: {1}, {2}, …"),
    "variables_must_be_named": _l("This channel takes named variables only: ${name}"),
    "variable_numbers_gap": _l("Number the variables from 1 without gaps; missing: %(missing)s."),
    "variables_adjacent": _l("%(first)s and %(second)s touch. Providers want some text between two variables."),
    "variable_repeated": _l("%(variable)s occurs more than once; some providers take each variable only once."),
    "text_only_variable": _l("The text is nothing but a variable. Providers approve only texts with their own words."),
    "signature_missing": _l(
        "Carriers in China refuse a text without 【signature】; leave it out only for other countries."
    ),
    "signature_unusable": _l("A signature has 2 to 32 Chinese characters, letters or digits, no spaces or symbols."),
    "signature_long": _l(
        "The signature has %(length)s characters. Full names of companies are registered best, but some providers take "
        "at most %(usual)s."
    ),
    "unsubscribe_missing": _l("A marketing text must say how to refuse further ones. End it with “%(words)s”."),
    "unsubscribe_not_last": _l("“%(words)s” should be the last words of the text."),
    "unsubscribe_old": _l("“%(found)s” is an old form that more and more carriers refuse. Write “%(words)s”."),
    "unsubscribe_out_of_place": _l(
        "Usually only marketing texts say how to refuse further ones. Some carriers ask for these words in every text. "
        "If it is marketing, choose “Marketing”."
    ),
    "template_channel_missing": _l("Choose a channel."),
    "template_code_taken": _l("The channel already has a template %(code)s. Change that one, or correct the code."),
    "refusal_reason_missing": _l("Give the provider's reason, so that others know what to fix."),
    "template_purpose_unsaid": _l("Nobody has said yet whether this text is marketing. Say so on the template's page."),
    "channel_lists_no_templates": _l(
        "This channel's provider cannot be asked for its templates. Type them in or import them."
    ),
    "signature_needed": _l("This provider sends nothing without a signature. Edit the template and choose one."),
    "signature_not_listed": _l("The provider does not list the signature %(signature)s. It will refuse this template."),
    "signature_not_approved": _l(
        "The provider has not approved the signature %(signature)s. It will refuse this template. %(reason)s"
    ),
    "template_gone": _l("The template was removed here. Only ending is left."),
    "template_not_approved_now": _l("The provider does not approve this template now. It can go on once it does."),
    "template_variables_changed": _l(
        "The new text has other variables, and everybody's values were fixed when the run began. End this run and "
        "send a new campaign to those who are left."
    ),
    "template_to_accept": _l(
        "The text is not the one that was confirmed. Read the difference and accept it, or end the run."
    ),
    "template_in_use": _l(
        "Campaigns that are not over use this template (%(count)s: %(names)s). Choose another template there first."
    ),
}
