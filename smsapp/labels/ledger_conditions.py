"""Conditions of a segment's rule on what was sent and answered: operators, sentences, and what is wrong with one."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain.ledger_condition import LedgerCondition, LedgerOperator, LedgerParam
from smsapp.domain.outcome import Outcome
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.labels.outcomes import LABELS as OUTCOMES

PROBLEMS = {
    "segment_campaign_missing": _l("Choose a campaign."),
    "segment_days_unreadable": _l("Write a whole number of days from 1 to %(limit)s."),
    "segment_runs_forgotten": _l(
        "Single messages of “%(name)s” have been removed, so nobody knows any more who got which. "
        "Choose another campaign, or a newer run of it."
    ),
    "segment_days_forgotten": _l("Single messages of the last %(days)s days have been removed. Choose fewer days."),
}

LABELS: dict[Any, Any] = {
    LedgerOperator.SENT: _l("was sent"),
    LedgerOperator.NOT_SENT: _l("was not sent"),
    LedgerOperator.RECEIVED: _l("has received"),
    LedgerOperator.NOT_RECEIVED: _l("has not received"),
    LedgerOperator.FAILED: _l("was not reached by"),
    LedgerOperator.REPLIED: _l("has replied to"),
    LedgerOperator.NOT_REPLIED: _l("has not replied to"),
    LedgerOperator.REPLIED_WITHIN: _l("has replied within the last"),
    LedgerOperator.MARKETING_WITHIN: _l("was sent marketing within the last"),
    LedgerOperator.NO_MARKETING_WITHIN: _l("was sent no marketing within the last"),
    LedgerParam.CAMPAIGN: _l("Campaign"),
    LedgerParam.RUN: _l("Run"),
    LedgerParam.REASON: _l("Reason"),
    LedgerParam.DAYS: _l("Days"),
}


def sentence(condition: LedgerCondition, campaign: str, slot: str) -> str:
    """Return the condition as a sentence; `campaign` is a name, `slot` when the run was due, "" for every run."""
    operator = str(LABELS[condition.operator])
    if condition.days:
        days = ngettext("%(num)s day", "%(num)s days", condition.days)
        return str(_("%(operator)s %(days)s", operator=operator, days=days))
    text = _("%(operator)s “%(campaign)s”", operator=operator, campaign=campaign or f"#{condition.campaign_id}")
    if slot:
        text = _("%(text)s (run of %(slot)s)", text=text, slot=slot)
    if condition.reason:
        text = _("%(text)s, because: %(reason)s", text=text, reason=OUTCOMES[Outcome(condition.reason)])
    return str(text)
