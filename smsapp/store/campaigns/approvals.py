"""Requests for the approval of campaigns and of held runs, what became of them, and who had a hand in a campaign."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.approval import Verdict
from smsapp.domain.campaign import Status
from smsapp.domain.run import HoldReason, RunState
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import Base, BigId, changed, upsert
from smsapp.store.runs.runs import Run


class Approval(Base):
    """One request for approval: of a draft, or of a run that is held for it."""

    __tablename__ = "approval"
    __table_args__ = (
        sa.Index("ix_approval_campaign", "campaign_id", "id"),
        sa.Index(
            "ix_approval_waiting",
            "id",
            sqlite_where=sa.text("verdict = ''"),
            postgresql_where=sa.text("verdict = ''"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaign.id", ondelete="CASCADE"))
    run_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("run.id", ondelete="CASCADE"))
    """The run that is held for it; None: it is asked for before the confirmation."""
    digest: Mapped[str] = mapped_column(sa.String(64))
    parts: Mapped[dict[str, Any]]
    """field -> hash of what it was (domain/approval_digest.py), to say what has changed since."""
    estimate: Mapped[dict[str, Any]]
    """domain/approval.py Estimate.as_json()"""
    asked_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    asked_at: Mapped[dt.datetime]
    verdict: Mapped[str] = mapped_column(sa.String(10), default="")
    """A Verdict; "" while it waits."""
    decided_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    decided_at: Mapped[dt.datetime | None]
    words: Mapped[str] = mapped_column(sa.Text, default="")
    """What the approver said."""
    runs: Mapped[int] = mapped_column(default=1)
    """For how many runs it is given."""
    used: Mapped[int] = mapped_column(default=0)
    """How many runs were frozen under it."""


class CampaignEditor(Base):
    """A person who wrote something of a campaign, and so may not approve it."""

    __tablename__ = "campaign_editor"
    __table_args__ = {"sqlite_with_rowid": False}

    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("app_user.id", ondelete="CASCADE"), primary_key=True)


def note_editor(session: Session, campaign_id: int, user_id: int | None) -> None:
    """Remember that this person had a hand in the campaign; commands and jobs are nobody."""
    if user_id is not None:
        new = upsert(CampaignEditor).values(campaign_id=campaign_id, user_id=user_id)
        session.execute(new.on_conflict_do_nothing())


def authors(session: Session, campaign: Campaign) -> set[int | None]:
    """Return the ids of everybody who had a hand in the campaign."""
    editors = sa.select(CampaignEditor.user_id).where(CampaignEditor.campaign_id == campaign.id)
    return {campaign.created_by, campaign.updated_by, *session.scalars(editors)}


def newest(session: Session, campaign_id: int) -> Approval | None:
    """Return the newest request for the campaign itself, reloaded from the database."""
    query = sa.select(Approval).where(Approval.campaign_id == campaign_id, Approval.run_id.is_(None))
    query = query.order_by(Approval.id.desc()).limit(1)
    return session.scalar(query.execution_options(populate_existing=True))


def of_run(session: Session, run_id: int) -> Approval | None:
    """Return the request that waits for the approval of this held run."""
    query = sa.select(Approval).where(Approval.run_id == run_id, Approval.verdict == "")
    return session.scalar(query.order_by(Approval.id.desc()).limit(1).execution_options(populate_existing=True))


def unused(session: Session, campaign_id: int, run_id: int | None) -> Sequence[Approval]:
    """Return the approvals of a campaign that runs may still be sent under: the run's own ones first, then oldest."""
    query = sa.select(Approval).where(
        Approval.campaign_id == campaign_id, Approval.verdict == Verdict.APPROVED, Approval.used < Approval.runs
    )
    own_first = sa.case((Approval.run_id == run_id, 0), else_=1)
    return session.scalars(query.order_by(own_first, Approval.id).execution_options(populate_existing=True)).all()


def close_open(session: Session, campaign_id: int, run_id: int | None) -> None:
    """Close what still waits: a newer request takes its place."""
    same = Approval.run_id.is_(None) if run_id is None else Approval.run_id == run_id
    changed(
        session,
        sa.update(Approval)
        .where(Approval.campaign_id == campaign_id, same, Approval.verdict == "")
        .values(verdict=Verdict.REPLACED),
    )


def decide(session: Session, approval_id: int, digest: str, **values: Any) -> bool:
    """Decide a request that still waits; of two approvers exactly one gets True."""
    waits = (Approval.id == approval_id, Approval.digest == digest, Approval.verdict == "")
    return changed(session, sa.update(Approval).where(*waits).values(**values)) == 1


def use(session: Session, approval_id: int) -> bool:
    """Count a run that is frozen under this approval; False if it has been used for as many as it was given for."""
    statement = sa.update(Approval).where(
        Approval.id == approval_id, Approval.verdict == Verdict.APPROVED, Approval.used < Approval.runs
    )
    return changed(session, statement.values(used=Approval.used + 1)) == 1


_DRAFTS = sa.and_(Approval.run_id.is_(None), Campaign.status == Status.DRAFT, Campaign.deleted_at.is_(None))
_HELD = sa.and_(Run.state == RunState.HELD, Run.hold_reason == HoldReason.APPROVAL)
_WAITING = (
    sa.select(Approval)
    .join(Campaign, Campaign.id == Approval.campaign_id)
    .outerjoin(Run, Run.id == Approval.run_id)
    .where(Approval.id > sa.bindparam("after"), Approval.verdict == "", sa.or_(_DRAFTS, _HELD))
    .order_by(Approval.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def waiting(session: Session, after: int, limit: int) -> Sequence[Approval]:
    """Return what waits for a decision, the oldest after this id first: of drafts, and of runs that are held for it."""
    return session.scalars(_WAITING, {"after": after, "most": limit}).all()
