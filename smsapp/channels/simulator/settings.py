"""The settings of the simulator, and the guide to its magic numbers."""

from __future__ import annotations

from smsapp.channels._setting import Setting, Widget
from smsapp.channels.simulator.scenarios import SCENARIOS, Scenario
from smsapp.channels.types import GuideLine
from smsapp.channels.types import msgid as _l

ANSWERS, RECEIPTS, REPLIES, TEMPLATES = _l("Answers"), _l("Receipts"), _l("Replies"), _l("SMS templates")


def _percent(name: str, label: str, default: str, section: str, hint: str = "") -> Setting:
    return Setting(name, label, Widget.NUMBER, default, True, hint, low=0, high=100, section=section, whole=False)


def _guide_line(digits: str, scenario: Scenario) -> GuideLine:
    """Return the line of a magic number; those of refusals and of undelivered messages name the outcome, too."""
    outcome = None
    if digits[1] in "12":
        outcome = scenario.refused or (scenario.receipts and scenario.receipts[0][1]) or None
    return GuideLine(f"138 0000 {digits}", scenario.meaning, outcome)


SETTINGS = (
    _percent("refused", _l("Refused, %"), "1", ANSWERS, _l("Share of messages refused at once.")),
    Setting(
        "answer_seconds",
        _l("Answer after, seconds"),
        Widget.NUMBER,
        "0",
        True,
        _l("How long the simulator thinks before it answers a request."),
        low=0,
        high=60,
        section=ANSWERS,
        whole=False,
    ),
    Setting(
        "balance",
        _l("Balance"),
        Widget.NUMBER,
        hint=_l("Balance of the simulated account; empty if it tells none."),
        low=0,
        high=1_000_000,
        section=ANSWERS,
        whole=False,
    ),
    Setting(
        "per_request",
        _l("Messages per request"),
        Widget.NUMBER,
        "100",
        True,
        _l("Most messages one request carries."),
        low=1,
        high=1000,
        section=ANSWERS,
    ),
    _percent("undelivered", _l("Undelivered, %"), "3", RECEIPTS, _l("Share of accepted messages that do not arrive.")),
    _percent("silent", _l("No receipt, %"), "1", RECEIPTS, _l("Share of accepted messages nothing is heard of.")),
    Setting(
        "receipt_seconds",
        _l("Receipts after, seconds"),
        Widget.NUMBER,
        "2",
        True,
        low=0,
        high=86400,
        section=RECEIPTS,
        whole=False,
    ),
    Setting(
        "receipt_spread",
        _l("Receipts spread over, seconds"),
        Widget.NUMBER,
        "8",
        True,
        _l("Receipts come evenly within this time after the first one."),
        low=0,
        high=86400,
        section=RECEIPTS,
        whole=False,
    ),
    _percent("opt_outs", _l("Replies TD, %"), "0.2", REPLIES, _l("Share of delivered messages answered with TD.")),
    Setting(
        "templates",
        _l("Templates of the simulated account"),
        Widget.LONG_TEXT,
        hint=_l(
            "One a line: code | approved, pending, refused: reason | marketing, notification, verification or "
            "nothing | 【signature】text. Change or remove a line and sync, to rehearse what a provider does."
        ),
        section=TEMPLATES,
    ),
    Setting(
        "signatures",
        _l("Signatures of the simulated account"),
        hint=_l("Approved ones, separated by commas."),
        section=TEMPLATES,
    ),
    Setting(
        "seed",
        _l("Seed"),
        default="1",
        section=REPLIES,
        hint=_l("Another seed draws other fates for the same messages."),
    ),
)
GUIDE = tuple(_guide_line(digits, scenario) for digits, scenario in SCENARIOS.items())
