"""What needs a person, in sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_babel import format_decimal, format_percent, get_timezone, ngettext
from flask_babel import gettext as _

from smsapp import labels
from smsapp.labels import dates, reports
from smsapp.labels.locales import lazy_gettext as _l

NEEDS: dict[str, Any] = {
    "queue_down": _l("The queue does not answer: nothing is sent until it does."),
    "no_worker": _l("No worker is running: nothing is sent until one does."),
    "late": _l("Campaigns are overdue: the scheduler does not start them."),
}
"""Need -> sentence without numbers."""
COUNTED: dict[str, Callable[[int], Any]] = {
    "approval": lambda n: _("%(n)s waiting for approval", n=format_decimal(n)),
    "unconfirmed": lambda n: ngettext("%(num)s message is unconfirmed.", "%(num)s messages are unconfirmed.", n),
    "suspected": lambda n: ngettext("%(num)s reply looks like a refusal.", "%(num)s replies look like refusals.", n),
}
"""Need -> sentence of a number."""


def _lapsing(facts: dict[str, Any]) -> Any:
    words = {"name": facts["name"], "channel": facts["channel"]}
    if facts["over"]:
        return _("The registration of “%(name)s” on “%(channel)s” has lapsed.", **words)
    date = dates.written_date(facts["at"].astimezone(get_timezone()).date())
    return _("The registration of “%(name)s” on “%(channel)s” lapses on %(date)s.", **words, date=date)


def _budget(facts: dict[str, Any]) -> Any:
    name = " · ".join(filter(None, (labels.label(facts["scope"]), facts["of"])))
    return _("%(part)s of this month's budget “%(name)s” is taken.", part=format_percent(facts["part"]), name=name)


def _balance(facts: dict[str, Any]) -> Any:
    amount = f"{format_decimal(facts['amount'])} {facts['currency']}".strip()
    return _("The balance of the channel “%(name)s” is low: %(amount)s.", name=facts["name"], amount=amount)


def _webhook(facts: dict[str, Any]) -> Any:
    return _("The webhook “%(name)s” is not reached.", name=facts["name"])


NAMED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "lapsing": _lapsing,
    "budget": _budget,
    "balance": _balance,
    "webhook": _webhook,
}
"""Need -> sentence of its facts."""


PROBLEMS = {"demo_is_sending": _l("A campaign of the demo is being sent. Wait until it is over, or end it first.")}


def need(code: str, facts: dict[str, Any]) -> str:
    """Return what is to be done."""
    n = facts.get("n", 0)
    if code == "held":
        return str(_("“%(name)s” is held: %(reason)s", name=facts["name"], reason=reports.hold(facts["reason"])))
    if code == "template":
        text = ngettext(
            "The template “%(name)s” is “%(audit)s”; %(num)s campaign uses it.",
            "The template “%(name)s” is “%(audit)s”; %(num)s campaigns use it.",
            n,
            name=facts["name"],
            audit=labels.label(facts["audit"]),
        )
        return str(text)
    if code in NAMED:
        return str(NAMED[code](facts))
    if code in COUNTED:
        return str(COUNTED[code](n))
    if code == "key_alarm":
        return str(_("The AppKey “%(name)s” has raised an alarm.", name=facts["name"]))
    return str(NEEDS.get(code, code))
