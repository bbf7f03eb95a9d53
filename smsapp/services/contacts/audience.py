"""Who a campaign would reach: counts with reasons, from the same SELECT that freezes a run."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from smsapp.domain import writing
from smsapp.domain.audience_rule import AudienceRule, NamedAudience
from smsapp.domain.bounds import Bound, declared
from smsapp.domain.campaign import GIVEN, ExclusionReason, personal
from smsapp.domain.contact import Type
from smsapp.domain.draft import Draft
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.funnel import Funnel
from smsapp.domain.number_limits import from_json
from smsapp.domain.sms_template import Purpose, variables
from smsapp.services.channels import registry
from smsapp.services.platform import keyset_page
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import audience as people
from smsapp.store.contacts import contacts, segments
from smsapp.store.contacts.audience import (
    Audience,
    DayLimit,
    Member,
    count_by_reason,
    count_members,
    members_by_reason,
    messages_today,
)
from smsapp.store.contacts.contacts import ContactIds
from smsapp.store.contacts.exclusion import Cap
from smsapp.store.contacts.property_catalogue import property_types, redirects
from smsapp.store.contacts.segments import Segment, together
from smsapp.store.contacts.values import NOT_GIVEN, Source, source_of
from smsapp.store.db import current_session
from smsapp.store.privacy import erased_numbers
from smsapp.store.runs import api_messages, retries
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.users import Preference

PEOPLE = 50
"""Excluded people on one page."""
READ_AT_ONCE = 200
"""The most people who are counted and shown from what was read of each; more are counted by the database."""
SOON_COUNTED = 50_000
"""The most contacts over whom a page waits for counts; a million take seconds, so there the numbers follow the page."""
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


@dataclass(frozen=True)
class Choices:
    """What a campaign chooses besides its segments, and what decides with them who gets a message."""

    channel_id: int | None = None
    template_id: int | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    consented_only: bool = False
    left_out_carriers: Sequence[str] = ()

    @classmethod
    def of(cls, campaign: Campaign | Draft) -> Choices:
        return cls(**{item.name: getattr(campaign, item.name) for item in fields(cls)})


def members(rule: AudienceRule, now: dt.datetime) -> ContactIds:
    """Return the select of those that a campaign is for, excluded ones included; raises NotFound, Refusal."""
    return together(_segments(rule.include), rule.match, now)


def problems(rule: AudienceRule, now: dt.datetime) -> list[Problem]:
    """Return why the rule of one of these segments cannot be answered; those that are gone are not among them."""
    problems: list[Problem] = []
    for segment in _present(rule.ids):
        try:
            segments.members(segment, now)
        except Refusal as refusal:
            problems += [replace(problem, place="segment") for problem in refusal.problems]
    return problems


def named(rule: AudienceRule) -> NamedAudience:
    """Return the rule by the names of its segments."""
    return segments.named(rule, {segment.id: segment.name for segment in _present(rule.ids)})


def readable(rule: AudienceRule, now: dt.datetime) -> AudienceRule:
    """Return the rule without segments that are gone; the empty one if the rule of one cannot be answered."""
    return AudienceRule() if problems(rule, now) else there(rule)


def there(rule: AudienceRule) -> AudienceRule:
    """Return the rule without segments that are gone."""
    present = {segment.id for segment in _present(rule.ids)}
    return rule.without([id_ for id_ in rule.ids if id_ not in present])


def _present(ids: Sequence[int]) -> list[Segment]:
    """Return those of these segments that are there; a page that shows them has read them already."""
    rows = (current_session().get(Segment, id_) for id_ in ids)
    return [segment for segment in rows if segment is not None]


def _segments(ids: Sequence[int]) -> list[Segment]:
    """Return these segments; raises NotFound if there is none, or if one is gone."""
    chosen = _present(ids)
    if not ids or len(chosen) < len(ids):
        raise NotFound("segment")
    return chosen


def _excluded(rule: AudienceRule, now: dt.datetime) -> list[ContactIds]:
    return [segments.members(segment, now) for segment in _segments(rule.exclude)] if rule.exclude else []


def describe(
    rule: AudienceRule,
    choices: Choices,
    now: dt.datetime,
) -> Audience:
    """Return the audience of a rule with these choices; raises NotFound if a segment is gone, Refusal if one's rule
    cannot be read."""
    chosen = members(rule, now)
    return _described(lambda _property: chosen, _excluded(rule, now), choices, now)


def tried_again(
    run_id: int,
    rule: AudienceRule,
    choices: Choices,
    now: dt.datetime,
) -> Audience:
    """Return the people whose failed messages of this run are worth another try, as an audience.

    Of the rule only those count whom it leaves out; of segments that are gone, nobody.
    """
    excluded = _excluded(there(rule), now)
    return _described(partial(retries.members, run_id), excluded, choices, now)


def asked_for(
    run_id: int,
    choices: Choices,
    now: dt.datetime,
) -> Audience:
    """Return the people of the single messages that were assigned to this run and are not planned yet."""
    chosen = api_messages.members(run_id)
    plan = _described(lambda _property: chosen, [], choices, now)
    values = [
        replace(source, given=api_messages.given(run_id, source.name)) if source.given is not None else source
        for source in plan.values
    ]
    return replace(plan, values=values)


def _described(
    members: Callable[[str], ContactIds],
    excluded: Sequence[ContactIds],
    choices: Choices,
    now: dt.datetime,
) -> Audience:
    channel = current_session().get(ChannelRow, choices.channel_id) if choices.channel_id else None
    template = current_session().get(SmsTemplate, choices.template_id) if choices.template_id else None
    phone_property = channel.phone_property if channel else "$phone"
    marketing = template is not None and template.purpose == Purpose.MARKETING
    return Audience(
        members=members(phone_property),
        phone_property=phone_property,
        trusted_numbers=channel is not None and channel.trusted_numbers,
        values=sources(template, choices.mapping) if template else (),
        countries=channel.countries if channel else (),
        number_classes=channel.number_classes if channel else (),
        limits=number_limits(channel, now) if channel else (),
        caps=caps(now) if marketing else (),
        marketing=marketing,
        signature=template.signature if template else "",
        consented_only=choices.consented_only,
        excluded=excluded,
        left_out_carriers=choices.left_out_carriers,
        erased_key=erased_numbers.key(current_session()),
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
        if GIVEN in mapping[name]:
            result.append(Source(name, bound=bound_of(template, name), given=NOT_GIVEN))
            continue
        property_name = mapping[name]["property"]
        kind = types.get(property_name) or types.get(redirects(current_session()).get(property_name, ""), Type.STRING)
        form = writing.form_of(mapping[name], kind, template.text)
        result.append(source_of(mapping[name], kind, form, bound_of(template, name)))
    return result


def number_limits(channel: ChannelRow, now: dt.datetime) -> list[DayLimit]:
    """Return what the channel's limits by prefix leave of today, a calendar day of the default zone.

    Whoever freezes a run is alone on the channel (`store/runs/freezing.py`), so of two runs at the same time the later
    one sees what the earlier one used up.
    """
    limits = from_json(channel.number_limits)
    if not any(limit.most for limit in limits):
        return [DayLimit(limit.prefix, limit.most) for limit in limits]
    prefixes = [limit.prefix for limit in limits]
    used = messages_today(current_session(), channel.id, _midnight(now), prefixes)
    return [
        DayLimit(limit.prefix, None if limit.most is None else max(0, limit.most - used.get(place, 0)))
        for place, limit in enumerate(limits)
    ]


def _midnight(now: dt.datetime) -> dt.datetime:
    """Return the beginning of the day in the default zone."""
    local = now.astimezone(ZoneInfo(settings().DEFAULT_ZONE))
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def caps(now: dt.datetime) -> list[Cap]:
    """Return the frequency caps in force, for today and for seven calendar days of the default zone."""
    preference = current_session().get(Preference, CAPS)
    if preference is None or not preference.value.get("enabled"):
        return []
    today = _midnight(now)
    limits = [
        (today, preference.value.get("per_day")),
        (today - dt.timedelta(days=6), preference.value.get("per_week")),
    ]
    return [Cap(since.astimezone(dt.UTC), int(most)) for since, most in limits if most]


def tally(audience: Audience) -> AudienceCounts:
    """Count an audience: the planned ones, and the excluded ones by reason."""
    return _tallied(count_by_reason(current_session(), audience))


def tally_of(members: Sequence[Member]) -> AudienceCounts:
    """Count everybody of an audience, as `tally` does."""
    return _tallied(members_by_reason(members))


def _tallied(n_by_reason: Mapping[ExclusionReason | None, int]) -> AudienceCounts:
    left_out: dict[str, int] = {reason: n for reason, n in n_by_reason.items() if reason is not None}
    return AudienceCounts(sum(n_by_reason.values()), n_by_reason.get(None, 0), left_out)


@dataclass(frozen=True)
class ExcludedPerson:
    """Somebody who would get no message; `phone` is "" without one."""

    contact_id: int
    xwho: str
    phone: str = field(repr=False)


def excluded_people(audience: Audience, reason: ExclusionReason, after: int) -> KeysetPage[ExcludedPerson, int]:
    """Return one page of the people of an audience who are excluded for this reason, after a contact id."""
    rows = people.excluded_people(current_session(), audience, reason, after, PEOPLE + 1)
    return keyset_page.cut([ExcludedPerson(*row) for row in rows], PEOPLE, lambda person: person.contact_id)


def everybody(audience: Audience) -> list[Member] | None:
    """Return everybody of an audience of READ_AT_ONCE people or fewer; None if it is larger."""
    ids = people.member_ids(current_session(), audience, 0, READ_AT_ONCE + 1)
    return people.members_in(current_session(), audience, ids) if len(ids) <= READ_AT_ONCE else None


def size(audience: Audience | None, most: int | None = None) -> int:
    """Return how many people an audience has, whatever becomes of them; 0 for none, of more than `most` just `most`."""
    return count_members(current_session(), audience, most) if audience else 0


def is_soon_counted() -> bool:
    """Return whether a page can wait for the counts of an audience, by the highest contact id: nobody is counted."""
    return contacts.last_id(current_session()) <= SOON_COUNTED


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
