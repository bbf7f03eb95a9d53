"""SMS templates: texts of one channel with their audit state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.run import RunState
from smsapp.domain.sms_template import Audit, Purpose
from smsapp.domain.tags import Item
from smsapp.store.campaigns.campaigns import NOT_OVER, Campaign
from smsapp.store.db import Base, one_of
from smsapp.store.runs.runs import Run
from smsapp.store.tags import TagFilter, having


class SmsTemplate(Base):
    __tablename__ = "sms_template"
    __table_args__ = (sa.UniqueConstraint("channel_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"))
    code: Mapped[str] = mapped_column(sa.String(120))
    """The provider's id of the template; for providers without one, ours."""
    name: Mapped[str] = mapped_column(sa.String(120))
    text: Mapped[str] = mapped_column(sa.Text)
    """As approved, without the signature."""
    signature: Mapped[str] = mapped_column(sa.String(60), default="")
    """Without its brackets; the full text begins with 【signature】."""
    purpose: Mapped[str] = mapped_column(sa.String(20))
    """marketing, notification, verification, unsaid (domain/sms_template.py Purpose)"""
    audit: Mapped[str] = mapped_column(sa.String(20))
    """pending, approved, refused, withdrawn (domain/sms_template.py Audit)"""
    audit_reason: Mapped[str] = mapped_column(sa.Text, default="")
    source: Mapped[str] = mapped_column(sa.String(10))
    """manual, import, sync"""
    provider_said: Mapped[dict[str, Any] | None]
    """Name, signature and kind as the provider listed them last: until it changes them, a person's values stay."""
    allowed: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Declared bounds of variables: {name: {"longest", "links", "contacts", "lines"}} (domain/bounds.py)."""
    checked_at: Mapped[dt.datetime | None]
    """When a person, a file or the provider last confirmed the audit state."""
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    archived_at: Mapped[dt.datetime | None]
    """An archived template is in no list and no choice unless asked for; what was sent with it stays as it is."""

    @property
    def is_approved(self) -> bool:
        return self.audit == Audit.APPROVED

    @property
    def is_withdrawn(self) -> bool:
        return self.audit == Audit.WITHDRAWN

    @property
    def may_be_refused(self) -> bool:
        return self.audit not in (Audit.REFUSED, Audit.WITHDRAWN)

    @property
    def lacks_purpose(self) -> bool:
        """Whether nobody has said yet what it is for."""
        return self.purpose == Purpose.UNSAID

    @property
    def mark(self) -> str:
        """The version of this row: a decision about an older one is refused."""
        return self.updated_at.isoformat()

    def __repr__(self) -> str:
        return f"<SmsTemplate {self.id}>"


class Signature(Base):
    """A signature as the provider listed it at the last sync."""

    __tablename__ = "signature"

    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    audit: Mapped[str] = mapped_column(sa.String(20))
    audit_reason: Mapped[str] = mapped_column(sa.Text, default="")

    def __repr__(self) -> str:
        return f"<Signature {self.channel_id}>"


def signatures(session: Session, channel_id: int) -> list[Signature]:
    """Return the signatures the provider listed, approved ones first."""
    rank = sa.case((Signature.audit == Audit.APPROVED, 0), else_=1)
    query = sa.select(Signature).where(Signature.channel_id == channel_id).order_by(rank, Signature.name)
    return list(session.scalars(query))


def all_signatures(session: Session) -> list[str]:
    """Return the signatures of all texts, in the order of their letters."""
    query = sa.select(SmsTemplate.signature).where(SmsTemplate.signature != "").distinct()
    return sorted(session.scalars(query))


def store_signatures(session: Session, channel_id: int, rows: Sequence[dict[str, Any]]) -> None:
    """Replace the stored signatures of a channel by these."""
    session.execute(sa.delete(Signature).where(Signature.channel_id == channel_id))
    if rows:
        session.execute(sa.insert(Signature), [{"channel_id": channel_id, **row} for row in rows])


def of_channel(session: Session, channel_id: int) -> dict[str, SmsTemplate]:
    """Return all templates of a channel by code, locked until the transaction ends."""
    query = sa.select(SmsTemplate).where(SmsTemplate.channel_id == channel_id).order_by(SmsTemplate.id)
    rows = session.scalars(query.with_for_update().execution_options(populate_existing=True))
    return {row.code: row for row in rows}


def find(session: Session, template_id: int) -> SmsTemplate | None:
    return session.get(SmsTemplate, template_id)


def by_code(session: Session, channel_id: int, codes: Collection[str]) -> dict[str, SmsTemplate]:
    """Return the templates of a channel that have one of these codes."""
    query = sa.select(SmsTemplate).where(SmsTemplate.channel_id == channel_id, one_of(SmsTemplate.code, codes))
    return {row.code: row for row in session.scalars(query)}


def approved(session: Session, channel_id: int, words: str = "", limit: int | None = None) -> list[SmsTemplate]:
    """Return the (first) templates with these words that campaigns of this channel can choose, newest first."""
    query = sa.select(SmsTemplate).where(
        matching(channel_id, words), SmsTemplate.audit == Audit.APPROVED, SmsTemplate.purpose != Purpose.UNSAID
    )
    return list(session.scalars(query.order_by(SmsTemplate.id.desc()).limit(limit)))


_PURPOSELESS = (
    sa.select(SmsTemplate)
    .where(
        SmsTemplate.channel_id == sa.bindparam("channel_id"),
        SmsTemplate.audit == Audit.APPROVED,
        SmsTemplate.purpose == Purpose.UNSAID,
        SmsTemplate.archived_at.is_(None),
    )
    .order_by(SmsTemplate.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def purposeless(session: Session, channel_id: int, limit: int = 20) -> list[SmsTemplate]:
    """Return the approved templates that campaigns cannot choose, because their purpose is unknown."""
    return list(session.scalars(_PURPOSELESS, {"channel_id": channel_id, "most": limit}))


def matching(
    channel_id: int | None, words: str, tag: TagFilter | None = None, *, archived: bool = False
) -> sa.ColumnElement[bool]:
    """Return the condition: of this channel (None = of any), and the words occur in text, name, code or signature; with
    this tag; archived ones or the others."""
    is_archived = SmsTemplate.archived_at.is_not(None)
    condition: sa.ColumnElement[bool] = is_archived if archived else sa.not_(is_archived)
    if channel_id is not None:
        condition = sa.and_(condition, SmsTemplate.channel_id == channel_id)
    if tag is not None:
        condition = sa.and_(condition, having(Item.TEMPLATE, SmsTemplate.id, tag))
    if words:
        columns = (SmsTemplate.text, SmsTemplate.name, SmsTemplate.code, SmsTemplate.signature)
        condition = sa.and_(condition, sa.or_(*(column.icontains(words, autoescape=True) for column in columns)))
    return condition


def listed(
    session: Session,
    channel_id: int | None = None,
    audit: Audit | None = None,
    words: str = "",
    before: int | None = None,
    limit: int = 50,
    unchecked: dt.datetime | None = None,
    tag: TagFilter | None = None,
    *,
    archived: bool = False,
) -> list[SmsTemplate]:
    """Return one page of templates, newest first; `before` is the last id of the page before.

    With `unchecked` only approved ones whose audit state was not confirmed since then.
    """
    is_wanted = matching(channel_id, words, tag, archived=archived)
    query = sa.select(SmsTemplate).where(is_wanted).order_by(SmsTemplate.id.desc()).limit(limit)
    if unchecked is not None:
        query = query.where(_unchecked(unchecked))
    if audit is not None:
        query = query.where(SmsTemplate.audit == audit)
    if before is not None:
        query = query.where(SmsTemplate.id < before)
    return list(session.scalars(query))


def audit_counts(
    session: Session,
    channel_id: int | None = None,
    words: str = "",
    tag: TagFilter | None = None,
    *,
    archived: bool = False,
) -> dict[Audit, int]:
    """Return how many of the matching templates are in each audit state."""
    is_wanted = matching(channel_id, words, tag, archived=archived)
    rows = session.execute(sa.select(SmsTemplate.audit, sa.func.count()).where(is_wanted).group_by(SmsTemplate.audit))
    counts = {Audit(audit): n for audit, n in rows}
    return {audit: counts.get(audit, 0) for audit in Audit}


def users(session: Session, template_id: int) -> list[Campaign]:
    """Return the campaigns that still need this template, newest first."""
    return list(
        session.scalars(
            sa.select(Campaign)
            .where(sa.or_(Campaign.template_id == template_id, Campaign.second_template_id == template_id), *NOT_OVER)
            .order_by(Campaign.id.desc())
        )
    )


def unchecked_since(session: Session, moment: dt.datetime, channel_id: int | None = None) -> int:
    """Return how many approved templates have had no confirmation of their audit state since then."""
    query = sa.select(sa.func.count()).where(matching(channel_id, ""), _unchecked(moment))
    return session.scalar(query) or 0


def _unchecked(moment: dt.datetime) -> sa.ColumnElement[bool]:
    last_word = sa.func.coalesce(SmsTemplate.checked_at, SmsTemplate.created_at)
    return sa.and_(SmsTemplate.audit == Audit.APPROVED, last_word < moment)


def being_sent(session: Session, channel_id: int) -> list[tuple[Run, Campaign, SmsTemplate]]:
    """Return the channel's runs that are being sent and frozen, each with its campaign and the campaign's template."""
    query = sa.select(Run, Campaign, SmsTemplate).join(Campaign, Campaign.id == Run.campaign_id)
    query = query.join(SmsTemplate, SmsTemplate.id == Campaign.template_id)
    query = query.where(Run.finished_at.is_(None), Run.state == RunState.SENDING, Run.started_at.is_not(None))
    query = query.where(Run.channel_id == channel_id, SmsTemplate.channel_id == channel_id)
    return [(run, campaign, template) for run, campaign, template in session.execute(query)]
