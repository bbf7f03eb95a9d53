"""Words of files: of SMS templates, and of any table small enough to be read at once."""

from __future__ import annotations

from smsapp.domain.template_file import Fate, TemplateField
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    Fate.ADDED: _l("Template added"),
    Fate.CHANGED: _l("Template changed"),
    Fate.UNCHANGED: _l("Template unchanged"),
    Fate.REFUSED: _l("Row left out"),
    TemplateField.CODE: _l("code"),
    TemplateField.NAME: _l("name"),
    TemplateField.TEXT: _l("text"),
    TemplateField.SIGNATURE: _l("signature"),
    TemplateField.PURPOSE: _l("kind of text"),
    TemplateField.AUDIT: _l("approval status"),
}

PROBLEMS = {
    "template_code_missing": _l("The provider's code is empty. Fill it in, or leave the whole column out."),
    "template_code_twice": _l("The code %(code)s is already in row %(row)s. Leave one of the two out."),
    "template_purpose_unknown": _l(
        "“%(word)s” is no type. Write marketing, notification or verification (营销, 通知, 验证码)."
    ),
    "template_status_unknown": _l(
        "“%(word)s” is not an approval status. Write pending, approved or refused (待审核, 通过, 不通过)."
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
    "sheet_formula": _l("Cell %(cell)s holds a formula. Paste it as a value."),
    "sheet_kind_unknown": _l("This kind of file cannot be read. Save it as one of: %(known)s."),
    "sheet_yaml_too_large": _l("The YAML file is too large; at most %(most)s MiB are read. Save it as CSV or JSON."),
    "sheet_too_large": _l("The file is too large; at most %(most)s MiB are read."),
    "sheet_too_many_rows": _l("The file has too many rows; at most %(most)s are read at once."),
    "template_file_without_list": _l("The file must hold a list of templates: [{code, name, text, …}, …]."),
    "sheet_unreadable": _l("This is not a readable %(kind)s file."),
    "sheet_unreadable_at": _l("This is not a readable %(kind)s file: look at line %(line)s."),
}
