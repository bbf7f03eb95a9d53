"""One message to one person, from an approved template: checked, stored and answered; planned within a moment.

Requests of the same moment share one transaction. What a request needs of its template is known for a second; the
planning (`services/sending/single_messages.py`) asks everything again, as every freeze does.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flask import current_app

from smsapp.domain.api_key import KEPT_FOR, SIMULATOR, RealChannelRefused
from smsapp.domain.approval import Estimate
from smsapp.domain.bounds import Bound, faults
from smsapp.domain.carrier_prefixes import Carrier, carrier_of
from smsapp.domain.cost import cost_of
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.message import Status
from smsapp.domain.registration import Registration
from smsapp.domain.rights import Right
from smsapp.domain.run import RunState
from smsapp.domain.single_message import Fate
from smsapp.domain.sms_template import Purpose, is_usable, variables
from smsapp.services.campaigns import registration_look
from smsapp.services.contacts import audience
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.group_commit import GroupCommit
from smsapp.services.sending import approval_rule
from smsapp.services.sending import single_messages as planning
from smsapp.services.templates import registration_rule, registrations, sms_templates
from smsapp.store.apps import message_requests
from smsapp.store.apps.message_requests import NewRequest
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import reached
from smsapp.store.db import as_json, current_session
from smsapp.store.runs import api_messages

EXTENSION = "smsapp.single_messages"
BELIEVED_SECONDS = 1.0
"""How long a process believes what it knows of a template."""
RING_SECONDS = 0.25
"""How long a process believes that requests are being looked for."""
NOUN, CONTACT = "message", "contact"


@dataclass(frozen=True)
class Caller:
    """Who asks for a message: the API key (COMMAND for a command), and the request's Idempotency-Key, if any."""

    key_id: int
    is_test: bool = False
    idempotency_key: str = ""
    request: bytes = field(default=b"", repr=False)
    """What makes it the same request: method, address and body."""


@dataclass(frozen=True)
class Taken:
    """A request that is stored, or was before."""

    id: int
    is_repeated: bool
    """The same request was made before, with the same Idempotency-Key: there still is one message."""


class OtherRequest(Refusal):
    """The Idempotency-Key was used for another request."""

    def __init__(self) -> None:
        super().__init__(Problem("idempotency_other"))


@dataclass(frozen=True)
class MessageState:
    """Where a single message stands."""

    id: int
    state: str
    """A Fate, or the name of a message status."""
    reason: str = ""
    """Why it was left out or has failed; while it is queued, why its run is held."""
    campaign_id: int | None = None
    run_id: int | None = None
    phone: str = field(default="", repr=False)
    receipt_at: dt.datetime | None = None


@dataclass(frozen=True)
class _Template:
    """What is known of a template: what keeps it from being sent singly, and what may fill it."""

    problems: Sequence[Problem]
    bounds: Mapping[str, Bound]
    is_simulated: bool
    phone_property: str
    red: Mapping[Carrier, Registration]
    """Carriers that would not let it through, where an administrator wants that to be refused."""
    known_at: float


@dataclass
class _Door:
    """What a web process knows between two requests."""

    commit: GroupCommit[NewRequest]
    templates: dict[int, _Template] = field(default_factory=dict)
    rung_at: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)


def send(
    user_id: str, template_id: int, values: Mapping[str, str], caller: Caller, actor: Actor, now: dt.datetime
) -> Taken:
    """Take a request for one message to a contact; once this returns it is stored, and will be planned.

    `values` fill the template's variables. Raises NotFound, RealChannelRefused, OtherRequest, or Refusal with
    everything that keeps it from going out.
    """
    require(actor, Right.CAMPAIGNS_CONFIRM)
    door = _door()
    try:
        request = _checked(door, user_id, template_id, values, caller, now)
        current_session().rollback()  # no connection is held while others store
        door.commit.store([request])
        if request.contact_id is None:
            raise NotFound(CONTACT)
    except Refusal:  # what was taken already stays taken, whatever is in its way by now
        taken = _taken_before(caller, now)
        if taken is None:
            raise
        return taken
    if not caller.idempotency_key or request.earlier is None:
        return Taken(request.id, is_repeated=False)
    return _repeated(request.id, request.earlier, caller)


def _checked(
    door: _Door, user_id: str, template_id: int, values: Mapping[str, str], caller: Caller, now: dt.datetime
) -> NewRequest:
    template = _template(door, template_id, now)
    if caller.is_test and not template.is_simulated:
        raise RealChannelRefused
    if problems := [*template.problems, *_value_problems(template, values)]:
        raise Refusal(*problems)
    if template.red:
        _refuse_red(template, user_id)
    return NewRequest(
        key_id=caller.key_id,
        template_id=template_id,
        xwho=user_id,
        at=now,
        token=_token(caller) or _digest(secrets.token_bytes(16)),
        fingerprint=_digest(caller.request),
        given=as_json({name: values[name] for name in template.bounds}),
    )


def _taken_before(caller: Caller, now: dt.datetime) -> Taken | None:
    if not caller.idempotency_key:
        return None
    earlier = message_requests.of_token(caller.key_id, _token(caller), now - KEPT_FOR)
    return None if earlier is None else _repeated(earlier.id, earlier.fingerprint, caller)


def _repeated(request_id: int, fingerprint: str, caller: Caller) -> Taken:
    """Return the earlier request with this Idempotency-Key; raises OtherRequest."""
    if fingerprint != _digest(caller.request):
        raise OtherRequest
    return Taken(request_id, is_repeated=True)


def state_of(message_id: int) -> MessageState:
    """Return what has become of a single message; raises NotFound."""
    place = api_messages.find(current_session(), message_id)
    if place is None:
        request = message_requests.find(message_id)
        if request is None:
            raise NotFound(NOUN)
        if not request.is_emptied:
            return MessageState(message_id, Fate.WAITING)
        current_session().rollback()  # it may have been taken over since the first look
        place = api_messages.find(current_session(), message_id)
    if place is None:
        return MessageState(message_id, Fate.LOST)
    own, run, message = place
    campaign_id = run.campaign_id if run else None
    held = run.hold_reason if run and run.state == RunState.HELD else ""
    if own.reason:
        return MessageState(message_id, Fate.EXCLUDED, own.reason, campaign_id, own.run_id)
    if message is None:  # it waits, or its row was removed after MESSAGE_MONTHS
        state = Fate.WAITING if own.seq is None else Fate.REMOVED
        return MessageState(message_id, state, held, campaign_id, own.run_id)
    status = Status(message.status)
    reason = held if status is Status.QUEUED else message.reason or ""
    heard = dt.datetime.fromtimestamp(message.receipt_at, dt.UTC) if message.receipt_at else None
    return MessageState(message_id, status.name.lower(), reason, campaign_id, own.run_id, message.phone, heard)


def _token(caller: Caller) -> str:
    return _digest(caller.idempotency_key.encode()) if caller.idempotency_key else ""


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _door() -> _Door:
    door: _Door | None = current_app.extensions.get(EXTENSION)
    if door is None:
        door = current_app.extensions[EXTENSION] = _opened()
    return door


def _opened() -> _Door:
    door = _Door(GroupCommit(_store, lambda: _ring(door)))
    return door


def _store(requests: list[NewRequest]) -> None:
    message_requests.add(requests, requests[-1].at - KEPT_FOR)


def _ring(door: _Door) -> None:
    if time.monotonic() - door.rung_at > RING_SECONDS:
        door.rung_at = time.monotonic()
        planning.ring()


def _template(door: _Door, template_id: int, now: dt.datetime) -> _Template:
    """Return what was known of a template at most a second ago; raises NotFound."""
    known = door.templates.get(template_id)
    if known is None or time.monotonic() - known.known_at > BELIEVED_SECONDS:
        with door.lock:
            known = door.templates.get(template_id)
            if known is None or time.monotonic() - known.known_at > BELIEVED_SECONDS:
                known = door.templates[template_id] = _looked_up(template_id, now)
    return known


def _looked_up(template_id: int, now: dt.datetime) -> _Template:
    template = sms_templates.get(template_id)
    session = current_session()
    channel = session.get(ChannelRow, template.channel_id, populate_existing=True)
    problems = []
    if template.purpose == Purpose.MARKETING:
        problems.append(Problem("single_marketing", "template_id"))
    if channel is None or not channel.active:
        problems.append(Problem("channel_inactive", "template_id"))
    if not is_usable(template.audit, template.purpose):
        problems.append(Problem("template_not_approved", "template_id"))
    elif template.archived_at is not None:
        problems.append(Problem("template_archived", "template_id"))
    cost = cost_of(1, channel.price if channel else None, channel.currency if channel else "")
    if approval_rule.rule(session).needs(Estimate(1, cost.parts, cost.amount, cost.currency)):
        problems.append(Problem("approval_missing", "template_id"))
    red = registrations.present(session, template, now) if registrations.concerns(channel) else {}
    return _Template(
        problems=problems,
        bounds={name: audience.bound_of(template, name) for name in variables(template.text)},
        is_simulated=channel is not None and channel.kind == SIMULATOR,
        phone_property=channel.phone_property if channel else "",
        red={carrier: entry for carrier, entry in red.items() if entry.is_red and registration_rule.refuses()},
        known_at=time.monotonic(),
    )


def _value_problems(template: _Template, values: Mapping[str, str]) -> list[Problem]:
    problems = []
    for name, bound in template.bounds.items():
        facts = {"variable": name, "longest": bound.longest}
        if not values.get(name):
            problems.append(Problem("variable_unmapped", "values", facts))
        else:
            problems += [Problem(f"variable_{fault}", "values", facts) for fault in faults(values[name], bound)]
    return problems


def _refuse_red(template: _Template, user_id: str) -> None:
    """Raise Refusal if the carrier of the contact's number would not let the text through; NotFound."""
    phone = reached.phone(current_session(), user_id, template.phone_property)
    if phone is None:
        raise NotFound(CONTACT)
    carrier = carrier_of(phone)
    entry = template.red.get(carrier) if carrier else None
    if entry is not None:
        raise Refusal(registration_look.problem_of(entry, 1, 1, refuses=True))
