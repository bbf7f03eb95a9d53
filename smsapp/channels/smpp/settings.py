"""The settings of an SMPP channel."""

from __future__ import annotations

from dataclasses import replace

from smsapp.channels._setting import Setting, Widget
from smsapp.channels._shared_settings import LIMITS, RECEIPT, number_format
from smsapp.channels.types import GuideLine
from smsapp.channels.types import msgid as _l

CONNECTION, TEXTS, ADDRESSES = _l("Connection"), _l("Texts"), _l("Numbers and sender")

TONS = (
    ("0", _l("0 unknown")),
    ("1", _l("1 international")),
    ("2", _l("2 national")),
    ("3", _l("3 network")),
    ("4", _l("4 subscriber")),
    ("5", _l("5 letters and digits")),
    ("6", _l("6 abbreviated")),
)
NPIS = tuple((number, number) for number in ("0", "1", "3", "4", "6", "8", "9", "10", "14", "18"))


def _number(name: str, label: str, section: str, default: str, low: float, high: float, hint: str = "") -> Setting:
    return Setting(name, label, Widget.NUMBER, default, True, hint, low=low, high=high, section=section)


def _choice(
    name: str, label: str, section: str, default: str, choices: tuple[tuple[str, str], ...], hint: str = ""
) -> Setting:
    return Setting(name, label, Widget.CHOICE, default, True, hint, choices, section=section)


SETTINGS = (
    Setting(
        "address",
        _l("Address"),
        default="",
        required=True,
        hint=_l("smpps:// (encrypted) or smpp://, host and port: smpps://smpp.example.com:2776."),
        section=CONNECTION,
    ),
    Setting("system_id", _l("System ID"), required=True, section=CONNECTION),
    Setting("password", _l("Password"), Widget.SECRET, section=CONNECTION),
    Setting("system_type", _l("System type"), hint=_l("Usually empty."), section=CONNECTION),
    Setting(
        "plain",
        _l("Allow smpp:// to a public host"),
        Widget.FLAG,
        hint=_l("Passwords and numbers then travel unencrypted."),
        section=CONNECTION,
    ),
    Setting("source", _l("Sender"), hint=_l("Number or name the message comes from."), section=ADDRESSES),
    _choice("source_ton", _l("Type of the sender (TON)"), ADDRESSES, "0", TONS),
    _choice("source_npi", _l("Numbering plan of the sender (NPI)"), ADDRESSES, "1", NPIS),
    number_format(ADDRESSES),
    _choice("destination_ton", _l("Type of the numbers (TON)"), ADDRESSES, "1", TONS),
    _choice("destination_npi", _l("Numbering plan of the numbers (NPI)"), ADDRESSES, "1", NPIS),
    Setting("service_type", _l("Service type"), hint=_l("Usually empty."), section=ADDRESSES),
    _choice(
        "alphabet",
        _l("Alphabet of data coding 0"),
        TEXTS,
        "gsm",
        (("gsm", "GSM-7"), ("latin1", "Latin-1")),
        _l("Texts with other letters, such as Chinese, leave as UCS-2 (data coding 8)."),
    ),
    _choice(
        "long_texts",
        _l("Long texts"),
        TEXTS,
        "udh8",
        (
            ("udh8", _l("parts with UDH, 8-bit reference")),
            ("udh16", _l("parts with UDH, 16-bit reference")),
            ("sar", _l("parts with SAR parameters")),
            ("payload", _l("whole, as message_payload")),
        ),
    ),
    _number(
        "validity",
        _l("Valid for, hours"),
        TEXTS,
        "0",
        0,
        168,
        _l("How long the carrier keeps trying; 0 leaves that to the provider."),
    ),
    _choice(
        "receipt",
        _l("Receipts asked for"),
        RECEIPT,
        "1",
        (("1", _l("all")), ("2", _l("failures only")), ("0", _l("none"))),
    ),
    _choice(
        "ids",
        _l("Message ids in answers and receipts"),
        RECEIPT,
        "same",
        (
            ("same", _l("the same")),
            ("hex-dec", _l("hexadecimal in answers, decimal in receipts")),
            ("dec-hex", _l("decimal in answers, hexadecimal in receipts")),
        ),
    ),
    Setting(
        "own_codes",
        _l("What the provider's own codes mean"),
        Widget.LONG_TEXT,
        hint=_l("One per line, code = outcome: 0x00000411 = balance, UNDELIV/027 = switched_off."),
        section=RECEIPT,
    ),
    _number("connections", _l("Connections"), LIMITS, "1", 1, 8, _l("As many as the account permits.")),
    _number(
        "window",
        _l("Window"),
        LIMITS,
        "50",
        1,
        1000,
        _l("Messages on each connection that may wait for an answer at the same time."),
    ),
    replace(_number("timeout", _l("Wait for an answer, seconds"), LIMITS, "15", 1, 60), whole=False),
    replace(
        _number("enquire", _l("Ask whether the connection lives after seconds of silence"), LIMITS, "30", 5, 300),
        whole=False,
    ),
)
GUIDE = (
    GuideLine("0x0000000d 0x0000000e 0x0000000f", _l("user, password or system type refused, or address not released")),
    GuideLine("0x00000005", _l("more connections than the account permits")),
    GuideLine("0x0000000b", _l("the number is wrong")),
    GuideLine("0x00000058 0x00000014", _l("too fast: it goes on more slowly by itself")),
    GuideLine("DELIVRD", _l("delivered")),
    GuideLine("UNDELIV EXPIRED REJECTD DELETED", _l("not delivered")),
    GuideLine("ENROUTE ACCEPTD UNKNOWN", _l("on the way; another receipt follows")),
)
