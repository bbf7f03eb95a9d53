"""Words of SMS templates."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from smsapp.domain.sms_template import Audit, Purpose, TemplateSource

LABELS = {
    Audit.PENDING: _l("Waiting for approval"),
    Audit.APPROVED: _l("Approved"),
    Audit.REFUSED: _l("Not approved"),
    Purpose.MARKETING: _l("Marketing"),
    Purpose.NOTIFICATION: _l("Notification"),
    Purpose.VERIFICATION: _l("Verification code"),
    TemplateSource.MANUAL: _l("Typed in"),
    TemplateSource.IMPORT: _l("From a file"),
    TemplateSource.SYNC: _l("From the provider"),
}

PROBLEMS = {
    "template_name_missing": _l("Give it a name."),
    "template_value_too_long": _l("This has %(length)s characters; at most %(most)s fit."),
    "template_text_missing": _l("Write the text."),
    "template_text_too_long": _l(
        "With its signature the text has %(length)s characters; carriers take at most %(most)s."
    ),
    "brackets_in_text": _l(
        "【】 may stand only around the signature. Put it into its own field and take the brackets out of the text."
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
    "signature_unusable": _l("A signature has 2 to 12 Chinese characters, letters or digits, no spaces or symbols."),
    "unsubscribe_missing": _l("A marketing text must say how to refuse further ones. End it with “%(words)s”."),
    "unsubscribe_not_last": _l("“%(words)s” should be the last words of the text."),
    "unsubscribe_old": _l("“%(found)s” is an old form that more and more carriers refuse. Write “%(words)s”."),
    "unsubscribe_out_of_place": _l(
        "Only marketing texts say how to refuse further ones. Choose “Marketing”, or take these words out."
    ),
    "template_channel_missing": _l("Choose a channel."),
    "template_code_taken": _l("The channel already has a template %(code)s. Change that one, or correct the code."),
    "refusal_reason_missing": _l("Give the provider's reason, so that others know what to mend."),
    "template_in_use": _l(
        "Campaigns that are not over use this template (%(count)s: %(names)s). Choose another template there first."
    ),
}
