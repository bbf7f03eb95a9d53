"""Which draft a form has made: its first two requests, however close, make one draft."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, changed, upsert


class DraftForm(Base):
    __tablename__ = "draft_form"

    key: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    """What the form of a new campaign carries, drawn by lot when it was opened; or a name made of what was imported."""
    campaign_id: Mapped[int | None] = mapped_column(sa.ForeignKey("campaign.id", ondelete="CASCADE"), index=True)


def claim(session: Session, key: str) -> bool:
    """Return whether this form has made no draft yet; another request for it waits until this transaction ends."""
    return changed(session, upsert(DraftForm).values(key=key).on_conflict_do_nothing()) == 1


def note(session: Session, key: str, campaign_id: int) -> None:
    """Store which draft the form has made."""
    session.execute(sa.update(DraftForm).where(DraftForm.key == key).values(campaign_id=campaign_id))


def draft_of(session: Session, key: str) -> int | None:
    """Return the id of the draft that this form has made."""
    return session.scalar(sa.select(DraftForm.campaign_id).where(DraftForm.key == key))
