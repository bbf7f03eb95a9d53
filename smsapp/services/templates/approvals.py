"""Compares the text a campaign was confirmed with and its template's present text, which a person may accept.

No message leaves with a text that is not the confirmed one, or that the provider does not approve any more.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import wording
from smsapp.domain.campaign import unmapped
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.run import TEMPLATE_HOLDS, HoldReason, RunState
from smsapp.domain.sms_template import Audit, full_text, is_usable, variables
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store import queue, sms_templates
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)


def confirmed_words(template: SmsTemplate) -> dict[str, Any]:
    """Return what a campaign stores of the template it is confirmed with: a run with another text is held."""
    return {"text": template.text, "signature": template.signature}


def change(confirmed: dict[str, Any] | None, template: SmsTemplate | None) -> HoldReason | None:
    """Return why a run with this confirmed text must not go on, or None."""
    if template is None or not is_usable(template.audit, template.purpose):
        return HoldReason.TEMPLATE_WITHDRAWN
    return None if confirmed == confirmed_words(template) else HoldReason.TEMPLATE_CHANGED


@dataclass(frozen=True)
class Difference:
    """The confirmed text and the template's present one."""

    before: str
    now: str
    """"" if the template is gone."""
    pieces: list[wording.Piece]
    """Both texts as one list of pieces: equal, removed, added."""
    audit: str
    """The state now; "" if the template is gone."""
    reason: str
    template_id: int | None
    mark: str
    """Identifies the state of the template that a person has seen."""
    problems: list[Problem]
    """Why the new text cannot be accepted."""

    @property
    def before_pieces(self) -> list[tuple[bool, str]]:
        """The text before, each piece with whether it was taken out."""
        return [(part is wording.Part.OUT, text) for part, text in self.pieces if part is not wording.Part.IN]

    @property
    def now_pieces(self) -> list[tuple[bool, str]]:
        """The text now, each piece with whether it was put in."""
        return [(part is wording.Part.IN, text) for part, text in self.pieces if part is not wording.Part.OUT]

    @property
    def is_reworded(self) -> bool:
        return self.before != self.now

    @property
    def is_settled(self) -> bool:
        """Nothing differs any more: the run may go on."""
        return not self.is_reworded and not self.problems


def difference(run: Run) -> Difference | None:
    """Return the difference for which a run is held because of its template; None for any other run."""
    if run.state != RunState.HELD or run.hold_reason not in TEMPLATE_HOLDS:
        return None
    campaign = current_session().get(Campaign, run.campaign_id, populate_existing=True)
    template = _template(current_session(), campaign)
    words = _words_of(run, campaign)
    before = full_text(words.get("signature", ""), words.get("text", ""))
    now = full_text(template.signature, template.text) if template else ""
    return Difference(
        before=before,
        now=now,
        pieces=wording.woven(before, now) if template else [],
        audit=template.audit if template else "",
        reason=template.audit_reason if template else "",
        template_id=template.id if template else None,
        mark=template.mark if template else "",
        problems=_problems(run, campaign, template),
    )


def _template(session: Session, campaign: Campaign | None) -> SmsTemplate | None:
    if campaign is None or campaign.template_id is None:
        return None
    return session.get(SmsTemplate, campaign.template_id, populate_existing=True)


def _words_of(run: Run, campaign: Campaign | None) -> dict[str, Any]:
    """Return the text the run would be sent with: its own once its audience is frozen, else the campaign's."""
    if run.started_at is not None:
        return {"text": run.snapshot.text, "signature": run.snapshot.signature}
    return (campaign.confirmed_template if campaign else None) or {}


def _problems(run: Run, campaign: Campaign | None, template: SmsTemplate | None) -> list[Problem]:
    if campaign is None or template is None:
        return [Problem("template_gone", "template")]
    if template.audit != Audit.APPROVED:
        return [Problem("template_not_approved_now", "template")]
    if not is_usable(template.audit, template.purpose):
        return [Problem("template_purpose_unsaid", "template")]
    names = variables(template.text)
    if run.started_at is not None and tuple(names) != run.snapshot.variables:
        # Everybody's values were copied in when the audience was frozen, in the order of the old text.
        return [Problem("template_variables_changed", "template")]
    return [Problem("variable_unmapped", "template", {"variable": name}) for name in unmapped(names, campaign.mapping)]


def check_resumed(session: Session, run: Run) -> None:
    """Raise Refusal if a run held for its template still differs from it: the new text has to be accepted."""
    if run.hold_reason not in TEMPLATE_HOLDS:
        return
    campaign = session.get(Campaign, run.campaign_id, populate_existing=True)
    template = _template(session, campaign)
    problems = _problems(run, campaign, template)
    if not problems and template is not None and _words_of(run, campaign) != confirmed_words(template):
        problems = [Problem("template_to_accept", "template")]
    if problems:
        raise Refusal(*problems)


def accept(run_id: int, mark: str, actor: Actor, now: dt.datetime) -> None:
    """Let a run that is held for its template go on with the present text, which a person has read.

    `mark` is that of the text read. Raises Conflict if the run or the template has changed, Refusal with the problems
    for which this text cannot be sent.
    """
    require(actor, Right.RUNS_ACCEPT)
    with writing() as session:
        run = lock_row(session, Run, run_id)
        if run is None or run.state != RunState.HELD or run.hold_reason not in TEMPLATE_HOLDS:
            raise Conflict(run=run_id)
        campaign = session.get(Campaign, run.campaign_id, populate_existing=True)
        template = _template(session, campaign)
        problems = _problems(run, campaign, template)
        if problems or campaign is None or template is None:
            raise Refusal(*problems)
        if template.mark != mark:
            raise Conflict(run=run_id)
        campaign.confirmed_template = confirmed_words(template)
        if run.started_at is not None:
            words = confirmed_words(template)
            run.snapshot = replace(run.snapshot, **words, code=template.code, name=template.name)
        session.flush()
        if not runs.resume(session, run):
            raise Conflict(run=run_id)
        audit_log.log_action(session, actor, "accept", "run", run_id, now, template=template.name)
    queue.enqueue(queue.SEND, "send", run_id)


def hold_running(session: Session, channel_id: int, now: dt.datetime) -> int:
    """Hold the channel's runs that are being sent with a text that is not approved any more; return how many.

    Otherwise the provider would refuse their next batches.
    """
    n = 0
    for run, campaign, template in sms_templates.being_sent(session, channel_id):
        its_own = run.snapshot.code == template.code
        reason = change(_words_of(run, campaign), template) if its_own else None
        if reason and runs.hold(session, run.id, reason, None, now, Run.state == RunState.SENDING):
            log.warning("run.held run=%s reason=%s", run.id, reason)
            n += 1
    return n
