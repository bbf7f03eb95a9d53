"""What carriers have registered of a channel's signatures, templates, links and contact numbers, and what lapses."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain.carrier_prefixes import Carrier, known
from smsapp.domain.contact_details import contact_details, contact_problems
from smsapp.domain.errors import Problem
from smsapp.domain.registration import (
    LONGEST_VALUE,
    Registration,
    RegistrationKind,
    Subject,
    lapses_at,
    worst,
)
from smsapp.services.channels import registry
from smsapp.store import registrations as store
from smsapp.store.channels.channels import ChannelRow, all_channels
from smsapp.store.db import current_session
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate

NOUN = "registration"
CHINA = "CN"


@dataclass(frozen=True)
class Lapsing:
    """A registration that lapses soon: nobody sends with it, or its term ends."""

    channel_id: int
    channel: str
    kind: RegistrationKind
    value: str
    carriers: tuple[Carrier, ...]
    lapses_at: dt.datetime
    unused: bool
    """It lapses because nothing is sent with it; otherwise its term ends."""

    @property
    def shown(self) -> str:
        return Subject(self.kind, self.value, {}).shown


def concerns(channel: ChannelRow | None) -> bool:
    """Return whether China's carriers have a say in what this channel sends."""
    if channel is None or (channel.countries and CHINA not in channel.countries):
        return False
    kind = registry.kinds().get(channel.kind)
    country = (kind.home if kind else "") or channel.country or settings().DEFAULT_REGION
    at_home = kind is not None and not kind.quiet_hours_exempt and not kind.worldwide and country == CHINA
    return at_home or store.has_any(current_session(), channel.id)


def of_template(session: Session, template: SmsTemplate, now: dt.datetime) -> list[Subject]:
    """Return the signature and the template, then the links and numbers of its text, with what is known of each."""
    values: list[tuple[RegistrationKind, str]] = (
        [(RegistrationKind.SIGNATURE, template.signature)] if template.signature else []
    )
    values.append((RegistrationKind.TEMPLATE, template.code))
    infos = contact_details(template.text)
    values += [
        (RegistrationKind.LINK if info.is_link else RegistrationKind.PHONE, info.value[:LONGEST_VALUE])
        for info in infos
    ]
    stored = store.of_values(session, template.channel_id, [(str(kind), value) for kind, value in values])
    return [_subject(kind, value, stored, now) for kind, value in values]


def present(session: Session, template: SmsTemplate, now: dt.datetime) -> dict[Carrier, Registration]:
    """Return the worst that each carrier says of a template's parts; carriers that have said nothing are absent."""
    return worst(of_template(session, template, now))


def of_shown_template(template: SmsTemplate, now: dt.datetime) -> list[Subject]:
    """Return the parts of a template with their lights; [] where China's carriers have no say."""
    channel = current_session().get(ChannelRow, template.channel_id)
    return of_template(current_session(), template, now) if concerns(channel) else []


def text_problems(template: SmsTemplate) -> list[Problem]:
    """Return what carriers and the channel's provider object to in the links and numbers of a template's text."""
    channel = current_session().get(ChannelRow, template.channel_id)
    return contact_problems(template.text, template.allowed, mobiles_allowed=takes_mobiles(channel))


def entry_contact_problems(text: str, channel_id: int | None) -> list[Problem]:
    """Return the same of a text that is being typed in for this channel, if one is chosen."""
    channel = current_session().get(ChannelRow, channel_id) if channel_id else None
    return contact_problems(text, {}, mobiles_allowed=takes_mobiles(channel))


def takes_mobiles(channel: ChannelRow | None) -> bool:
    """Return whether the channel's provider takes a mobile number as a contact in a text."""
    kind = registry.kinds().get(channel.kind) if channel else None
    return kind is None or kind.takes_mobile_contacts


def mark(template: SmsTemplate) -> str:
    """Return the mark of what is known of a template's parts; "" if nothing is."""
    subjects = of_template(current_session(), template, dt.datetime.min.replace(tzinfo=dt.UTC))
    facts = [
        f"{subject.kind} {carrier} {entry.state}"
        for subject in subjects
        for carrier, entry in sorted(subject.by_carrier.items())
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12] if facts else ""


def of_channel(channel_id: int, now: dt.datetime) -> list[Subject]:
    """Return everything of which something is known on a channel, and its signatures, in the order of kinds."""
    stored = store.of_channel(current_session(), channel_id)
    signatures = store.signatures_of_templates(current_session(), channel_id, 200)
    keys = dict.fromkeys(
        [(RegistrationKind.SIGNATURE, name) for name in signatures] + [(entry.kind, entry.value) for entry in stored]
    )
    kinds = list(RegistrationKind)
    ordered = sorted(keys, key=lambda key: (kinds.index(key[0]), key[1]))
    return [_subject(kind, value, stored, now) for kind, value in ordered]


def signature_subjects(channel: ChannelRow, now: dt.datetime) -> list[Subject]:
    """Return the signatures of a channel with their lights; [] where China's carriers have no say."""
    subjects = of_channel(channel.id, now) if concerns(channel) else []
    return [subject for subject in subjects if subject.kind is RegistrationKind.SIGNATURE]


def _subject(kind: RegistrationKind, value: str, stored: Sequence[Registration], now: dt.datetime) -> Subject:
    of_it = [entry for entry in stored if (entry.kind, entry.value) == (kind, value)]
    return Subject(kind, value, {entry.carrier: entry.as_of(now) for entry in of_it})


def lapsing(now: dt.datetime) -> list[Lapsing]:
    """Return the registrations that lapse within their reminder's days, or have, the next to lapse first."""
    session = current_session()
    names = {row.id: row.name for row in all_channels(session) if row.active}
    accepted = [(channel_id, entry) for channel_id, entry in store.in_force(session) if channel_id in names]
    used = store.used_last(session, {channel_id for channel_id, _entry in accepted}) if accepted else {}
    carriers: dict[tuple[int, RegistrationKind, str, dt.datetime, bool], list[Carrier]] = {}
    for channel_id, entry in accepted:
        at = lapses_at(used.get((channel_id, entry.value)), entry)
        if at is not None and at <= now + dt.timedelta(days=entry.remind_days):
            key = (channel_id, entry.kind, entry.value, at, entry.expires_at is None)
            carriers.setdefault(key, []).append(entry.carrier)
    rows = [
        Lapsing(channel_id, names[channel_id], kind, value, tuple(known(group)), at, unused)
        for (channel_id, kind, value, at, unused), group in carriers.items()
    ]
    return sorted(rows, key=lambda row: (row.lapses_at, row.channel, row.value))
