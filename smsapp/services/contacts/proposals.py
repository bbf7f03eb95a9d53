"""Proposals of public AppKeys: listed, accepted and rejected, one by one or many together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain import trust
from smsapp.domain.contact import Type, Unfit, canonical
from smsapp.domain.trust import Origin, Source
from smsapp.services.platform import audit_log
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts import contacts, property_catalogue
from smsapp.store.contacts import proposals as rows
from smsapp.store.contacts.contacts import Contact, Profile
from smsapp.store.contacts.proposals import Proposal
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

Chosen = rows.ProposalFilter

PAGE = 50
AT_ONCE = 500
"""So many proposals are decided in one transaction."""


@dataclass(frozen=True)
class ListedProposal:
    """A proposal with whom it is about and whose it is."""

    proposal: Proposal
    contact: Contact
    key: AppKey

    @property
    def present(self) -> Any:
        """What the contact holds now, None if nothing."""
        return self.contact.properties.get(self.proposal.name)


@dataclass(frozen=True)
class Page:
    """One page of proposals; `older` is the id to go on below, None at the end."""

    rows: list[ListedProposal]
    older: int | None


@dataclass
class Decided:
    """What became of proposals that were accepted."""

    accepted: int = 0
    overtaken: int = 0
    """The value was changed meanwhile: they wait again, with the value of now."""
    dropped: int = 0
    """The value is as proposed already, or would not fit the property any more."""
    names: set[str] = field(default_factory=set)


def page(chosen: Chosen, before: int | None = None) -> Page:
    """Return proposals, newest first."""
    listed = [ListedProposal(*row) for row in rows.listed(current_session(), chosen, before, PAGE + 1)]
    return Page(listed[:PAGE], listed[PAGE - 1].proposal.id if len(listed) > PAGE else None)


def latest(chosen: Chosen) -> int:
    """Return the highest id that is chosen now, 0 if there is none."""
    newest = rows.listed(current_session(), chosen, None, 1)
    return newest[0][0].id if newest else 0


def names() -> list[str]:
    """Return the properties for which proposals wait."""
    return rows.names(current_session())


def is_any() -> bool:
    """Say whether any proposal waits."""
    return rows.is_any(current_session())


def accept(ids: Collection[int], by: Actor, now: dt.datetime) -> Decided:
    """Write what these proposals say, as values that a person has entered; those that are gone are passed over.

    An id stands for what a person has seen: another proposal of the same key has another id, and one whose old value
    has changed meanwhile is listed anew instead of being accepted.
    """
    decided = Decided()
    wanted = sorted(ids)
    for begin in range(0, len(wanted), AT_ONCE):
        _accept(wanted[begin : begin + AT_ONCE], by, now, decided)
    return decided


def accept_all(chosen: Chosen, until: int, by: Actor, now: dt.datetime) -> Decided:
    """Accept all that are chosen, except those that came after the id `until`."""
    decided = Decided()
    while ids := rows.ids_of(current_session(), chosen, until, AT_ONCE):
        _accept(ids, by, now, decided)
    return decided


def reject(ids: Collection[int], by: Actor, now: dt.datetime) -> int:
    """Forget these proposals; return how many there were."""
    with writing() as session:
        rejected = rows.remove(session, ids)
        if rejected:
            audit_log.log_action(session, by, "reject_changes", "contacts", "*", now, rows=rejected)
    return rejected


def reject_all(chosen: Chosen, until: int, by: Actor, now: dt.datetime) -> int:
    """Forget all that are chosen, except those that came after the id `until`; return how many there were."""
    with writing() as session:
        rejected = rows.remove_matching(session, chosen, until)
        if rejected:
            audit_log.log_action(session, by, "reject_changes", "contacts", chosen.name or "*", now, rows=rejected)
    return rejected


def _accept(ids: Sequence[int], by: Actor, now: dt.datetime, decided: Decided) -> None:
    source = Source(Origin.PERSON, by.user_id or 0, now).as_text()
    types = property_catalogue.property_types(current_session())
    with writing() as session:
        read, region = property_catalogue.phone_properties(session), settings().DEFAULT_REGION
        subjects = rows.subjects(session, ids)
        held = {row.contact_id: dict(row.properties) for row in subjects}
        sources = {row.contact_id: dict(row.sources) for row in subjects}
        written: dict[int, str] = {}
        again: list[rows.NewProposal] = []
        for row in subjects:
            properties = held[row.contact_id]
            present = properties.get(row.name)
            if present == row.new or not _fits(row.name, row.new, types):
                decided.dropped += 1
            elif present != row.old and not trust.is_empty(present):
                decided.overtaken += 1
                again.append(rows.NewProposal(row.xwho, row.app_key_id, row.name, present, row.new))
            else:
                properties[row.name] = row.new
                sources[row.contact_id][row.name] = source
                written[row.contact_id] = row.xwho
                decided.accepted += 1
                decided.names.add(row.name)
        profiles = [
            Profile(xwho, held[id_], contacts.phones_of(held[id_], read, region), sources[id_])
            for id_, xwho in sorted(written.items(), key=lambda item: item[1])
        ]
        contacts.replace(session, profiles, now)
        rows.remove(session, ids)
        rows.add(session, again, now)
        if written:
            accepted = sorted(decided.names)
            audit_log.log_action(
                session, by, "accept_changes", "contacts", "*", now, rows=len(written), properties=accepted
            )


def _fits(name: str, value: Any, types: dict[str, Type]) -> bool:
    """Say whether the property still exists and takes this value."""
    if name not in types:
        return False
    try:
        canonical(name, value, types[name])
    except Unfit:
        return False
    return True
