"""Contacts in words: types, why a record was not kept, states of an import, and what is wrong with a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsapp.domain.contact import Type
from smsapp.domain.import_state import ImportState
from smsapp.domain.quota import Measure
from smsapp.domain.rejection import Reason
from smsapp.domain.trust import KeyKind, Origin, Rule
from smsapp.labels import other_systems
from smsapp.labels.locales import lazy_gettext as _l

ENCODINGS = {
    "utf-8": "UTF-8",
    "gb18030": "GBK / GB 18030",
    "big5": "Big5",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "cp1252": "Windows-1252 (Latin-1)",
    "shift_jis": "Shift JIS",
    "euc_kr": "EUC-KR",
}
DELIMITERS = {",": _l("commas"), ";": _l("semicolons"), "\t": _l("tabs"), "|": _l("vertical lines")}

LABELS = {
    Type.STRING: _l("String"),
    Type.NUMBER: _l("Numeric"),
    Type.BOOL: _l("Yes or no"),
    Type.DATETIME: _l("Date and time"),
    Type.LIST: _l("Set of texts"),
    Reason.QUOTA: _l("Quota used up"),
    Reason.BROKEN: _l("Broken JSON"),
    Reason.BAD_RECORD: _l("Not a record"),
    Reason.NO_OBJECT: _l("No objects"),
    Reason.BAD_APPID: _l("Unknown AppKey"),
    Reason.UNSIGNED: _l("Not signed"),
    Reason.BAD_ID: _l("No usable user id"),
    Reason.BAD_EVENT: _l("No usable xwhat"),
    Reason.BAD_TIME: _l("No usable time"),
    Reason.BAD_NAME: _l("Wrong property name"),
    Reason.BAD_VALUE: _l("Wrong value"),
    Reason.BAD_TEXT: _l("Unreadable text"),
    Reason.TYPE_CONFLICT: _l("Wrong type"),
    Reason.TOO_LONG: _l("Too long"),
    Reason.TOO_MANY_PROPERTIES: _l("Too many properties"),
    Reason.TOO_MANY_NAMES: _l("Property left out"),
    Reason.NAMES_OF_KEY: _l("No more new properties from this key"),
    Reason.NOT_WRITABLE: _l("Property not allowed"),
    Reason.PUBLIC_KEY: _l("Not with a public key"),
    Reason.PROPOSALS_FULL: _l("Too many proposals"),
    Reason.TOO_MANY_ITEMS: _l("Too many entries in a set"),
    Reason.OUT_OF_RANGE: _l("Number out of range"),
    Reason.TOO_MANY_CELLS: _l("Too many cells"),
    Reason.FORMULA: _l("Formula without a result"),
    Reason.BAD_QUOTES: _l("Wrong quotation marks"),
    Reason.DESTROYED_ID: _l("User id destroyed by Excel"),
    Reason.NO_NUMBER: _l("No phone number"),
    Reason.BAD_NUMBER: _l("Unusable phone number"),
    "more": _l("And more"),
    ImportState.RECEIVED: _l("Being recognised"),
    ImportState.UPLOADED: _l("Columns not chosen yet"),
    ImportState.QUEUED: _l("Waiting for a worker"),
    ImportState.RUNNING: _l("Coming in"),
    ImportState.DONE: _l("Done"),
    ImportState.FAILED: _l("Broken off"),
    KeyKind.SERVER: _l("Server key"),
    KeyKind.APP: _l("App key"),
    KeyKind.BROWSER: _l("Browser key"),
    Origin.SERVER: _l("Server key"),
    Origin.APP: _l("App key"),
    Origin.BROWSER: _l("Browser key"),
    Origin.IMPORT: _l("File"),
    Origin.PERSON: _l("Person"),
    Origin.KEY: _l("API key"),
    Measure.REQUESTS: _l("Requests in this minute"),
    Measure.RECORDS: _l("Profile records today"),
    Measure.NEW_CONTACTS: _l("New contacts today"),
    Measure.BYTES: _l("MiB of profile records today"),
    Rule.ACCEPT: _l("Always accept"),
    Rule.DROP: _l("Always drop"),
    "role_ignore": _l("Leave out"),
    "role_id": _l("User id"),
    "role_phone": _l("Phone number"),
    "role_id_phone": _l("Phone number, also as user id"),
    "role_property": _l("Property"),
}

PROBLEMS = {
    "number_searches_spent": _l(
        "You have searched for %(most)s whole numbers within an hour. Wait a little, or ask an administrator for the "
        "right to see whole numbers."
    ),
    "number_lists_spent": _l(
        "You have uploaded %(most)s lists of numbers within a day. Wait until tomorrow, or ask an administrator for "
        "the right to see whole numbers."
    ),
    "record_quota": _l(
        "The AppKey may add %(limit)s new contacts a day (UP_NEW_CONTACTS_PER_DAY), and this one would be more."
    ),
    "record_broken_json": _l("The text of this record is no JSON. The records beside it were read."),
    "record_bad_record": _l("This is not a JSON object with xwho, xwhat and xcontext."),
    "record_no_object": _l("%(n)s records of one request were no JSON objects. They are not kept."),
    "record_unknown_appkey": _l(
        "%(n)s records of one request had no appid, or an unknown or disabled one. They are not kept. "
        "Put an active AppKey into the app."
    ),
    "record_unsigned": _l(
        "%(n)s records were not signed, and their AppKey takes signed uploads only. They are not kept. "
        "Sign them with the secret of the key."
    ),
    "record_bad_id": _l("The user id is missing or longer than 254 characters."),
    "record_bad_event": _l("xwhat is missing or longer than 99 characters."),
    "record_bad_time": _l("xwhen is not a time in milliseconds."),
    "record_bad_name": _l(
        "“%(name)s” cannot be the name of a property: "
        "at most 125 letters, digits, _ and $, beginning with a letter or $."
    ),
    "record_bad_value": _l("The value of “%(name)s” cannot be kept or does not suit this operation."),
    "record_bad_text": _l("There are characters that cannot be read. Save the file as UTF-8 and check this row."),
    "record_type_conflict": _l(
        "“%(name)s” is of type %(expected)s, but this value (%(value)s) is of type %(found)s. "
        "This property alone was left out."
    ),
    "record_too_long": _l("“%(name)s” is longer than %(limit)s characters."),
    "record_too_many_properties": _l("There are more than %(limit)s properties."),
    "record_too_many_names": _l(
        "“%(name)s” was left out: there are %(limit)s different properties already, and no more are taken. "
        "The other properties of the record were kept."
    ),
    "record_names_of_key": _l(
        "“%(name)s” was left out: it is a new property, and a public AppKey may add only %(limit)s of these. "
        "Report it once with a server key, or import it. The other properties of the record were kept."
    ),
    "record_not_writable": _l(
        "“%(name)s” was left out: this AppKey may not write it. The other properties of the record were kept."
    ),
    "record_public_key": _l(
        "A public AppKey adds what is not there. It cannot erase, count on or take over what is (%(name)s). "
        "Use a server key for this."
    ),
    "record_proposals_full": _l(
        "“%(name)s” has a value already, and %(limit)s proposals of this AppKey wait for a decision. No more are taken."
    ),
    "record_too_many_items": _l("The set “%(name)s” has more than %(limit)s entries."),
    "record_out_of_range": _l("The number of “%(name)s” is beyond ±900 trillion."),
    "record_too_many_cells": _l("The row has more cells than the table has columns (%(limit)s)."),
    "record_formula_without_value": _l(
        "The cell of “%(name)s” holds a formula without a stored result. Open the file in Excel and save it again."
    ),
    "record_bad_quotes": _l(
        "A quotation mark is not closed, or stands in the middle of a cell. Close it or take it away in this row."
    ),
    "record_destroyed_id": _l(
        "Excel has shortened this user id to a number with an exponent (1.23E+17), and its last digits are lost. "
        "Export the ids as text and import the row again."
    ),
    "record_no_number": _l("The row was kept, but there is no phone number in it."),
    "record_bad_number": _l("The row was kept, but no usable phone number can be read from it."),
    "record_more": _l("%(n)s further records of the same request were refused."),
    "file_missing": _l("Choose a file."),
    "file_empty": _l("There is nothing in this file."),
    "file_old_excel": _l("This is an old Excel file (.xls). Open it in Excel and save it as .xlsx or CSV."),
    "file_damaged": _l("This Excel file is damaged. Open it in Excel and save it again."),
    "file_encrypted": _l(
        "This Excel file is protected by a password. Open it in Excel, remove the password and save it."
    ),
    "file_pdf": _l("This is a PDF and not a table. Save the table as CSV or as an Excel file (.xlsx)."),
    "file_image": _l("This is a picture and not a table. Save the table as CSV or as an Excel file (.xlsx)."),
    "file_word": _l("This is a text document and not a table. Copy the table into Excel and save it as .xlsx or CSV."),
    "file_opendocument": _l(
        "This is a file of another office program. Open it there and save it as an Excel file (.xlsx) or CSV."
    ),
    "file_xlsb": _l("This is a binary Excel file (.xlsb). Open it in Excel and save it as .xlsx or CSV."),
    "file_archive": _l("This is a packed archive. Unpack it and upload the table in it."),
    "file_web_page": _l(
        "This is a web page under the name of a table; some systems export it so. "
        "Open it in Excel and save it as .xlsx or CSV."
    ),
    "file_binary": _l("This file holds no text that can be read. Save the table as CSV or as an Excel file (.xlsx)."),
    "file_quotes": _l(
        "Too many quotation marks of this file are not closed, so its rows cannot be told apart. "
        "Save it as an Excel file (.xlsx)."
    ),
    "file_only_headings": _l("There are only headings in this file and no row below them. Nothing was imported."),
    "file_too_expensive": _l(
        "Reading this file takes more time or memory than an upload may use. Save it as CSV, or split it."
    ),
    "uploads_waiting": _l(
        "%(count)s uploaded files (%(mib)s MiB) of yours wait to be imported. Import or remove one of them first."
    ),
    "table_encoding": _l("Choose one of these encodings: %(known)s."),
    "table_delimiter": _l("Choose a comma, a semicolon, a tab or a vertical line as the separator."),
    "table_heading_row": _l("The headings are in one of the first %(most)s rows, or there are none (0)."),
    "file_no_table": _l("There is no table in this file. CSV and Excel files (.xlsx) can be read."),
    "file_unpacks_too_large": _l("This Excel file is too large to be read. Save it as CSV."),
    "file_too_wide": _l("This table has more than %(limit)s columns. Remove those that nobody needs."),
    "file_too_many_rows": _l("This sheet has rows beyond %(limit)s. Save it as CSV."),
    "file_line_too_long": _l(
        "A line of this file does not end within a million characters, so it is no table. "
        "Save it as CSV with one row per line."
    ),
    "file_gone": _l("The file is not there any more. Upload it again."),
    "property_type_changed": _l(
        "Meanwhile a property of this file was reported with another type. Upload the file again and choose that type."
    ),
    "import_without_id": _l("Say which column is the user id: without it nobody knows whom a row is about."),
    "import_too_wide": _l("At most %(limit)s columns can become properties. Leave some out."),
    "catalogue_full": _l(
        "There may be %(limit)s different properties of all contacts; %(room)s more fit. Leave columns out."
    ),
    "property_without_room": _l(
        "Meanwhile so many other properties were reported that those of this file find no room. "
        "Upload the file again and leave columns out."
    ),
    "import_begun": _l("This file has been started already."),
    "property_name": _l("A name has at most 125 letters, digits, _ and $, and begins with a letter or $."),
    "property_twice": _l("Two columns are called “%(name)s”. Give one of them another name."),
    "property_type": _l("“%(name)s” is known with the type %(type)s. Choose that type or another name."),
    "no_such_column": _l("There is no column “%(column)s”. The file has: %(columns)s."),
    "map_unreadable": _l("“%(map)s” cannot be read. Write --map COLUMN=NAME or --map COLUMN=NAME:TYPE."),
    "map_type": _l("There is no type “%(type)s”. Choose one of: %(types)s."),
    "key_name": _l("Give it a name of at most %(most)s characters."),
    "key_property": _l("“%(name)s” cannot be the name of a property."),
    "key_exists": _l("There is an AppKey named “%(name)s” already."),
}


def why(reason: str, facts: Mapping[str, Any]) -> str:
    """Return why a record or a row was not kept, and what to do."""
    text = PROBLEMS.get(f"record_{reason}") or other_systems.PROBLEMS.get(f"record_{reason}")
    return reason if text is None else str(text) % in_words(facts)


def in_words(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a sentence with codes of types in words."""
    types = {kind.value: LABELS[kind] for kind in Type}
    return {
        name: str(types.get(fact, fact)) if name in {"expected", "found", "type"} else fact
        for name, fact in {"name": "xwho", "n": 1, "value": "", **facts}.items()
    }
