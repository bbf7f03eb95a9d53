"""The recipients of a campaign or a run: searched, page by page, and exported."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.funnel import Funnel
from smsapp.domain.phone import SHOWN, normalise
from smsapp.domain.recipients import Group, Place, Recipient
from smsapp.domain.rights import Right
from smsapp.services.campaigns import campaigns
from smsapp.services.platform import keyset_page
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.store.db import current_session, writing
from smsapp.store.runs import recipients, runs
from smsapp.store.runs.funnels import run_funnels
from smsapp.store.runs.recipients import PhoneQuery
from smsapp.store.settings import settings

PAGE = 50
CHUNK = 5000
"""Rows an export reads at a time."""
FEWEST_DIGITS = 4


def parse_phone_query(raw: str, *, sees_full_numbers: bool = False) -> PhoneQuery:
    """Parse what a person searches: a whole number, at least four last digits, or blank for anybody; raises Refusal.

    Without the right to see whole numbers exactly four digits are allowed: more would reveal masked digits.
    """
    if not raw.strip():
        return recipients.ANYBODY
    digits = "".join(letter for letter in raw if letter.isascii() and letter.isdigit())
    if phone := normalise(raw, settings().DEFAULT_REGION):
        return PhoneQuery(phone=phone)
    if len(digits) < FEWEST_DIGITS:
        raise Refusal(Problem("phone_search_short", "phone", {"fewest": FEWEST_DIGITS}))
    if len(digits) > SHOWN and not sees_full_numbers:
        raise Refusal(Problem("phone_search_hidden", "phone", {"most": SHOWN}))
    return PhoneQuery(ending=digits)


def page(
    campaign_id: int, run_id: int | None, group: Group, query: PhoneQuery, after: Place | None
) -> KeysetPage[Recipient, Place]:
    """Return one page of the people of a group.

    Runs in which the tally counts nobody of the group are not read.
    """
    run_ids = runs_with(campaign_id, run_id, group)
    rows = recipients.page(current_session(), run_ids, group, query, after, PAGE + 1, merged=run_id is None)
    return keyset_page.cut(rows, PAGE, lambda row: row.place)


def runs_with(campaign_id: int, run_id: int | None, group: Group) -> list[int]:
    """Return the runs, newest first, in which the tally counts somebody of the group; raises NotFound."""
    run_ids = require_run(campaign_id, run_id)
    funnels = run_funnels(current_session(), run_ids)
    return [run for run in run_ids if group.size(funnels.get(run, Funnel())) > 0]


def require_run(campaign_id: int, run_id: int | None) -> list[int]:
    """Return the id of this run of the campaign, or of all its runs, newest first; raises NotFound."""
    campaigns.loaded(campaign_id)
    run_ids = [id_ for id_ in reversed(runs.all_ids(current_session(), campaign_id)) if run_id in (None, id_)]
    if run_id is not None and not run_ids:
        raise NotFound("run")
    return run_ids


def export(
    campaign_id: int, run_id: int | None, group: Group, actor: Actor, now: dt.datetime, *, masked: bool
) -> Iterator[list[Recipient]]:
    """Add a line to the audit log and return the people of the group in chunks, read one after the other.

    No transaction is open between two chunks, so a slow download blocks nothing.
    """
    require(actor, Right.RESULTS_EXPORT)
    run_ids = runs_with(campaign_id, run_id, group)
    with writing() as session:
        facts = {"run": run_id, "group": group.name, "masked": masked}
        log_action(session, actor, "export", "campaign", campaign_id, now, **facts)
    return _chunks(run_ids, group, merged=run_id is None)


def _chunks(run_ids: Sequence[int], group: Group, *, merged: bool) -> Iterator[list[Recipient]]:
    after: Place | None = None
    while chunk := recipients.page(current_session(), run_ids, group, after=after, limit=CHUNK, merged=merged):
        current_session().commit()
        yield chunk
        after = chunk[-1].place
