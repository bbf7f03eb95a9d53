"""Asking for single messages, and what has become of them and of their runs."""

from __future__ import annotations

import datetime as dt

from smsapp.domain.funnel import broken_identities
from smsapp.services.campaigns import single_messages
from smsapp.services.campaigns.single_messages import Caller, MessageState
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.runs import funnels
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from tests.engine import OPERATOR

KEY = Caller(7)


def send(template: SmsTemplate, who: Contact, code: str, now: dt.datetime, caller: Caller = KEY) -> int:
    return single_messages.send(who.xwho, template.id, {"code": code}, caller, OPERATOR, now).id


def told(message_id: int) -> MessageState:
    current_session().commit()
    current_session().expire_all()
    return single_messages.state_of(message_id)


def all_runs() -> list[Run]:
    current_session().commit()
    rows = current_session().query(Run).order_by(Run.id).all()
    for run_id, counts in funnels.run_funnels(current_session(), [run.id for run in rows]).items():
        run = next(run for run in rows if run.id == run_id)
        current_session().refresh(run)
        assert broken_identities(counts) == []
        assert (run.target, run.planned) == (counts.target, counts.planned)
    return rows
