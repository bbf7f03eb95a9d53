"""A number of a report becomes a segment: the people behind it, as they are now."""

from __future__ import annotations

import datetime as dt

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.recipients import Group
from smsapp.domain.rights import Right
from smsapp.domain.segment import EVERYONE, Kind
from smsapp.domain.segment_source import SegmentSource
from smsapp.services.campaigns import campaigns
from smsapp.services.contacts import segments
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.reports import recipient_list
from smsapp.store.contacts import segments as rows
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, writing
from smsapp.store.runs import group_members, runs


def save(campaign_id: int, run_id: int | None, group: Group, name: str, actor: Actor, now: dt.datetime) -> Segment:
    """Store the people of this group as a static segment that keeps where it came from; one INSERT .. SELECT.

    A person who is in the number several times is one member, and one who has been deleted is none. Raises NotFound,
    and Refusal if the name cannot be taken or the single messages have been removed.
    """
    require(actor, Right.SEGMENTS_WRITE)
    run_ids = recipient_list.runs_with(campaign_id, run_id, group)
    readable_ids = {run.id for run in runs.of_campaign(current_session(), campaign_id) if run.forgotten_at is None}
    if not readable_ids.issuperset(run_ids):
        raise Refusal(Problem("segment_runs_forgotten", "name", {"name": campaigns.get(campaign_id).name}))
    with writing() as session:
        segment = segments.prepared(session, None, name, Kind.STATIC, EVERYONE, actor, now)
        reason = group.reason or (str(next(iter(group.left))) if len(group.left) == 1 and not group.states else "")
        segment.source = SegmentSource(campaign_id, run_id, group.name, reason, now).as_json()
        members = group_members.contact_ids(session, run_ids, group, merged=run_id is None)
        segment.size = rows.fill(session, segment.id, members)
        segment.computed_at = now
        facts = {"name": segment.name, "size": segment.size, "campaign": campaign_id, "group": group.name}
        log_action(session, actor, "create", "segment", segment.id, now, **facts)
    return segment
