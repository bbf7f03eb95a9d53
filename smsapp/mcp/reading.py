"""Tools that read: what there is to draft with, what was drafted, and what became of it. Numbers only, no people."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from smsapp.domain.api_key import Scope
from smsapp.domain.campaign import Status
from smsapp.domain.sms_template import Audit
from smsapp.mcp.caller import Caller
from smsapp.mcp.tool import Arguments, OfCampaign, Page, Schema, tool
from smsapp.services.campaigns import campaign_list, campaign_review, campaigns, rehearsals
from smsapp.services.campaigns.campaign_list import Wanted
from smsapp.services.channels import accounts
from smsapp.services.contacts import segments
from smsapp.services.platform import clock
from smsapp.services.reports import reports
from smsapp.services.templates import sms_templates
from smsapp.shapes import campaigns as shapes
from smsapp.shapes import runs as run_shapes
from smsapp.shapes import setup
from smsapp.shapes.drafts import HIGHEST, id_field
from smsapp.shapes.sight import MASKED


class TemplatePage(Page):
    channel_id = id_field()
    status = fields.Enum(Audit, by_value=True)
    search = fields.String(validate=validate.Length(max=120))


class SegmentPage(Page):
    search = fields.String(validate=validate.Length(max=120))


class CampaignPage(Page):
    status = fields.Enum(Status, by_value=True)
    channel_id = id_field()
    search = fields.String(validate=validate.Length(max=120))


@tool(Scope.READ, Schema())
def list_channels(_caller: Caller, _arguments: Arguments) -> dict[str, Any]:
    """List the channels by name, with how each does: results of a day, trouble, rate. Not their accounts."""
    now = clock.now()
    return {"items": [setup.channel(row) | setup.health(row, now) for row in accounts.everything()]}


@tool(Scope.READ, TemplatePage())
def list_templates(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """List SMS templates, newest first: text, variables, and whether campaigns can use them."""
    limit = arguments["limit"]
    filters = (arguments.get("channel_id"), arguments.get("status"), arguments.get("search", ""))
    rows = sms_templates.find_page(*filters, before=_after(arguments), limit=limit + 1)
    return _page([setup.template(row) for row in rows], limit)


@tool(Scope.READ, SegmentPage())
def list_segments(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """List segments, newest first: name, kind and size. Their rules and members are not shown."""
    before, limit = _after(arguments), arguments["limit"]
    rows = [line.segment for line in segments.listing(arguments.get("search", ""))]
    rows = [row for row in rows if before is None or row.id < before][: limit + 1]
    shown = ("id", "name", "kind", "size", "computed_at")
    return _page([{name: setup.segment(row, MASKED)[name] for name in shown} for row in rows], limit)


@tool(Scope.READ, CampaignPage())
def list_campaigns(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """List campaigns, newest first, drafts among them."""
    words, channel_id = arguments.get("search", ""), arguments.get("channel_id")
    wanted = Wanted(status=arguments.get("status"), keyword=words, channel_id=channel_id)
    listing = campaign_list.listing(wanted, clock.now(), after=_after(arguments) or 0, limit=arguments["limit"])
    items = [shapes.campaign(line.campaign, MASKED) for line in listing.lines]
    return {"items": items, "next": str(listing.older) if listing.older else None}


@tool(Scope.READ, OfCampaign())
def show_campaign(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Show a campaign: the fields of its draft, its version for change_draft, and which parts programs have set."""
    return shapes.campaign(campaigns.get(arguments["campaign_id"]), MASKED)


@tool(Scope.READ, OfCampaign())
def estimate(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Estimate what a draft would do: people, who is left out and why, parts, cost, time, the first text."""
    return shapes.estimate(campaign_review.review(arguments["campaign_id"], 0, clock.now()), MASKED)


@tool(Scope.READ, OfCampaign())
def read_review(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Read what the review says of a draft: problems that keep it from going out, warnings, whether it is ready."""
    return shapes.review(campaign_review.review(arguments["campaign_id"], 0, clock.now()))


@tool(Scope.READ, OfCampaign())
def read_rehearsal(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Read how the rehearsal of a campaign stands, and what all its texts come to. While `running`, ask again later."""
    return shapes.rehearsal(rehearsals.view(arguments["campaign_id"]))


@tool(Scope.READ, OfCampaign())
def list_runs(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """List the runs of a campaign, newest first, each with its state and its numbers."""
    lines = reports.report(arguments["campaign_id"], None, clock.now()).runs
    return {"items": [run_shapes.run(line) for line in lines]}


@tool(Scope.READ, OfCampaign())
def show_funnel(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Show the numbers of a campaign over all its runs: target, planned, accepted, delivered and those between."""
    return run_shapes.funnel(reports.report(arguments["campaign_id"], None, clock.now()).funnel)


@tool(Scope.READ, OfCampaign())
def show_report(_caller: Caller, arguments: Arguments) -> dict[str, Any]:
    """Show what became of a campaign: steps, why people are missing from them, reasons of failures, costs, runs."""
    return run_shapes.report(reports.report(arguments["campaign_id"], None, clock.now()))


def _after(arguments: Arguments) -> int | None:
    """Return the id behind which a page begins; None for the first one."""
    return min(int(arguments["after"]), HIGHEST) if "after" in arguments else None


def _page(items: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """Return a page of at most `limit` of the items, of which one more tells that there is a next one."""
    following = items[limit - 1]["id"] if len(items) > limit else None
    return {"items": items[:limit], "next": str(following) if following else None}
