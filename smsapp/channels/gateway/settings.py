"""The settings of a gateway, and the guide to the placeholders of its templates."""

from __future__ import annotations

from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import (
    ACCOUNT,
    LIMITS,
    PLAIN_HTTP,
    RECEIPT,
    TIMEOUT,
    max_concurrency,
    number_format,
    per_request,
)
from smsapp.channels.types import GuideLine
from smsapp.channels.types import msgid as _l

REQUEST, ANSWER = _l("Request"), _l("Answer")

PLACE = _l("A JSON path such as $.data.id, or a regular expression between slashes whose first group is the value.")


def _text(
    name: str, label: str, section: str, hint: str = "", default: str = "", widget: Widget = Widget.TEXT
) -> Setting:
    return Setting(name, label, widget, default, hint=hint, section=section)


SETTINGS = (
    Setting(
        "method",
        _l("Method"),
        Widget.CHOICE,
        "POST",
        True,
        choices=(("GET", "GET"), ("POST", "POST")),
        section=REQUEST,
    ),
    Setting(
        "url",
        _l("Address"),
        Widget.LONG_TEXT,
        required=True,
        hint=_l("Values are percent-encoded where the placeholders stand."),
        section=REQUEST,
    ),
    _text("headers", _l("Headers"), REQUEST, _l("One per line, Name: value."), widget=Widget.LONG_TEXT),
    Setting(
        "body_format",
        _l("Body format"),
        Widget.CHOICE,
        "none",
        True,
        _l("Decides how values are encoded in the body, and its content type."),
        (
            ("none", _l("no body")),
            ("form", _l("form")),
            ("json", "JSON"),
            ("xml", "XML"),
            ("text", _l("plain text")),
        ),
        section=REQUEST,
    ),
    _text("body", _l("Body"), REQUEST, widget=Widget.LONG_TEXT),
    Setting(
        "charset",
        _l("Character set"),
        Widget.CHOICE,
        "utf-8",
        True,
        choices=(("utf-8", "UTF-8"), ("gb18030", "GBK / GB18030")),
        section=REQUEST,
    ),
    number_format(REQUEST),
    _text("username", _l("User name"), ACCOUNT),
    _text("password", _l("Password"), ACCOUNT, widget=Widget.SECRET),
    _text("token", _l("Token"), ACCOUNT, _l("Another secret, for the placeholder {token}."), widget=Widget.SECRET),
    Setting(
        "basic_auth",
        _l("Send user name and password by HTTP basic authentication"),
        Widget.FLAG,
        section=ACCOUNT,
    ),
    _text("sender", _l("Sender"), ACCOUNT, _l("Number or name the message comes from, for the placeholder {sender}.")),
    _text(
        "check_url",
        _l("Address that checks the account"),
        ACCOUNT,
        _l("Called by GET without sending anything; empty if the gateway has none."),
        widget=Widget.LONG_TEXT,
    ),
    _text("check_where", _l("Sign of a good account"), ACCOUNT, PLACE),
    _text(
        "balance_where",
        _l("Balance"),
        ACCOUNT,
        _l("JSON path or /regular expression/ in the same answer; empty if it tells none."),
    ),
    _text(
        "balance_currency", _l("Currency of the balance"), ACCOUNT, _l("Three letters; empty if it counts messages.")
    ),
    _text(
        "accepted_where",
        _l("Sign of acceptance"),
        ANSWER,
        _l("JSON path or /regular expression/. Empty: every 2xx status means accepted."),
    ),
    _text(
        "accepted_values",
        _l("Values that mean accepted"),
        ANSWER,
        _l("Separated by commas. Empty: any value found there."),
    ),
    _text("id_where", _l("The gateway's id of the message"), ANSWER, PLACE),
    _text("code_where", _l("Error code"), ANSWER, PLACE),
    _text(
        "rules",
        _l("Rules for errors"),
        ANSWER,
        _l(
            "One per line, the first that fits counts: 403 /text/ = misconfigured credentials, or 4xx code:1003 = "
            "refused bad_number. Verdicts: accepted, refused, throttled, misconfigured, unclear."
        ),
        widget=Widget.LONG_TEXT,
    ),
    _text(
        "receipt_url",
        _l("Receipt address given to the gateway"),
        RECEIPT,
        _l("Becomes the placeholder {receipt_url}. Bring {ref} back in it: receipts are found by it."),
        "{callback_url}?ref={ref}",
    ),
    Setting(
        "receipt_format",
        _l("Receipts come as"),
        Widget.CHOICE,
        "parameters",
        True,
        choices=(("parameters", _l("query or form parameters")), ("json", "JSON")),
        section=RECEIPT,
    ),
    _text("receipt_list", _l("Path of the list of receipts"), RECEIPT, _l("JSON only; empty if there is one receipt.")),
    _text("receipt_ref", _l("Our reference"), RECEIPT, _l("Name of the parameter, or JSON path."), "ref"),
    _text("receipt_id", _l("The gateway's id"), RECEIPT),
    _text("receipt_phone", _l("Number"), RECEIPT, _l("Needed when a request carries several numbers.")),
    _text("receipt_status", _l("Status"), RECEIPT, default="status"),
    _text("receipt_code", _l("Error code"), RECEIPT),
    Setting(
        "receipt_code_form",
        _l("Error codes are written"),
        Widget.CHOICE,
        "plain",
        True,
        _l("A gateway in front of an SMSC may hand on its whole receipt or refusal; state and code are then read."),
        (("plain", _l("as they are")), ("smsc", _l("as an SMSC's receipt or refusal"))),
        section=RECEIPT,
    ),
    _text("delivered_values", _l("Values that mean delivered"), RECEIPT, default="DELIVRD"),
    _text("undelivered_values", _l("Values that mean undelivered"), RECEIPT, default="UNDELIV, EXPIRED, REJECTD"),
    _text("waiting_values", _l("Values that mean on the way"), RECEIPT),
    _text(
        "receipt_outcomes",
        _l("What error codes mean"),
        RECEIPT,
        _l("One per line: code = outcome, for example EXPIRED = expired."),
        widget=Widget.LONG_TEXT,
    ),
    _text("reply_phone", _l("Sender of a reply"), RECEIPT, _l("Name of the parameter, or JSON path.")),
    _text("reply_text", _l("Text of a reply"), RECEIPT),
    _text(
        "reply_coding", _l("Coding of a reply"), RECEIPT, _l("If it says 8, the text is read from the next parameter.")
    ),
    _text("reply_hex", _l("Text of a reply as hexadecimal UTF-16"), RECEIPT),
    _text("callback_answer", _l("What we answer to a receipt"), RECEIPT, default="OK"),
    per_request("1"),
    Setting("separator", _l("Separator between numbers"), default=",", section=LIMITS, keeps_spaces=True),
    max_concurrency("50"),
    TIMEOUT,
    PLAIN_HTTP,
)

GUIDE = (
    GuideLine("{to}", _l("the number, or the numbers of the request")),
    GuideLine("{text}", _l("the whole text with its signature")),
    GuideLine("{unsigned_text}", _l("the text without its signature")),
    GuideLine("{text_hex}", _l("the whole text as hexadecimal UTF-16")),
    GuideLine("{valid_minutes}", _l("whole minutes until the campaign's limit; 1440 without one")),
    GuideLine("{signature}", _l("the signature without brackets")),
    GuideLine("{template_code}", _l("the template's code at the provider")),
    GuideLine("{ref}", _l("our reference of the message, which receipts bring back")),
    GuideLine("{callback_url}", _l("the address of this channel for callbacks")),
    GuideLine("{receipt_url}", _l("the receipt address below, filled in")),
    GuideLine("{username} {password} {token} {sender}", _l("the account's settings")),
)
