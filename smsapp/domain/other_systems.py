"""Other systems whose files of people are read: what their columns mean, and why a row of theirs does not come in.

Sources: Amazon Pinpoint User Guide, "Importing segments" (supported attributes), and its API reference,
EndpointResponse; listmonk's export of subscribers; GOV.UK Notify, "Upload a list of recipients".
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from smsapp.domain.contact import PHONE, Type
from smsapp.domain.guesses import Guess
from smsapp.domain.rejection import Reason


class System(enum.StrEnum):
    """A system whose files are known."""

    PINPOINT = "pinpoint"
    LISTMONK = "listmonk"
    NOTIFY = "notify"
    TABLE = "table"
    """None: the file is an ordinary table, whatever its headings are."""


NAMES: Mapping[System, str] = {
    System.PINPOINT: "Amazon Pinpoint",
    System.LISTMONK: "listmonk",
    System.NOTIFY: "GOV.UK Notify",
}
ID_HEADING, PHONE_HEADING = "user_id", "phone"
"""Headings of the first two columns of a translated table; `guesses` recognises them."""
NEEDED: Mapping[System, tuple[str, ...]] = {
    System.PINPOINT: ("ChannelType", "Address"),
    System.LISTMONK: ("email", "attributes"),
    System.NOTIFY: ("phone number",),
}
"""Headings without which a file is none of that system, however they are written."""
MEANT: Mapping[System, tuple[str, ...]] = {
    System.PINPOINT: ("ChannelType", "Address", "OptOut", "EndpointStatus", "EffectiveDate", "User.UserId"),
    System.LISTMONK: ("email", "name", "attributes", "status"),
}
"""Headings with a meaning of their own."""
RECOGNISED: Mapping[System, frozenset[str]] = {
    System.PINPOINT: frozenset({"ChannelType", "Address"}),
    System.LISTMONK: frozenset({"uuid", "email", "attributes", "status"}),
}
"""Headings that no other table has, exactly as they are written; files of other systems have to be named."""
TRANSLATED = (System.PINPOINT, System.LISTMONK)
"""Systems whose rows become other rows before they are imported; the others are ordinary tables."""
OPT_OUT_NOTES: Mapping[System, str] = {
    System.PINPOINT: "Amazon Pinpoint: OptOut=ALL",
    System.LISTMONK: "listmonk: blocklisted",
}
"""What stands beside a number on the opt-out list that a file put there."""
PHONE_COLUMN = 1
"""Where a translated table has its numbers."""
REGIONS: Mapping[System, str] = {System.NOTIFY: "GB"}
"""Whose national numbers a system's files hold, where it is not the country of this installation."""

# Rows that do not come in

REASONS: tuple[Reason | None, ...] = (
    None,
    Reason.MERGED,
    Reason.OTHER_CHANNEL,
    Reason.INACTIVE,
    Reason.UNCLEAR_OPT_OUT,
    Reason.UNCLEAR_NUMBER,
    Reason.BAD_ADDRESS,
    Reason.BROKEN_LINE,
    Reason.LONG_LINE,
    Reason.MISFIT,
    Reason.DISABLED,
    Reason.BLOCKED_WITHOUT_NUMBER,
    Reason.UNKNOWN_STATUS,
    Reason.BROKEN_ATTRIBUTES,
    Reason.BAD_ID,
    Reason.OPTED_OUT_UNREADABLE,
    Reason.OPTED_OUT_UNCLEAR,
)
"""What becomes of a row, by the lower bits of its mark, which are stored: None, it is taken."""
MARKS: Mapping[Reason, int] = {reason: mark for mark, reason in enumerate(REASONS) if reason is not None}
CORRECTABLE = frozenset({Reason.UNCLEAR_NUMBER, Reason.BAD_ADDRESS, Reason.BAD_ID})
"""Of those, what may come in as an ordinary row once it is corrected: a translated row says nothing of its channel,
its status or an opt-out any more."""
OPTED_OUT = 0x80
"""The bit of a row's mark that puts its number on the opt-out list, whether the row is taken or not."""


def reason_of(mark: int) -> Reason | None:
    """Return why a row with this mark is not taken; None if it is."""
    return REASONS[mark & ~OPTED_OUT]


def reason_of_opted_out(numbers: Sequence[str]) -> Reason | None:
    """Return why an opted-out row whose number may be one of these is not taken; None if it is."""
    return None if len(numbers) == 1 else Reason.OPTED_OUT_UNCLEAR if numbers else Reason.OPTED_OUT_UNREADABLE


def is_correctable(reason: str) -> bool:
    """Return whether a row left out for this reason, or for one of its cells, may be corrected and imported again."""
    return reason not in MARKS or reason in CORRECTABLE


def plain_heading(heading: str) -> str:
    """Return a heading as GOV.UK Notify compares them: without case, spaces, hyphens and underscores."""
    return "".join(letter for letter in heading.casefold() if not letter.isspace() and letter not in "-_")


def missing(system: System, headings: Sequence[str]) -> list[str]:
    """Return the needed headings that a table lacks."""
    held = {plain_heading(heading) for heading in headings}
    return [heading for heading in NEEDED[system] if plain_heading(heading) not in held]


def recognised(headings: Sequence[str]) -> System | None:
    """Return the system whose headings these are, None for those of an ordinary table."""
    held = {heading.strip() for heading in headings}
    return next((system for system, exact in RECOGNISED.items() if exact <= held), None)


def as_meant(system: System, headings: Sequence[str]) -> list[str]:
    """Return the headings of a file of that system, those with a meaning of their own as the system writes them."""
    result = [heading.strip() for heading in headings]
    plain = [plain_heading(heading) for heading in result]
    for name in MEANT.get(system, ()):
        if name not in result and plain_heading(name) in plain:
            result[plain.index(plain_heading(name))] = name
    return result


def as_phone(headings: Sequence[str], guessed: Sequence[Guess]) -> list[Guess]:
    """Return the guesses for a file of GOV.UK Notify: its recipient is the user id, the placeholders are properties."""
    recipient = plain_heading(NEEDED[System.NOTIFY][0])
    places = [i for i, heading in enumerate(headings) if plain_heading(heading) == recipient]
    return [
        Guess("id_phone", PHONE, Type.STRING)
        if i in places[:1]
        else Guess(
            "ignore" if guess.role == "ignore" or guess.name == PHONE else "property",
            guess.name or f"column_{i + 1}",
            guess.type,
        )
        for i, guess in enumerate(guessed)
    ]
