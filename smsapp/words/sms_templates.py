"""Words of SMS templates and of the files they come in."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from smsapp.domain.sms_template import Audit, Purpose, TemplateSource
from smsapp.domain.template_file import Fate, TemplateField

LABELS = {
    Audit.PENDING: _l("Waiting for approval"),
    Audit.APPROVED: _l("Approved"),
    Audit.REFUSED: _l("Not approved"),
    Purpose.MARKETING: _l("Marketing"),
    Purpose.NOTIFICATION: _l("Notification"),
    Purpose.VERIFICATION: _l("Verification code"),
    Fate.ADDED: _l("Template added"),
    Fate.CHANGED: _l("Template changed"),
    Fate.UNCHANGED: _l("Template unchanged"),
    Fate.REFUSED: _l("Row left out"),
    TemplateField.CODE: _l("code"),
    TemplateField.NAME: _l("name"),
    TemplateField.TEXT: _l("text"),
    TemplateField.SIGNATURE: _l("signature"),
    TemplateField.PURPOSE: _l("kind of text"),
    TemplateField.AUDIT: _l("audit state"),
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
    "template_code_missing": _l("The provider's code is empty. Fill it in, or leave the whole column out."),
    "template_code_taken": _l("The channel already has a template %(code)s. Change that one, or correct the code."),
    "template_code_twice": _l("The code %(code)s is already in row %(row)s. Leave one of the two out."),
    "refusal_reason_missing": _l("Give the provider's reason, so that others know what to mend."),
    "template_in_use": _l(
        "Campaigns that are not over use this template (%(count)s: %(names)s). Choose another template there first."
    ),
    "template_purpose_unknown": _l(
        "“%(word)s” is no type. Write marketing, notification or verification (营销, 通知, 验证码)."
    ),
    "template_status_unknown": _l(
        "“%(word)s” is no audit state. Write pending, approved or refused (待审核, 通过, 不通过)."
    ),
    "template_column_unknown": _l("Nobody knows the column “%(column)s”; it was left out. Known columns: %(known)s."),
    "template_column_misspelt": _l("Nobody knows the column “%(column)s”; it was left out. Did you mean “%(near)s”?"),
    "template_column_twice": _l("“%(column)s” means the same as a column before it; it was left out."),
    "template_columns_missing": _l("There is no column for the text. The first row must name the columns: %(known)s."),
    "template_row_value_not_text": _l("“%(column)s” must be plain text, not a list or an object."),
    "template_row_not_object": _l("This entry is not an object with code, name, text …"),
    "sheet_row_too_long": _l(
        "The row has %(cells)s cells for %(columns)s columns. Put quotes around a text that holds the separator."
    ),
    "sheet_quotes": _l("A quotation mark is not closed here; reading stopped. Close it and import again."),
    "sheet_formula": _l("Cell %(cell)s holds a formula. Paste it as a value."),
    "sheet_missing": _l("Choose a file."),
    "sheet_kind_unknown": _l("This kind of file cannot be read. Save it as one of: %(known)s."),
    "sheet_too_large": _l("The file is too large; at most %(most)s MiB are read."),
    "sheet_too_many_rows": _l("The file has too many rows; at most %(most)s are read at once."),
    "sheet_empty": _l("The file is empty."),
    "sheet_without_rows": _l("The file has no rows below the names of the columns."),
    "template_file_without_list": _l("The file must hold a list of templates: [{code, name, text, …}, …]."),
    "sheet_encoding_unknown": _l("The file's characters cannot be read. Save it as UTF-8 and try again."),
    "sheet_unreadable": _l("This is not a readable %(kind)s file."),
    "sheet_unreadable_at": _l("This is not a readable %(kind)s file: look at line %(line)s."),
}
