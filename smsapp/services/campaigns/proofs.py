"""Proofs: a draft's finished text to the test group, before anybody confirms it."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from smsapp.domain.campaign import Action, Status, may, text_problems
from smsapp.domain.draft import Draft
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.proof import ProofKind
from smsapp.domain.rights import Right
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.channels import registry
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import colleagues, proof_sending, seeds, snapshot
from smsapp.services.sending.seeds import ProofStory
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import proofs as store
from smsapp.store.runs.proofs import Proof
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import times

SHOWN = 5
"""Latest proofs of a campaign that are shown."""
PROOFS_PER_HOUR = 20
"""Of one person, so that nobody sends a campaign as proofs."""
LONGEST_KEY = 40


@dataclass(frozen=True)
class ProofView:
    """What the pages show: the size of the group, the key of the next click, and the latest proofs."""

    people: int
    key: str
    stories: Sequence[ProofStory]
    problems: Sequence[Problem]
    """Why there is no finished text yet."""
    may_change: bool
    """Whether the page should look again by itself."""


def view(campaign: Campaign, now: dt.datetime) -> ProofView:
    """Return what a page shows of a campaign's proofs."""
    session = current_session()
    stories = seeds.stories(session, store.proofs_of(session, campaign.id, SHOWN))
    problems = _text_problems(drafts.draft_of(campaign), reload=False)
    may_change = any(story.may_change(now) for story in stories)
    return ProofView(len(colleagues.everybody()), secrets.token_urlsafe(16), stories, problems, may_change)


def _text_problems(draft: Draft, *, reload: bool) -> list[Problem]:
    """Return why the text is not finished; what is wrong with a second channel keeps nobody from looking at it."""
    return text_problems(drafts.text_facts_of(current_session(), draft, reload=reload))


def send(campaign_id: int, person: int, key: str, actor: Actor, now: dt.datetime) -> Proof:
    """Write a proof down for the test group and have a worker send it; confirms nothing.

    The text is filled with the values of the contact `person`, or of the first one of the audience after. `key` names
    the click: the same one again returns the proof that is there. Raises Refusal, or Conflict if it is no draft.
    """
    require(actor, Right.CHANNELS_TEST)
    if not 0 < len(key) <= LONGEST_KEY:
        raise Refusal(Problem("proof_key"))
    existing = store.of_click(current_session(), key)
    if existing is not None:
        return existing
    campaign = campaigns.get(campaign_id)
    version = campaign.version
    look = DraftPreview(drafts.draft_of(campaign), now, person, campaign_id)
    contact_id, values = _values(look)
    with writing() as session:
        locked = lock_row(session, Campaign, campaign_id)
        existing = store.of_click(session, key)
        if existing is not None:
            return existing
        if locked is None or not may(Action.EDIT, Status(locked.status)) or locked.version != version:
            raise Conflict(status=locked.status if locked else "")
        group = colleagues.everybody()
        problems = _text_problems(look.draft, reload=True)
        by = actor.user_id
        if not group:
            problems.append(Problem("proof_nobody"))
        if by is not None and times(session, by, "send_proof", now - dt.timedelta(hours=1)) >= PROOFS_PER_HOUR:
            problems.append(Problem("proof_often", facts={"most": PROOFS_PER_HOUR}))
        if settings().NO_SEND:
            problems.append(Problem("no_send"))
        channel = session.get(ChannelRow, locked.channel_id) if locked.channel_id else None
        template = session.get(SmsTemplate, locked.template_id) if locked.template_id else None
        if problems or channel is None or template is None:
            raise Refusal(*(problems or [Problem("proof_incomplete")]))
        frozen_as = snapshot.take(locked, template, channel, "", registry.new_adapter(channel), now)
        proof = Proof(
            kind=ProofKind.PROOF,
            campaign_id=campaign_id,
            click=key,
            channel_id=channel.id,
            contact_id=contact_id or None,
            snapshot=frozen_as,
            values=list(values),
            made_by=by,
            made_at=now,
        )
        seeds.write(session, proof, group, channel)
        facts = {"name": locked.name, "n": len(group)}
        log_action(session, actor, "send_proof", "campaign", campaign_id, now, **facts)
        proof_sending.wake(session)
    return proof


def size(proof_id: int) -> int:
    """Return to how many colleagues a proof goes."""
    return len(store.messages_of(current_session(), [proof_id]))


def _values(look: DraftPreview) -> tuple[int, tuple[str, ...]]:
    """Return (contact id, values in the template's order) of the previewed person; raises Refusal if there is none."""
    letter = look.preview.letter
    if letter is None or look.template is None:
        raise Refusal(Problem("proof_incomplete"))
    if not letter.contact_id and look.variables:
        raise Refusal(Problem("proof_without_person"))
    return letter.contact_id, letter.values
