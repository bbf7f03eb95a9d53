"""The archive: campaigns that have ended, segments and templates leave lists and choices, and can come back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from smsapp.domain.campaign import Action, Status, may
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.tags import RIGHTS, Item
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.campaigns import archive as store
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.sms_templates import SmsTemplate

TABLES: Mapping[Item, type[Segment | SmsTemplate]] = {Item.SEGMENT: Segment, Item.TEMPLATE: SmsTemplate}
NOT_ENDED = {
    Status.DRAFT: "archive_draft",
    Status.WAITING: "archive_waiting",
    Status.SENDING: "archive_sending",
}
"""Status of a campaign -> why it cannot be archived."""


class InUse(Refusal):
    """Campaigns that wait or are being sent use it; `campaigns` are the (id, name) of the first ones."""

    def __init__(self, item: Item, campaigns: Sequence[tuple[int, str]]) -> None:
        self.campaigns = campaigns
        names = ", ".join(name or f"#{campaign_id}" for campaign_id, name in campaigns)
        super().__init__(Problem(f"archive_{item}_in_use", facts={"names": names}))


def archive_campaigns(campaign_ids: Iterable[int], actor: Actor, now: dt.datetime) -> dict[int, Problem]:
    """Archive those of these campaigns that have ended; return {id: why it was not} for the others.

    Neither a version nor a report changes.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    refused: dict[int, Problem] = {}
    with writing() as session:
        for campaign_id in sorted(set(campaign_ids)):
            campaign = campaigns.find(session, campaign_id)
            if campaign is None:
                refused[campaign_id] = Problem("not_found", facts={"noun": Item.CAMPAIGN})
            elif campaign.archived_at is not None:
                continue
            elif campaigns.move(session, campaign_id, Action.ARCHIVE, archived_at=now):
                log_action(session, actor, "archive", Item.CAMPAIGN.value, campaign_id, now, name=campaign.name)
            else:
                refused[campaign_id] = why_not(Status(campaign.status), campaign.name or f"#{campaign_id}")
    return refused


def why_not(status: Status, name: str) -> Problem:
    """Return why a campaign of this status cannot be archived, and what to do."""
    return Problem(NOT_ENDED.get(status, "conflict"), facts={"name": name})


def archive(item: Item, item_id: int, actor: Actor, now: dt.datetime) -> None:
    """Archive one campaign, segment or template; raises Refusal for a campaign that has not ended, InUse for what such
    campaigns use."""
    require(actor, RIGHTS.get(item, Right.CAMPAIGNS_WRITE))
    if item is Item.CAMPAIGN:
        refused = archive_campaigns([item_id], actor, now)
        if refused:
            raise Refusal(refused[item_id])
        return
    with writing() as session:
        row = lock_row(session, TABLES[item], item_id)
        if row is None:
            raise NotFound(item)
        users = store.needing(session, item, item_id)
        if users:
            raise InUse(item, users)
        confirms = store.confirming(session, item_id) if item is Item.TEMPLATE else None
        if confirms is not None:
            raise Refusal(Problem("archive_template_confirms", facts={"channel": confirms}))
        if row.archived_at is None:
            row.archived_at = now
            log_action(session, actor, "archive", item.value, item_id, now, name=row.name)


def restore(item: Item, item_ids: Iterable[int], actor: Actor, now: dt.datetime) -> int:
    """Bring these back from the archive; return how many came."""
    require(actor, RIGHTS.get(item, Right.CAMPAIGNS_WRITE))
    restored = 0
    with writing() as session:
        for item_id in item_ids:
            name: str | None = None
            if item is Item.CAMPAIGN:
                name = store.restore(session, item_id)
            else:
                row = lock_row(session, TABLES[item], item_id)
                if row is not None and row.archived_at is not None:
                    row.archived_at, name = None, row.name
            if name is not None:
                log_action(session, actor, "unarchive", item.value, item_id, now, name=name)
                restored += 1
    return restored


def name_of(item: Item, item_id: int) -> str:
    """Return the name of a campaign, segment or template; raises NotFound."""
    return _row(item, item_id).name


def is_archived(item: Item, item_id: int) -> bool:
    """Return whether it is in the archive; raises NotFound."""
    return _row(item, item_id).archived_at is not None


def standing(item: Item, item_id: int) -> tuple[bool, bool]:
    """Return whether it is in the archive, and whether it may be put there now, as far as its own status goes. Raises
    NotFound."""
    row = _row(item, item_id)
    is_archived = row.archived_at is not None
    has_ended = not isinstance(row, Campaign) or may(Action.ARCHIVE, Status(row.status))
    return is_archived, has_ended and not is_archived


def _row(item: Item, item_id: int) -> Campaign | Segment | SmsTemplate:
    session = current_session()
    row: Campaign | Segment | SmsTemplate | None
    if item is Item.CAMPAIGN:
        row = campaigns.find(session, item_id)
    elif item is Item.SEGMENT:
        row = session.get(Segment, item_id)
    else:
        row = session.get(SmsTemplate, item_id)
    if row is None:
        raise NotFound(item)
    return row
