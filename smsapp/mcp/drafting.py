"""Tools that draft: create a draft, change it, rehearse it. What becomes of it a person decides, in the pages."""

from __future__ import annotations

from typing import Any

from smsapp.domain.api_key import Scope
from smsapp.domain.errors import Refusal
from smsapp.mcp.caller import Caller
from smsapp.mcp.tool import Arguments, OfCampaign, tool
from smsapp.services.campaigns import campaigns, drafts, rehearsals
from smsapp.services.platform import clock
from smsapp.shapes import campaigns as shapes
from smsapp.shapes.drafts import DraftSchema, EditSchema, changed, draft
from smsapp.shapes.sight import MASKED


class ChangeSchema(EditSchema, OfCampaign):
    """A change of some fields of a draft: those that are not given stay as they are."""


@tool(Scope.DRAFT, DraftSchema())
def create_draft(caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Create a draft of a campaign, complete or not. Nothing is sent: a person reviews and confirms it in the pages."""
    new = draft(arguments, drafts.blank())
    caller.refuse_real_channels(new.channel_id, new.second_channel_id)
    return _shown(drafts.create(new, caller.actor, clock.now()))


@tool(Scope.DRAFT, ChangeSchema(partial=tuple(DraftSchema().fields)))
def change_draft(caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Change the given fields of a draft, each as a whole; refused if somebody has saved another version meanwhile."""
    campaign_id = arguments["campaign_id"]
    campaign = campaigns.get(campaign_id)
    new = changed(arguments, drafts.draft_of(campaign))
    ids = (campaign.channel_id, campaign.second_channel_id, new.channel_id, new.second_channel_id)
    caller.refuse_real_channels(*ids)
    drafts.save(campaign_id, arguments["version"], new, caller.actor, clock.now())
    return _shown(campaign_id)


@tool(Scope.DRAFT, OfCampaign())
def rehearse(caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Render every text of a draft without sending any: a small audience at once, a large one by a worker."""
    campaign_id = arguments["campaign_id"]
    campaign = campaigns.get(campaign_id)
    caller.refuse_real_channels(campaign.channel_id, campaign.second_channel_id)
    view = rehearsals.begin(campaign_id, caller.actor, clock.now(), anew=True)
    if view is None:
        raise Refusal(*drafts.problems(drafts.draft_of(campaigns.get(campaign_id)), clock.now()))
    return shapes.rehearsal(view)


def _shown(campaign_id: int) -> dict[str, Any]:
    return shapes.campaign(campaigns.get(campaign_id), MASKED)
