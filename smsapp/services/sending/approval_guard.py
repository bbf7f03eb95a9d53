"""The approval guard: what needs a second person neither is confirmed nor leaves without one.

It is asked in the transaction of the confirmation and again when a run's audience is frozen. What was approved is named
by hashes of every field (`domain/approval_digest.py`): any change since leaves no approval that counts.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import approval_digest
from smsapp.domain.approval import ApprovalRule, Estimate
from smsapp.domain.approval_digest import APPROVER, ESTIMATE
from smsapp.domain.draft import FIELDS
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.rights import Right, may
from smsapp.domain.roles import Role
from smsapp.domain.run import HoldReason
from smsapp.domain.schedule import Schedule
from smsapp.domain.segment import Kind
from smsapp.services.sending import approval_rule
from smsapp.services.sending.held_back import HeldBack
from smsapp.store.campaigns import approvals as store
from smsapp.store.campaigns.approvals import Approval
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.contacts.segments import Segment
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import User

log = logging.getLogger(__name__)


def hashes_of(session: Session, campaign: Campaign) -> dict[str, str]:
    """Return field -> hash of what the campaign is now, with the words of its templates and the rule of its segment."""
    values: dict[str, Any] = {name: getattr(campaign, name) for name in FIELDS}
    values["schedule"] = Schedule.from_json({"zone": campaign.zone} | campaign.schedule)
    values["text"] = _words(session, campaign.template_id)
    values["second_text"] = _words(session, campaign.second_template_id if campaign.second_channel_id else None)
    values["segment_rule"] = _segment_rules(session, campaign)
    return approval_digest.hashes(values)


def _words(session: Session, template_id: int | None) -> list[str] | None:
    template = session.get(SmsTemplate, template_id, populate_existing=True) if template_id else None
    return [template.code, template.text, template.signature, template.purpose] if template else None


def _segment_rules(session: Session, campaign: Campaign) -> list[Any]:
    """Return what makes somebody a member of each named segment; of a stored list also when it was stored."""
    rows = [session.get(Segment, segment_id, populate_existing=True) for segment_id in audience_of(campaign).ids]
    return [[row.id, row.kind, row.rule, None if row.kind == Kind.DYNAMIC else row.computed_at] for row in rows if row]


def differences(
    session: Session, approval: Approval, now: dict[str, str], estimate: Estimate, rule: ApprovalRule
) -> Sequence[str]:
    """Return what keeps this request or approval from counting: changed fields, a larger estimate, its approver."""
    changed = [*approval_digest.changed(approval.parts, now)]
    if estimate.exceeds(Estimate.from_json(approval.estimate), rule.percent):
        changed.append(ESTIMATE)
    if approval.decided_at is not None and not _may_approve(session, approval.decided_by):
        changed.append(APPROVER)
    return changed


def _may_approve(session: Session, user_id: int | None) -> bool:
    """Return whether this person still is somebody who may approve."""
    person = session.get(User, user_id, populate_existing=True) if user_id else None
    return person is not None and person.active and may(Role(person.role), Right.RUNS_ACCEPT)


def in_force(session: Session, campaign: Campaign, estimate: Estimate, run_id: int | None = None) -> Approval | None:
    """Return the approval under which the campaign, or this run of it, may go out as it is now; None if none counts."""
    rule = approval_rule.rule(session)
    now = hashes_of(session, campaign)
    candidates = store.unused(session, campaign.id, run_id)
    return next((row for row in candidates if not differences(session, row, now, estimate, rule)), None)


def require_approval(session: Session, campaign: Campaign, estimate: Estimate | None) -> None:
    """Raise Refusal if this campaign may not be confirmed without an approval that counts.

    Called in the transaction of the confirmation; `estimate` None: there was no rule when it was estimated.
    """
    rule = approval_rule.rule(session)
    if not rule.enabled:
        return
    if estimate is None:
        raise Refusal(Problem("approval_rule_changed"))
    if rule.needs(estimate) and in_force(session, campaign, estimate) is None:
        raise Refusal(Problem("approval_missing"))


def is_on(session: Session) -> bool:
    """Return whether anything needs a second person at all."""
    return approval_rule.rule(session).enabled


def check(session: Session, campaign: Campaign, run: Run, size: Estimate) -> None:
    """Count the run just frozen under an approval; raises HeldBack if it needs one and none counts.

    Runs that repeat another one write to people of a run that was approved, and are not asked.
    """
    if run.repeats is not None or not approval_rule.rule(session).needs(size):
        return
    approval = in_force(session, campaign, size, run.id)
    if approval is None or not store.use(session, approval.id):
        raise HeldBack(HoldReason.APPROVAL, size)


def ask_for_run(session: Session, run_id: int, estimate: Estimate, now: dt.datetime) -> None:
    """Have the run that has just been held wait for an approval of what it is now."""
    run = session.get_one(Run, run_id, populate_existing=True)
    campaign = session.get(Campaign, run.campaign_id, populate_existing=True)
    if campaign is not None:
        store.close_open(session, campaign.id, run_id)
        add_request(session, campaign, estimate, None, now, run_id)


def add_request(
    session: Session,
    campaign: Campaign,
    estimate: Estimate,
    asked_by: int | None,
    now: dt.datetime,
    run_id: int | None = None,
) -> Approval:
    """Store a request for the approval of what the campaign is now."""
    parts = hashes_of(session, campaign)
    size = estimate.as_json()
    row = Approval(
        campaign_id=campaign.id,
        run_id=run_id,
        digest=approval_digest.digest(parts, size),
        parts=parts,
        estimate=size,
        asked_by=asked_by,
        asked_at=now,
    )
    session.add(row)
    session.flush()
    return row
