"""What AppKeys may do while their records are applied: which values are written, proposed or refused.

The rules are those of `domain/trust.py`; here they meet what the contacts hold.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain import trust
from smsapp.domain.contact import Properties, Type
from smsapp.domain.profile_operation import Kind, Operation, operation, without
from smsapp.domain.rejection import Loss, Reason, excerpt
from smsapp.services.apps import quotas
from smsapp.store.apps.app_keys import KeyRights
from smsapp.store.contacts import proposals
from smsapp.store.contacts.contacts import StoredContact
from smsapp.store.contacts.proposals import NewProposal


class KeyGate:
    """Lets through what the keys of some records may do, and remembers what else they ask for."""

    def __init__(self, keys: Mapping[str, KeyRights], public_names: Mapping[str, int]) -> None:
        self._keys = keys
        self._public_names = dict(public_names)
        """{property: number of the public key that was first to report it}, as long as nobody vouches for it"""
        self.brought: dict[str, int] = {}
        """The same of properties that are new now."""
        self.vouched: dict[str, Type] = {}
        """Of these properties those that a server key reports as well, with its type."""
        self._proposed: list[tuple[NewProposal, Operation]] = []

    def is_free(self, key: str) -> bool:
        """Say whether the key may do everything."""
        rights = self._keys[key].rights
        return rights.trusted and rights.writable is None

    def source(self, key: str, now: dt.datetime) -> str:
        """Return what is kept beside the values that this key writes."""
        row = self._keys[key]
        return trust.of_key(row.rights.kind, row.id, now).as_text()

    def most_contacts(self, key: str) -> int:
        """Return how many contacts the key may create in a day."""
        return quotas.most_contacts(self._keys[key].rights.kind)

    # Names

    def is_public_name(self, name: str) -> bool:
        """Say whether nobody but public keys has reported this property."""
        return name in self._public_names

    def operation(self, record: Mapping[str, Any], key: str, known: dict[str, Type]) -> Operation | None:
        """Return what a record asks for, without properties that its key may not write or add; raises Unfit.

        `known` are the types of properties; what the record adds is entered by the caller. A server key is not bound
        by the type of a property that only public keys have reported.
        """
        rights = self._keys[key].rights
        context = record.get("xcontext")
        touched: set[str] = set()
        if self._public_names and rights.trusted and isinstance(context, dict):
            touched = self._public_names.keys() & {str(name).lower() for name in context}
        types = {name: kind for name, kind in known.items() if name not in touched} if touched else known
        asked = operation(record, types)
        if asked is None or not asked.is_stored or not asked.values:
            return asked
        if rights.writable is not None:
            asked = _lose(asked, asked.values.keys() - rights.writable, Reason.NOT_WRITABLE)
        for name in asked.types.keys() & touched:
            self.vouched[name] = known[name] = asked.types[name]
            del self._public_names[name]
        fresh = asked.types.keys() - known.keys()
        if fresh and not rights.trusted:
            asked = _lose(asked, self._without_room(key, fresh), Reason.NAMES_OF_KEY, limit=trust.MOST_NEW_NAMES)
        return asked

    def _without_room(self, key: str, fresh: Iterable[str]) -> set[str]:
        """Enter new properties as this public key's; return those for which it has no room."""
        row = self._keys[key]
        refused = set()
        for name in sorted(fresh):
            if trust.name_problem(row.rights, Counter(self._public_names.values())[row.id], len(self._public_names)):
                refused.add(name)
            else:
                self._public_names[name] = self.brought[name] = row.id
        return refused

    def as_vouched(self, asked: Operation) -> Operation:
        """Return the operation without values of a type that a server key has just set right."""
        wrong = {name for name, kind in asked.types.items() if self.vouched.get(name, kind) is not kind}
        return _lose(asked, wrong, Reason.TYPE_CONFLICT) if wrong else asked

    # Values

    def let_through(self, asked: Operation, key: str, xwho: str, held: Properties | None) -> Operation | None:
        """Return what is to be applied of an operation of a key that is not free; None = nothing.

        What is refused is added to `asked.losses`; what is proposed is kept for `propose`.
        """
        row = self._keys[key]
        outcome = trust.divide(row.rights, asked, held or {})
        for name, reason in outcome.refused.items():
            asked.losses.append(_loss(asked, name, reason))
        for name, new in outcome.proposed.items():
            self._proposed.append((NewProposal(xwho, row.id, name, (held or {}).get(name), new), asked))
        return outcome.apply

    def proposed(self) -> Counter[tuple[str, str]]:
        """Return how many proposals there are by (AppKey, property)."""
        keys = {row.id: key for key, row in self._keys.items()}
        return Counter((keys[row.app_key_id], row.name) for row, _ in self._proposed)

    def propose(self, session: Session, now: dt.datetime) -> None:
        """Enter the proposals, once the contacts are written."""
        without_room = {id(row) for row in proposals.add(session, [row for row, _ in self._proposed], now)}
        for row, asked in self._proposed:
            if id(row) in without_room:
                facts = {"name": row.name, "limit": trust.MOST_PROPOSALS}
                asked.losses.append(Loss(Reason.PROPOSALS_FULL, row.name, excerpt(row.new), facts))

    # Ids

    def aliases(
        self, wanted: Iterable[tuple[Operation, str]], known: Mapping[str, str], before: Mapping[str, StoredContact]
    ) -> list[tuple[Operation, bool]]:
        """Return those aliases that may bind an id, in order, each with whether its key is trusted.

        The others get a loss. An id counts as registered if anything was reported about it, before or in these records,
        that did not call the person anonymous.
        """
        registered: set[str] = {xwho for xwho, contact in before.items() if not contact.anonymous}
        allowed = []
        for asked, key in wanted:
            if asked.kind is Kind.ALIAS and asked.is_stored and asked.original_id not in known:
                rights = self._keys[key].rights
                problem = trust.alias_problem(rights, registered=asked.original_id in registered)
                if problem is None:
                    allowed.append((asked, rights.trusted))
                else:
                    asked.losses.append(Loss(problem, "$alias", excerpt(asked.original_id), {"name": "$alias"}))
            if not asked.anonymous:
                registered.add(asked.xwho)
        return allowed


def _lose(asked: Operation, names: Iterable[str], reason: Reason, **facts: Any) -> Operation:
    """Return the operation without these properties, which are told."""
    lost = sorted(names)
    asked.losses += [_loss(asked, name, reason, **facts) for name in lost]
    return without(asked, lost) if lost else asked


def _loss(asked: Operation, name: str, reason: Reason, **facts: Any) -> Loss:
    named = name or asked.kind.value
    more: dict[str, Any] = {}
    if reason is Reason.TYPE_CONFLICT:
        more = {"expected": "", "found": asked.types[name].value}
    return Loss(reason, named, excerpt(asked.values.get(name, "")), {"name": named, **more, **facts})
