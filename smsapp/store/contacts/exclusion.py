"""Why somebody of an audience is excluded, and with which values the others get their text, as expressions of SQL.

The reasons are those of `domain/campaign.py` ExclusionReason, in its order; the first that holds counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import Status
from smsapp.store.contacts.carriers import is_of_carriers
from smsapp.store.contacts.consents import consented
from smsapp.store.contacts.numbers import is_abroad, is_special
from smsapp.store.contacts.replies import refuses
from smsapp.store.contacts.values import Source
from smsapp.store.db import dialect
from smsapp.store.privacy.erased_numbers import ErasedNumber
from smsapp.store.runs.runs import Message, Run

NOT_WRITTEN_TO = (Status.CANCELLED, Status.REFUSED, Status.EXPIRED)
"""Message states that do not count against a number's frequency cap."""


@dataclass(frozen=True)
class Cap:
    """At most `most` marketing messages to one number since a moment, over all campaigns."""

    since: dt.datetime
    most: int


@lru_cache(maxsize=256)
def params_and_reason(
    _dialect: str,  # of which the expressions are
    values: Sequence[Source],
    trusted_numbers: bool,
    number_classes: Sequence[str],
    countries: Sequence[str],
    marketing: bool,
    signature: str,
    consented_only: bool,
    caps: Sequence[Cap],
    left_out_carriers: Sequence[str],
    left_out: Sequence[ExclusionReason],
    has_excluded: bool,
    has_hashes: bool,
) -> tuple[sa.Label[Any], sa.Label[Any]]:
    """Return `params` and `reason` of `select_members` over its subquery "base", for these choices of an Audience.

    Kept for the next question about such an audience: a form asks several, and they take longer to build than to ask.
    """
    phone = sa.literal_column("base.phone", sa.String)
    texts = [(source, sa.literal_column(f"base.text_{place}", sa.Text)) for place, source in enumerate(values)]
    filled = [source.value(text) for source, text in texts]
    incomplete = sa.or_(sa.false(), *(value.is_(None) for value in filled))
    unfit = sa.or_(sa.false(), *(source.unfit(text) for source, text in texts))
    kind = (_true(marketing), sa.literal(signature))
    names = [phone, *([sa.literal_column("base.own_hash", sa.String)] if has_hashes else [])]
    contact_id = sa.literal_column("base.contact_id", sa.BigInteger)
    conditions: dict[ExclusionReason, list[sa.ColumnElement[bool]]] = {
        ExclusionReason.NO_NUMBER: [phone.is_(None)],
        ExclusionReason.INVALID_NUMBER: [phone == ""],
        ExclusionReason.UNTRUSTED_NUMBER: [sa.literal_column("base.public", sa.Boolean)] if trusted_numbers else [],
        ExclusionReason.NUMBER_CLASS: [is_special(phone, number_classes)],
        ExclusionReason.COUNTRY: [is_abroad(phone, countries)] if countries else [],
        ExclusionReason.OPTED_OUT: [refuses(name, *kind) for name in names],
        ExclusionReason.EXCLUDED_SEGMENT: [sa.literal_column("base.is_excluded", sa.Boolean)] if has_excluded else [],
        ExclusionReason.NO_CONSENT: [sa.not_(consented(contact_id, phone, *kind))] if consented_only else [],
        ExclusionReason.FREQUENCY_CAP: [
            *(phone.in_(_capped(cap)) for cap in caps),
            *(_capped_before(cap, names) for cap in caps if has_hashes),
        ],
        ExclusionReason.MISSING_VALUE: [incomplete],
        ExclusionReason.UNFIT_VALUE: [unfit],
        ExclusionReason.CARRIER_LEFT_OUT: [is_of_carriers(phone, left_out_carriers)] if left_out_carriers else [],
    }
    for reason in left_out:
        conditions[reason] = [sa.literal_column(f"left_out_{reason}.phone", sa.String).is_not(None)]
    in_order = [(condition, reason) for reason in ExclusionReason for condition in conditions.get(reason, [])]
    why = sa.case(*((condition, sa.literal(str(reason))) for condition, reason in in_order), else_=None)
    return _array(filled).label("params"), why.label("reason")


def _true(condition: bool) -> sa.ColumnElement[bool]:
    return sa.true() if condition else sa.false()


def _array(values: Sequence[sa.ColumnElement[str]]) -> sa.ColumnElement[Any]:
    if not values:
        return sa.null()
    if dialect() == "postgresql":
        return sa.cast(sa.func.json_build_array(*values), sa.Text)
    return sa.func.json_array(*values)


def _counting(cap: Cap) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on messages joined with their runs that count for a cap."""
    reached = Message.status.not_in([int(status) for status in NOT_WRITTEN_TO])
    return [Run.started_at >= cap.since, Run.marketing.is_(True), reached]


def _capped(cap: Cap) -> sa.Select[str]:
    joined = sa.select(Message.phone).join(Run, Run.id == Message.run_id).where(*_counting(cap))
    return joined.group_by(Message.phone).having(sa.func.count() >= cap.most)


def _capped_before(cap: Cap, names: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[bool]:
    """Return the condition that a number was erased and has had as many messages as the cap, before and since."""
    was_erased = sa.exists().where(ErasedNumber.phone == names[-1])
    messages = sa.select(sa.func.count()).select_from(Message).join(Run, Run.id == Message.run_id)
    had = messages.where(*_counting(cap), Message.phone.in_(names)).scalar_subquery()
    return sa.and_(was_erased, had >= cap.most)
