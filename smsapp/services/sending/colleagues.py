"""The test group: colleagues' numbers, added, made seeds and removed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy.orm import Session

from smsapp.domain import phone
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.proof import LONGEST_NAME, MOST_COLLEAGUES
from smsapp.domain.rights import Right
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import proofs as store
from smsapp.store.runs.proofs import Colleague
from smsapp.store.settings import settings

NOUN = "colleague"


def everybody() -> Sequence[Colleague]:
    """Return the test group by name."""
    return store.colleagues(current_session())


def add(name: str, number: str, actor: Actor, now: dt.datetime, *, is_seed: bool = False) -> int:
    """Add somebody to the test group and return their id; raises Refusal with what is wrong."""
    require(actor, Right.SENDING_WRITE)
    name, to = name.strip(), phone.normalise(number, settings().DEFAULT_REGION)
    with writing() as session:
        group = store.colleagues(session)
        problems = []
        if not name or len(name) > LONGEST_NAME:
            problems.append(Problem("colleague_name", "name", {"most": LONGEST_NAME}))
        if not to:
            problems.append(Problem("colleague_number", "number"))
        if to and to in {each.phone for each in group}:
            problems.append(Problem("colleague_known", "number"))
        if len(group) >= MOST_COLLEAGUES:
            problems.append(Problem("colleagues_many", "number", {"most": MOST_COLLEAGUES}))
        if problems:
            raise Refusal(*problems)
        row = Colleague(name=name, phone=to, is_seed=is_seed, created_at=now)
        session.add(row)
        session.flush()
        log_action(session, actor, "add", NOUN, row.id, now, name=name, number=phone.mask(to), seed=is_seed)
    return row.id


def set_seed(colleague_id: int, is_seed: bool, actor: Actor, now: dt.datetime) -> None:
    """Let somebody get one text of every run from now on, or no longer; raises NotFound."""
    require(actor, Right.SENDING_WRITE)
    with writing() as session:
        row = _locked(session, colleague_id)
        if row.is_seed != is_seed:
            row.is_seed = is_seed
            log_action(session, actor, "change", NOUN, row.id, now, name=row.name, seed=is_seed)


def remove(colleague_id: int, actor: Actor, now: dt.datetime) -> None:
    """Take somebody out of the test group; raises NotFound. What was sent to them stays recorded."""
    require(actor, Right.SENDING_WRITE)
    with writing() as session:
        row = _locked(session, colleague_id)
        log_action(session, actor, "remove", NOUN, row.id, now, name=row.name, number=phone.mask(row.phone))
        session.delete(row)


def _locked(session: Session, colleague_id: int) -> Colleague:
    row = lock_row(session, Colleague, colleague_id)
    if row is None:
        raise NotFound(NOUN)
    return row
