"""Who a campaign would reach: counts with reasons, from the same SELECT that freezes a run."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from smsapp.domain import writing
from smsapp.domain.bounds import Bound, declared
from smsapp.domain.campaign import personal
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound
from smsapp.domain.funnel import Funnel
from smsapp.domain.sms_template import Purpose, variables
from smsapp.services.channels import registry
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.audience import Audience, Cap, count_by_reason
from smsapp.store.contacts.contacts import ContactIds
from smsapp.store.contacts.property_catalogue import property_types, redirects
from smsapp.store.contacts.segments import Segment, members
from smsapp.store.contacts.values import Source, source_of
from smsapp.store.db import current_session
from smsapp.store.runs import retries
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import Preference

CAPS = "frequency_caps"
"""Preference: {"enabled": bool, "per_day": n, "per_week": n} for marketing messages to one number."""


@dataclass(frozen=True)
class AudienceCounts:
    """People who would get a message now, and those excluded by reason; target = planned + all excluded."""

    target: int
    planned: int
    left_out: Mapping[str, int]
    """Exclusion reason -> people."""

    @property
    def effective(self) -> int:
        """Those with a usable number (有效用户数)."""
        return Funnel(self.target, self.planned, self.left_out).effective


def describe(
    segment_id: int,
    channel_id: int | None,
    template_id: int | None,
    mapping: Mapping[str, Any] | None,
    now: dt.datetime,
) -> Audience:
    """Return the audience of a segment with these choices; raises NotFound if the segment is gone."""
    segment = current_session().get(Segment, segment_id)
    if segment is None:
        raise NotFound("segment")
    return _described(lambda _property: members(segment, now), channel_id, template_id, mapping, now)


def tried_again(
    run_id: int,
    channel_id: int | None,
    template_id: int | None,
    mapping: Mapping[str, Any] | None,
    now: dt.datetime,
) -> Audience:
    """Return the people whose failed messages of this run are worth another try, as an audience."""
    return _described(lambda name: retries.members(run_id, name), channel_id, template_id, mapping, now)


def _described(
    members: Callable[[str], ContactIds],
    channel_id: int | None,
    template_id: int | None,
    mapping: Mapping[str, Any] | None,
    now: dt.datetime,
) -> Audience:
    channel = current_session().get(ChannelRow, channel_id) if channel_id else None
    template = current_session().get(SmsTemplate, template_id) if template_id else None
    phone_property = channel.phone_property if channel else "$phone"
    return Audience(
        members=members(phone_property),
        phone_property=phone_property,
        trusted_numbers=channel is not None and channel.trusted_numbers,
        values=sources(template, mapping or {}) if template else (),
        countries=channel.countries if channel else (),
        number_classes=channel.number_classes if channel else (),
        caps=caps(now) if template and template.purpose == Purpose.MARKETING else (),
    )


def bound_of(template: SmsTemplate, variable: str) -> Bound:
    """Return the bound of a variable: as the template declares it, and no longer than the channel's provider allows."""
    channel = current_session().get(ChannelRow, template.channel_id)
    kind = registry.kinds().get(channel.kind) if channel else None
    return declared(template.allowed.get(variable), kind.longest_value if kind else None)


def sources(template: SmsTemplate, mapping: Mapping[str, Any]) -> list[Source]:
    """Return the sources of a template's personal variables, in its order."""
    types = property_types(current_session())
    result = []
    for name in personal(variables(template.text), mapping):
        property_name = mapping[name]["property"]
        kind = types.get(property_name) or types.get(redirects(current_session()).get(property_name, ""), Type.STRING)
        form = writing.form_of(mapping[name], kind, template.text)
        result.append(source_of(mapping[name], kind, form, bound_of(template, name)))
    return result


def caps(now: dt.datetime) -> list[Cap]:
    """Return the frequency caps in force, for today and for seven calendar days of the default zone."""
    preference = current_session().get(Preference, CAPS)
    if preference is None or not preference.value.get("enabled"):
        return []
    today = now.astimezone(ZoneInfo(settings().DEFAULT_ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    limits = [
        (today, preference.value.get("per_day")),
        (today - dt.timedelta(days=6), preference.value.get("per_week")),
    ]
    return [Cap(since.astimezone(dt.UTC), int(most)) for since, most in limits if most]


def counts(
    segment_id: int,
    channel_id: int | None,
    template_id: int | None = None,
    mapping: Mapping[str, Any] | None = None,
    *,
    now: dt.datetime,
) -> AudienceCounts:
    """Count the segment's members, planned or excluded by reason, as if the campaign were sent now."""
    return tally(describe(segment_id, channel_id, template_id, mapping, now))


def tally(audience: Audience) -> AudienceCounts:
    """Count an audience: the planned ones, and the excluded ones by reason."""
    n_by_reason = count_by_reason(current_session(), audience)
    left_out: dict[str, int] = {reason: n for reason, n in n_by_reason.items() if reason is not None}
    return AudienceCounts(sum(n_by_reason.values()), n_by_reason.get(None, 0), left_out)


def filled(names: Sequence[str], mapping: Mapping[str, Any], params: str | None) -> tuple[str, ...]:
    """Return the values of a template's variables for one person: fixed texts, and `params` for the personal ones."""
    own = dict(zip(personal(names, mapping), json.loads(params) if params else (), strict=True))
    return tuple(own[name] if name in own else mapping.get(name, {}).get("fixed", "") for name in names)


def filled_all(names: Sequence[str], mapping: Mapping[str, Any], params: Sequence[str | None]) -> list[tuple[str, ...]]:
    """Return what `filled` returns, for many people at once: their JSON is parsed in one call, which is faster."""
    own = personal(names, mapping)
    if not own:
        return [filled(names, mapping, None)] * len(params)
    rows: list[list[str]] = json.loads(f"[{','.join(text or '' for text in params)}]")
    if len(rows) != len(params) or any(len(row) != len(own) for row in rows):
        raise ValueError("values and variables differ")
    if own == list(names):
        return [tuple(row) for row in rows]
    fixed = [mapping.get(name, {}).get("fixed", "") for name in names]
    places = [own.index(name) if name in own else len(own) + n for n, name in enumerate(names)]
    return [tuple((row + fixed)[place] for place in places) for row in rows]
