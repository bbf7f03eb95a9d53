"""The second person: a campaign's approval is asked for, given or returned, and what waits for one is listed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain import approval as rules
from smsapp.domain import approval_digest
from smsapp.domain.approval import ApprovalFacts, ApprovalStanding, Estimate, Verdict
from smsapp.domain.campaign import Status
from smsapp.domain.errors import Conflict, NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.run import HoldReason, RunState
from smsapp.services.campaigns import drafts
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.platform.access import holds, require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import approval_guard, approval_rule
from smsapp.store import budgets, queue, users
from smsapp.store.campaigns import approvals as store
from smsapp.store.campaigns.approvals import Approval
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run

LONGEST_WORDS = 500
MOST_SHOWN = 50
"""The most requests that are listed; the oldest come first."""


@dataclass(frozen=True)
class ApprovalState:
    """How a draft stands, for its review page."""

    standing: ApprovalStanding
    request: Approval | None
    """The newest one; None if nobody has asked yet."""
    changed: Sequence[str]
    """What keeps it from counting: fields of the draft, and names of domain/approval_digest.py."""
    asked_by: str
    decided_by: str
    may_decide: bool
    """Whether the reader may approve or return it now."""
    is_author: bool
    """Whether the reader had a hand in it, and so may not."""

    @property
    def short(self) -> str:
        """The digest as people read it out to each other."""
        return approval_digest.short(self.request.digest) if self.request else ""

    @property
    def estimate(self) -> Estimate | None:
        return Estimate.from_json(self.request.estimate) if self.request else None

    @property
    def may_ask(self) -> bool:
        return self.standing in {ApprovalStanding.NEEDED, ApprovalStanding.RETURNED, ApprovalStanding.VOID}

    @property
    def is_shown(self) -> bool:
        return self.standing is not ApprovalStanding.NOT_NEEDED

    @property
    def waits(self) -> bool:
        return self.standing is ApprovalStanding.WAITING

    @property
    def is_approved(self) -> bool:
        return self.standing is ApprovalStanding.APPROVED

    @property
    def is_returned(self) -> bool:
        return self.standing is ApprovalStanding.RETURNED

    @property
    def is_void(self) -> bool:
        return self.standing is ApprovalStanding.VOID

    @property
    def blocks(self) -> bool:
        """Whether the campaign cannot be confirmed as it stands."""
        return self.standing not in {ApprovalStanding.NOT_NEEDED, ApprovalStanding.APPROVED}


@dataclass(frozen=True)
class WaitingApproval:
    """Something that waits for a second person."""

    id: int
    campaign_id: int
    run_id: int | None
    """A run that is held for it; None: a campaign that was not confirmed yet."""
    name: str
    short: str
    estimate: Estimate
    asked_by: str
    """"" if a run asks."""
    asked_at: dt.datetime
    own: bool
    """The reader had a hand in it, and so may not decide."""


def estimate_of(preview: DraftPreview) -> Estimate:
    """Return what the draft would be if it went out now."""
    cost = preview.cost
    messages = preview.counts.planned if preview.counts else 0
    return Estimate(messages, cost.parts, cost.amount, cost.currency) if cost else Estimate(messages, 0, None, "")


def estimate_if_asked(campaign_id: int, now: dt.datetime) -> Estimate | None:
    """Return the estimate of a draft if a second person or a budget may ask for it; None if not: nobody is counted."""
    session = current_session()
    if not approval_rule.rule(session).enabled and not budgets.are_there(session):
        return None
    return estimate_of(DraftPreview(drafts.draft_of(drafts.require_campaign(session, campaign_id)), now))


def state(preview: DraftPreview, campaign: Campaign, reader: Actor) -> ApprovalState:
    """Return how the draft stands in the eyes of this reader."""
    require(reader, Right.WORK_VIEW)
    session = current_session()
    rule = approval_rule.rule(session)
    request = store.newest(session, campaign.id) if rule.enabled else None
    estimate = estimate_of(preview) if rule.enabled else None
    needed = estimate is not None and rule.needs(estimate)
    changed: Sequence[str] = ()
    if request is not None and estimate is not None:
        now = approval_guard.hashes_of(session, campaign)
        changed = approval_guard.differences(session, request, now, estimate, rule)
    facts = ApprovalFacts(request.verdict, changed) if request else None
    standing = rules.standing(needed=needed, newest=facts)
    if request is not None and standing is ApprovalStanding.WAITING:
        is_author = not _is_second_person(session, campaign, request, reader)
    else:
        is_author = reader.user_id in store.authors(session, campaign)
    people = users.names(session, [person for person in _people(request) if person])
    return ApprovalState(
        standing=standing,
        request=request,
        changed=changed,
        asked_by=people.get(request.asked_by or 0, "") if request else "",
        decided_by=people.get(request.decided_by or 0, "") if request else "",
        may_decide=standing is ApprovalStanding.WAITING and not is_author and holds(reader, Right.RUNS_ACCEPT),
        is_author=is_author,
    )


def _people(request: Approval | None) -> Sequence[int | None]:
    return (request.asked_by, request.decided_by) if request else ()


def _is_second_person(session: Session, campaign: Campaign, request: Approval, reader: Actor) -> bool:
    return rules.is_second_person(reader.user_id, store.authors(session, campaign) | {request.asked_by})


def ask(campaign_id: int, version: int, actor: Actor, now: dt.datetime) -> str:
    """Ask for the approval of the draft as it was reviewed; return the short digest.

    Raises Conflict if it is no draft any more, EditConflict if it is not the one that was reviewed, Refusal with what
    is wrong with it, and Refusal if nobody has to approve it.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    preview = DraftPreview(drafts.draft_of(drafts.require_campaign(current_session(), campaign_id)), now)
    estimate = estimate_of(preview)
    with writing() as session:
        campaign = _locked(session, campaign_id)
        if campaign.status != Status.DRAFT:
            raise Conflict(status=campaign.status)
        if campaign.version != version:
            raise drafts.EditConflict(drafts.draft_of(campaign), campaign.version)
        problems = drafts.problems(drafts.draft_of(campaign), now)
        if problems:
            raise Refusal(*problems)
        if not approval_rule.rule(session).needs(estimate):
            raise Refusal(Problem("approval_not_needed"))
        store.close_open(session, campaign_id, None)
        row = approval_guard.add_request(session, campaign, estimate, actor.user_id, now)
        short = approval_digest.short(row.digest)
        log_action(session, actor, "ask_approval", drafts.NOUN, campaign_id, now, name=campaign.name, digest=row.digest)
    return short


def decide(
    approval_id: int, seen: str, verdict: Verdict, words: str, n_runs: int, actor: Actor, now: dt.datetime
) -> None:
    """Approve a campaign or a held run for `n_runs` runs, or return a campaign with words.

    `seen` is the whole digest that the approver saw. Raises Conflict if somebody decided before or it does not wait any
    more, Refusal if the approver had a hand in it, if it has changed since it was asked for, or words are missing.
    """
    require(actor, Right.RUNS_ACCEPT)
    request = current_session().get(Approval, approval_id)
    if request is None:
        raise NotFound("approval")
    campaign_id, run_id = request.campaign_id, request.run_id
    _refuse_words(verdict, words.strip(), n_runs)
    with writing() as session:
        # The run before its campaign, as whoever closes the run locks them.
        run = lock_row(session, Run, run_id) if run_id else None
        campaign = _locked(session, campaign_id)
        request = session.get_one(Approval, approval_id, populate_existing=True)
        if not _is_second_person(session, campaign, request, actor):
            raise Refusal(Problem("approval_by_author"))
        if not _still_waits(campaign, run, run_id, verdict):
            raise Conflict(approval=approval_id)
        if approval_digest.changed(request.parts, approval_guard.hashes_of(session, campaign)):
            raise Refusal(Problem("approval_overtaken"))
        values = {"verdict": verdict, "decided_by": actor.user_id, "decided_at": now, "words": words.strip()}
        if not store.decide(session, approval_id, seen, **values, runs=n_runs if campaign.recurring else 1):
            raise Conflict(approval=approval_id)
        if run is not None and not runs.resume(session, run):
            raise Conflict(approval=approval_id)
        action = "approve_campaign" if verdict is Verdict.APPROVED else "return_campaign"
        facts = {"name": campaign.name, "digest": request.digest, "text": words.strip(), "runs": n_runs}
        log_action(session, actor, action, drafts.NOUN, campaign_id, now, **facts)
    if run_id is not None:
        queue.enqueue(queue.SEND, "send", run_id)


def _locked(session: Session, campaign_id: int) -> Campaign:
    """Return the campaign, locked: an edit and a decision come one after the other."""
    campaign = lock_row(session, Campaign, campaign_id)
    if campaign is None or campaign.deleted_at is not None:
        raise NotFound(drafts.NOUN)
    return campaign


def _refuse_words(verdict: Verdict, words: str, n_runs: int) -> None:
    if verdict is Verdict.RETURNED and not words:
        raise Refusal(Problem("approval_words_missing", "words"))
    if len(words) > LONGEST_WORDS:
        raise Refusal(Problem("approval_words_long", "words", {"most": LONGEST_WORDS}))
    if not 1 <= n_runs <= rules.MOST_RUNS:
        raise Refusal(Problem("approval_runs", "runs", {"most": rules.MOST_RUNS}))


def _still_waits(campaign: Campaign, run: Run | None, run_id: int | None, verdict: Verdict) -> bool:
    """Return whether what was asked for can still be decided; a held run can only be approved, or be ended."""
    if run_id is None:
        return campaign.status == Status.DRAFT
    is_held = run is not None and run.state == RunState.HELD and run.hold_reason == HoldReason.APPROVAL
    return is_held and verdict is Verdict.APPROVED


def waiting_for_approval(reader: Actor, limit: int = MOST_SHOWN) -> list[WaitingApproval]:
    """Return what waits for a second person, the oldest first; what has changed since waits for its author instead."""
    require(reader, Right.WORK_VIEW)
    session = current_session()
    lines: list[WaitingApproval] = []
    after = 0
    while len(lines) < limit and (rows := store.waiting(session, after, limit)):
        after = rows[-1].id
        names = users.names(session, [row.asked_by for row in rows if row.asked_by])
        for row in rows:
            campaign = session.get_one(Campaign, row.campaign_id)
            if row.run_id is None and approval_digest.changed(row.parts, approval_guard.hashes_of(session, campaign)):
                continue
            own = not _is_second_person(session, campaign, row, reader)
            lines.append(_line(row, campaign, names.get(row.asked_by or 0, ""), own))
    return lines[:limit]


def _line(row: Approval, campaign: Campaign, asked_by: str, own: bool) -> WaitingApproval:
    return WaitingApproval(
        id=row.id,
        campaign_id=campaign.id,
        run_id=row.run_id,
        name=campaign.name,
        short=approval_digest.short(row.digest),
        estimate=Estimate.from_json(row.estimate),
        asked_by=asked_by,
        asked_at=row.asked_at,
        own=own,
    )


@dataclass(frozen=True)
class RunRequest:
    """A held run that waits for an approval, beside what was approved last."""

    request: Approval
    size: Estimate
    approved: Estimate | None
    """None: nobody has approved anything of the campaign yet."""
    changed: Sequence[str]
    is_author: bool

    @property
    def short(self) -> str:
        return approval_digest.short(self.request.digest)


def of_run(run_id: int, reader: Actor) -> RunRequest | None:
    """Return what a held run asks an approver; None if it does not wait for one."""
    require(reader, Right.WORK_VIEW)
    session = current_session()
    request = store.of_run(session, run_id)
    run = session.get(Run, run_id)
    if request is None or run is None or run.hold_reason != HoldReason.APPROVAL:
        return None
    campaign = session.get_one(Campaign, request.campaign_id)
    newest = store.newest(session, campaign.id)
    before = newest if newest is not None and newest.verdict == Verdict.APPROVED else None
    size = Estimate.from_json(request.estimate)
    changed: Sequence[str] = ()
    if before is not None:
        now = approval_guard.hashes_of(session, campaign)
        changed = approval_guard.differences(session, before, now, size, approval_rule.rule(session))
    return RunRequest(
        request=request,
        size=size,
        approved=Estimate.from_json(before.estimate) if before else None,
        changed=changed,
        is_author=not _is_second_person(session, campaign, request, reader),
    )
