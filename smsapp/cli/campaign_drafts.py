"""flask campaigns create, change, delete, estimate, confirm: a draft as JSON, from its first field on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

import click
import marshmallow as ma

from smsapp.cli.campaigns import ACTOR, command
from smsapp.cli.ids import ROW_ID
from smsapp.cli.output import Shown, failure
from smsapp.domain.errors import Conflict
from smsapp.services.campaigns import campaign_review, campaigns, drafts, reviewed
from smsapp.services.platform import clock
from smsapp.shapes import campaigns as shapes
from smsapp.shapes.drafts import DraftSchema, changed, draft
from smsapp.shapes.problems import places
from smsapp.shapes.sight import MASKED


@command.command("create", shows=True)
@click.argument("file", type=click.File())
def create(file: TextIO) -> Shown:
    """Store a new draft as the JSON in FILE says (- reads standard input), and print its id.

    Its fields are those of POST /api/v1/campaigns; what is missing can be added later.

    \b
    Example: echo '{"name": "Spring", "audience": {"include": [3]}}' | flask campaigns create -
    """
    new = draft(_read(file, DraftSchema()), drafts.blank())
    return _shown(drafts.create(new, ACTOR, clock.now()))


@command.command("change", shows=True)
@click.argument("campaign_id", type=ROW_ID)
@click.argument("file", type=click.File())
def change(campaign_id: int, file: TextIO) -> Shown:
    """Change the fields of a draft that the JSON in FILE names (- reads standard input); the others stay.

    \b
    Example: echo '{"name": "Summer"}' | flask campaigns change 12 -
    """
    campaign = campaigns.get(campaign_id)
    new = changed(_read(file, DraftSchema(partial=tuple(DraftSchema().fields))), drafts.draft_of(campaign))
    drafts.save(campaign_id, campaign.version, new, ACTOR, clock.now())
    return _shown(campaign_id)


@command.command("delete", shows=True)
@click.argument("campaign_id", type=ROW_ID)
def delete(campaign_id: int) -> Shown:
    """Delete a campaign that was never sent; `undelete` brings it back within seven days.

    Example: flask campaigns delete 12
    """
    status = campaigns.get(campaign_id).status
    if campaigns.delete([campaign_id], ACTOR, clock.now()):
        raise Conflict(status=status)
    return Shown({"deleted": True}, ["deleted"])


@command.command("estimate", shows=True)
@click.argument("campaign_id", type=ROW_ID)
def estimate(campaign_id: int) -> Shown:
    """Print what a draft would do if it were confirmed now, what it lacks, and the digest with which it is confirmed.

    Example: flask campaigns estimate 12 --json
    """
    review = campaign_review.review(campaign_id, 0, clock.now())
    document = {"digest": reviewed.digest(review.campaign)} | shapes.estimate(review, MASKED)
    named = ("target", "planned", "parts", "amount", "currency", "begins_at", "ends_at", "text", "ready", "digest")
    problems = (f"{'lacks':14} {problem['detail']}" for problem in document["problems"])
    return Shown(document, [*(f"{name:14} {document[name]}" for name in named), *problems])


@command.command("confirm", shows=True)
@click.argument("campaign_id", type=ROW_ID)
@click.option("--digest", required=True, help="The one that `estimate` has printed: confirm this and nothing else.")
def confirm(campaign_id: int, digest: str) -> Shown:
    """Let a campaign go, now or at its time, if it still is what was estimated.

    Example: flask campaigns confirm 12 --digest 9f2c...
    """
    status = reviewed.confirm(campaign_id, digest, ACTOR, clock.now())
    return Shown({"id": campaign_id, "status": status}, [f"Campaign {campaign_id} is {status}."])


def _read(file: TextIO, schema: ma.Schema) -> Mapping[str, Any]:
    try:
        fields: Mapping[str, Any] = schema.load(json.load(file))
    except ValueError:
        raise failure("This is no JSON.") from None
    except ma.ValidationError as error:
        raise failure(" ".join(f"{wrong['field']}: {wrong['detail']}" for wrong in places(error.messages))) from None
    return fields


def _shown(campaign_id: int) -> Shown:
    return Shown(shapes.campaign(campaigns.get(campaign_id), MASKED), [str(campaign_id)])
