"""What can happen to a message: the scenarios that magic numbers select, and those that are drawn by rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smsapp.channels.errors import AccountError, ChannelError, NotSent, OutcomeUnknown, Throttled
from smsapp.channels.types import ReceiptStatus
from smsapp.channels.types import msgid as _l
from smsapp.domain.outcome import Outcome

MAGIC = "+861380000"
"""The last four digits of a number with this prefix select its scenario in SCENARIOS."""
LATE = 3600.0


@dataclass(frozen=True)
class Scenario:
    """What happens to one message: how the call ends, the answer, the receipts and the reply."""

    meaning: str
    refused: Outcome | None = None
    receipts: tuple[tuple[ReceiptStatus, Outcome | None, str], ...] = ((ReceiptStatus.DELIVERED, None, "DELIVRD"),)
    early: bool = False
    late: bool = False
    reply: str = ""
    error: Callable[[], ChannelError] | None = None
    error_once: bool = False
    """Raise `error` on the first try only; the same message is accepted when it is tried again."""


DELIVERED = (ReceiptStatus.DELIVERED, None, "DELIVRD")
UNDELIVERED = (ReceiptStatus.UNDELIVERED, Outcome.SWITCHED_OFF, "UNDELIV")
NORMAL = Scenario(_l("accepted, delivered"))
ERRORS: tuple[tuple[str, str, str, Callable[[], ChannelError]], ...] = (
    # digit, tried once, tried always, what is raised
    ("1", _l("throttled once, then accepted"), _l("throttled every time"), lambda: Throttled("SIM-429", retry_after=1)),
    (
        "2",
        _l("unreachable once, then accepted"),
        _l("unreachable every time"),
        lambda: NotSent("SIM-DOWN", outcome=Outcome.NETWORK),
    ),
    (
        "3",
        _l("credentials refused once, then accepted"),
        _l("credentials refused every time"),
        lambda: AccountError("SIM-KEY", outcome=Outcome.CREDENTIALS),
    ),
    (
        "4",
        _l("balance exhausted once, then accepted"),
        _l("balance exhausted every time"),
        lambda: AccountError("SIM-BALANCE", outcome=Outcome.BALANCE),
    ),
    (
        "5",
        _l("template refused once, then accepted"),
        _l("template refused every time"),
        lambda: AccountError("SIM-TEMPLATE", outcome=Outcome.TEMPLATE_REFUSED),
    ),
)


def cut_after_sending() -> ChannelError:
    return OutcomeUnknown("SIM-CUT", outcome=Outcome.NETWORK)


SCENARIOS: dict[str, Scenario] = {
    "0000": NORMAL,
    "0001": Scenario(_l("delivered, the receipt comes twice"), receipts=(DELIVERED, DELIVERED)),
    "0002": Scenario(_l("delivered, the receipt comes before the answer"), early=True),
    "0003": Scenario(_l("delivered, the receipt comes an hour late"), late=True),
    "0004": Scenario(_l("accepted, no receipt ever"), receipts=()),
    "0005": Scenario(_l("first undelivered, then delivered"), receipts=(UNDELIVERED, DELIVERED)),
    "0006": Scenario(_l("first delivered, then undelivered"), receipts=(DELIVERED, UNDELIVERED)),
    "0007": Scenario(
        _l("undelivered with a code nobody knows"), receipts=((ReceiptStatus.UNDELIVERED, Outcome.UNKNOWN, "SIM-4711"),)
    ),
    "0008": Scenario(
        _l("buffered on the way, then delivered"), receipts=((ReceiptStatus.ACCEPTED, None, "ENROUTE"), DELIVERED)
    ),
    **{f"{100 + n:04}": Scenario(_l("refused:"), refused=outcome, receipts=()) for n, outcome in enumerate(Outcome, 1)},
    **{
        f"{200 + n:04}": Scenario(
            _l("accepted, undelivered:"), receipts=((ReceiptStatus.UNDELIVERED, outcome, f"SIM-{outcome.upper()}"),)
        )
        for n, outcome in enumerate(Outcome, 1)
    },
    **{f"030{digit}": Scenario(once, error=make, error_once=True) for digit, once, _, make in ERRORS},
    **{f"031{digit}": Scenario(always, error=make, receipts=()) for digit, _, always, make in ERRORS},
    "0321": Scenario(_l("cut after sending; it had arrived, a receipt proves it"), error=cut_after_sending),
    "0322": Scenario(_l("cut after sending; nothing is ever heard of it"), error=cut_after_sending, receipts=()),
    "0401": Scenario(_l("delivered, replies TD"), reply="TD"),
    "0402": Scenario(_l("delivered, replies 退订"), reply="退订"),
    "0403": Scenario(_l("delivered, replies Ｔ。"), reply="Ｔ。"),
    "0404": Scenario(_l("delivered, replies STOP"), reply="STOP"),
    "0405": Scenario(_l("delivered, replies 不要退订 (no opt-out)"), reply="不要退订"),
    "0406": Scenario(_l("delivered, replies 谢谢 (no opt-out)"), reply="谢谢"),
}
FAILURES = (
    # outcomes of undelivered receipts and their weights, in the proportions seen in China
    (Outcome.SWITCHED_OFF, 45),
    (Outcome.NO_SUCH_SUBSCRIBER, 25),
    (Outcome.BLOCKED_BY_CARRIER, 15),
    (Outcome.SUSPENDED, 10),
    (Outcome.UNKNOWN, 5),
)
REFUSALS = (
    # outcomes of refusals and their weights; without OPTED_OUT, which would put numbers on our opt-out list by chance
    (Outcome.BAD_NUMBER, 40),
    (Outcome.FREQUENCY_LIMIT, 30),
    (Outcome.BLOCKED_BY_CARRIER, 20),
    (Outcome.CONTENT_REFUSED, 10),
)


def pick(choices: tuple[tuple[Outcome, int], ...], draw: float) -> Outcome:
    """Return the outcome that `draw` (0..1) selects by weights that add up to 100."""
    for outcome, weight in choices:
        draw -= weight / 100
        if draw < 0:
            return outcome
    return choices[-1][0]
