"""Seeds: colleagues who get one text of every run, beside its numbers and never in them."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain import numbering
from smsapp.domain.billed_parts import parts
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.phone import is_domestic
from smsapp.domain.proof import UNDER_WAY, Arrivals, NotSent, ProofKind, arrivals
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.services.contacts.audience import filled
from smsapp.services.receipts.proof_receipts import PROOF_REF
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.runs import proofs as store
from smsapp.store.runs.proofs import Colleague, Proof, ProofMessage
from smsapp.store.runs.runs import Run

WATCHED = dt.timedelta(minutes=10)
"""How long after a text left a page waits for its receipt by itself."""


def plan(
    session: Session, campaign: Campaign, run_id: int, channel: ChannelRow, snapshot: RunSnapshot, now: dt.datetime
) -> None:
    """Write down the seeds of a run that is being frozen, with the values of its first person.

    They leave once its first batch is claimed. A seed whose number the run writes to anyway gets that text only. Runs
    that repeat another one have none: their texts were seen.
    """
    run = session.get_one(Run, run_id)
    if not campaign.seeds or run.repeats is not None or not store.has_seeds(session):
        return
    first = store.first_person(session, run_id)
    seeds = [each for each in store.colleagues(session) if each.is_seed]
    targets = store.written_to(session, run_id, [each.phone for each in seeds])
    seeds = [each for each in seeds if each.phone not in targets]
    if first is None or not seeds:
        return
    values = filled(snapshot.variables, snapshot.mapping, first.params)
    proof = Proof(
        kind=ProofKind.SEED,
        campaign_id=campaign.id,
        run_id=run_id,
        channel_id=channel.id,
        contact_id=first.contact_id,
        snapshot=snapshot,
        values=list(values),
        valid_until=run.valid_until,
        made_at=now,
    )
    write(session, proof, seeds, channel)


def write(session: Session, proof: Proof, colleagues: Sequence[Colleague], channel: ChannelRow) -> None:
    """Write a proof down with a text for each of these colleagues."""
    session.add(proof)
    session.flush()
    text = proof.snapshot.template.renderer()(tuple(map(str, proof.values)))
    for each in colleagues:
        may_get = numbering.is_allowed(each.phone, channel.countries, channel.number_classes)
        session.add(
            ProofMessage(
                proof_id=proof.id,
                name=each.name,
                phone=each.phone,
                ref=f"{PROOF_REF}{secrets.token_hex(8)}",
                status=int(Status.QUEUED if may_get else Status.CANCELLED),
                reason="" if may_get else str(NotSent.NUMBER_NOT_ALLOWED),
                parts=parts(text, is_domestic(each.phone)),
            )
        )
    session.flush()


@dataclass(frozen=True)
class ProofStory:
    """A proof or the seeds of a run, as a page shows them."""

    proof: Proof
    messages: Sequence[ProofMessage]

    @property
    def arrivals(self) -> Arrivals:
        return arrivals(
            (Status(each.status), _seconds(each.handed_at), _seconds(each.receipt_at)) for each in self.messages
        )

    def may_change(self, now: dt.datetime) -> bool:
        """Return whether something is still to be sent, or a receipt may come at any moment."""
        recent = now - WATCHED
        return any(
            each.status in UNDER_WAY
            or (each.status == Status.ACCEPTED and each.handed_at is not None and each.handed_at > recent)
            for each in self.messages
        )

    @property
    def waits_until(self) -> dt.datetime | None:
        """Until when the texts that are not sent yet wait."""
        waits = any(each.status == Status.QUEUED for each in self.messages)
        return self.proof.not_before if waits else None

    @property
    def parts(self) -> int:
        """Billed parts of the texts that the channel has accepted."""
        return sum(each.parts for each in self.messages if Status(each.status) in ACCEPTED_STATES)

    @property
    def cost(self) -> Cost | None:
        return cost_of(self.parts, self.proof.snapshot.price, self.proof.snapshot.currency)


def _seconds(moment: dt.datetime | None) -> float | None:
    return moment.timestamp() if moment else None


def stories(session: Session, proofs: Sequence[Proof]) -> list[ProofStory]:
    """Return these proofs with their texts."""
    messages = store.messages_of(session, [proof.id for proof in proofs]) if proofs else ()
    return [ProofStory(proof, [each for each in messages if each.proof_id == proof.id]) for proof in proofs]


def of_runs(run_ids: Collection[int]) -> list[ProofStory]:
    """Return the seeds of these runs; of a run without seeds nothing."""
    session = current_session()
    return stories(session, store.of_runs(session, run_ids))
