"""Run with the generated client on its path: from contact to confirmation, then the funnel.

By bench/api.py against the product, whose numbers are checked; by bench/api_prism.py against Prism, which makes up
answers from the document alone.
"""

from __future__ import annotations

import sys
from typing import Any

from generated import AuthenticatedClient, models
from generated.api.campaigns import confirm_campaign, create_campaign, estimate_campaign, rehearse_campaign
from generated.api.channels import list_channels
from generated.api.contacts import upsert_contacts
from generated.api.numbers import list_messages, show_funnel
from generated.api.segments import create_segment
from generated.api.templates import list_templates


def confirmed(client: Any) -> int:
    """Go the way of the manual up to the confirmation, checking what is answered; return the campaign's id."""
    bulk, planned, estimate, status, campaign = steps(client)
    assert bulk.added == 10, bulk
    assert planned == 9
    assert estimate.ready, estimate
    assert status == "sending"
    return int(campaign)


def steps(client: Any) -> tuple[Any, int, Any, str, int]:
    """Return what the steps of the manual are answered: bulk, planned, estimate, status, campaign's id."""
    people = [
        {"user_id": f"u{i}", "properties": {"$phone": f"1380000{i:04}"} if i < 9 else {"name": "x"}} for i in range(10)
    ]
    bulk = upsert_contacts.sync(client=client, body=models.Bulk.from_dict({"contacts": people}))
    rule = models.NewSegment.from_dict({"name": "All", "kind": "dynamic", "rule": {}})
    segment = create_segment.sync(client=client, body=rule, idempotency_key="s" * 20)
    channel = list_channels.sync(client=client).items[0]
    template = next(item for item in list_templates.sync(client=client).items if item.usable)
    draft = {
        "name": "By a generated client",
        "audience": {"include": [segment.id]},
        "channel_id": channel.id,
        "template_id": template.id,
        "schedule": {"kind": "now"},
    }
    campaign = create_campaign.sync(client=client, body=models.Draft.from_dict(draft))
    rehearsal = rehearse_campaign.sync(campaign.id, client=client)
    estimate = estimate_campaign.sync(campaign.id, client=client)
    body = models.Confirm(digest=estimate.digest)
    sent = confirm_campaign.sync(campaign.id, client=client, body=body, idempotency_key="c" * 20)
    return bulk, rehearsal.planned, estimate, sent.status, int(campaign.id)


def numbers(client: Any, campaign: int) -> str:
    """Return the numbers, which add up."""
    funnel = show_funnel.sync(campaign, client=client)
    excluded, messages = (part.additional_properties for part in (funnel.excluded, funnel.messages))
    assert funnel.target == funnel.planned + sum(excluded.values())
    assert funnel.planned == sum(messages.values()) == len(list_messages.sync(campaign, client=client).items)
    return f"target {funnel.target} = planned {funnel.planned} + {excluded}; planned = {messages}"


if __name__ == "__main__":
    url, key, *known = sys.argv[1:]
    caller = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)
    if known == ["made-up"]:
        steps(caller)
        show_funnel.sync(1, client=caller)
        list_messages.sync(1, client=caller)
    else:
        print(numbers(caller, int(known[0])) if known else confirmed(caller))
