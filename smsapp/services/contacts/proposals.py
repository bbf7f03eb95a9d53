"""Proposals of public AppKeys: listed, accepted and rejected, single ones or many together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain import trust
from smsapp.domain.contact import Type, canonical
from smsapp.domain.rejection import Unfit
from smsapp.domain.rights import Right
from smsapp.domain.trust import Origin, Source
from smsapp.services.contacts import consents
from smsapp.services.platform import audit_log, keyset_page
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.keyset_page import KeysetPage
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
"""Proposals decided in one transaction."""


@dataclass(frozen=True)
class ListedProposal:
    """A proposal with its contact and its AppKey."""

    proposal: Proposal
    contact: Contact
    key: AppKey

    @property
    def present(self) -> Any:
        """The contact's present value, None if there is none."""
        return self.contact.properties.get(self.proposal.name)


@dataclass
class Decided:
    """The results of accepting proposals."""

    accepted: int = 0
    overtaken: int = 0
    """The value was changed meanwhile: they are proposed again, with the present value."""
    dropped: int = 0
    """The value is as proposed already, or does not fit the property any more."""
    names: set[str] = field(default_factory=set)


def page(selection: Chosen, before: int | None = None) -> KeysetPage[ListedProposal, int]:
    """Return proposals, newest first."""
    items = [ListedProposal(*row) for row in rows.listed(current_session(), selection, before, PAGE + 1)]
    return keyset_page.cut(items, PAGE, lambda row: row.proposal.id)


def latest(selection: Chosen) -> int:
    """Return the highest id of the selected proposals, 0 if there is none."""
    newest = rows.listed(current_session(), selection, None, 1)
    return newest[0][0].id if newest else 0


def names() -> list[str]:
    """Return the properties for which proposals wait."""
    return rows.names(current_session())


def is_any() -> bool:
    """Return whether any proposal waits."""
    return rows.is_any(current_session())


def accept(ids: Collection[int], by: Actor, now: dt.datetime) -> Decided:
    """Write the proposed values as values that a person has entered; ids that are gone are skipped.

    An id identifies what a person has seen: another proposal of the same key has another id, and one whose old value
    has changed meanwhile is listed anew instead of being accepted.
    """
    require(by, Right.PROPOSALS_DECIDE)
    result = Decided()
    sorted_ids = sorted(ids)
    for begin in range(0, len(sorted_ids), AT_ONCE):
        _accept(sorted_ids[begin : begin + AT_ONCE], by, now, result)
    return result


def accept_all(selection: Chosen, until: int, by: Actor, now: dt.datetime) -> Decided:
    """Accept all selected proposals up to the id `until`."""
    require(by, Right.PROPOSALS_DECIDE)
    result = Decided()
    while ids := rows.ids_of(current_session(), selection, until, AT_ONCE):
        _accept(ids, by, now, result)
    return result


def reject(ids: Collection[int], by: Actor, now: dt.datetime) -> int:
    """Remove these proposals; return how many there were."""
    require(by, Right.PROPOSALS_DECIDE)
    with writing() as session:
        rejected = rows.remove(session, ids)
        if rejected:
            audit_log.log_action(session, by, "reject_changes", "contacts", "*", now, rows=rejected)
    return rejected


def reject_all(selection: Chosen, until: int, by: Actor, now: dt.datetime) -> int:
    """Remove all selected proposals up to the id `until`; return how many there were."""
    require(by, Right.PROPOSALS_DECIDE)
    with writing() as session:
        rejected = rows.remove_matching(session, selection, until)
        if rejected:
            audit_log.log_action(session, by, "reject_changes", "contacts", selection.name or "*", now, rows=rejected)
    return rejected


def _accept(ids: Sequence[int], by: Actor, now: dt.datetime, result: Decided) -> None:
    source = Source(Origin.PERSON, by.user_id or 0, now).as_text()
    types = property_catalogue.property_types(current_session())
    with writing() as session:
        phone_names, region = property_catalogue.phone_properties(session), settings().DEFAULT_REGION
        subjects = rows.subjects(session, ids)
        values_by_id = {row.contact_id: dict(row.properties) for row in subjects}
        sources = {row.contact_id: dict(row.sources) for row in subjects}
        xwho_by_id: dict[int, str] = {}
        renewed: list[rows.NewProposal] = []
        for row in subjects:
            properties = values_by_id[row.contact_id]
            present = properties.get(row.name)
            if present == row.new or not _fits(row.name, row.new, types):
                result.dropped += 1
            elif present != row.old and not trust.is_empty(present):
                result.overtaken += 1
                renewed.append(rows.NewProposal(row.xwho, row.app_key_id, row.name, present, row.new))
            else:
                properties[row.name] = row.new
                sources[row.contact_id][row.name] = source
                xwho_by_id[row.contact_id] = row.xwho
                result.accepted += 1
                result.names.add(row.name)
        profiles = [
            Profile(xwho, values_by_id[id_], contacts.phones_of(values_by_id[id_], phone_names, region), sources[id_])
            for id_, xwho in sorted(xwho_by_id.items(), key=lambda item: item[1])
        ]
        contacts.replace(session, profiles, now)
        consents.note_values(xwho_by_id.values(), now, *result.names)
        rows.remove(session, ids)
        rows.add(session, renewed, now)
        if xwho_by_id:
            accepted = sorted(result.names)
            audit_log.log_action(
                session, by, "accept_changes", "contacts", "*", now, rows=len(xwho_by_id), properties=accepted
            )


def _fits(name: str, value: Any, types: dict[str, Type]) -> bool:
    """Return whether the property still exists and takes this value."""
    if name not in types:
        return False
    try:
        canonical(name, value, types[name])
    except Unfit:
        return False
    return True
