"""Campaigns of Amazon Pinpoint as plans for drafts, with a list of what a person has to choose.

Sources: API reference, CampaignResponse, Schedule, CampaignSmsMessage; the output of `aws pinpoint get-campaign` and
`get-campaigns`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.pinpoint_endpoints import short_name
from smsapp.domain.schedule import LAST_DAY, Kind, Schedule
from smsapp.domain.sms_template import Purpose

PURPOSES = {"PROMOTIONAL": Purpose.MARKETING, "TRANSACTIONAL": Purpose.NOTIFICATION}
KINDS = {"ONCE": Kind.ONCE, "DAILY": Kind.DAILY, "WEEKLY": Kind.WEEKLY, "MONTHLY": Kind.MONTHLY}
UNKNOWN_EVENTS = {"EVENT", "IN_APP_EVENT"}
SHORTEST_LAST_DAY = 28
"""A month has so many days at least; Pinpoint's later ones mean the last day."""

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z][\w.]*?)(?:\.\[0\])?\s*\}\}")
_ZONE = re.compile(r"(?:utc|gmt)(?:([+-])(\d{1,2})(?::(\d{2}))?)?", re.IGNORECASE)


@dataclass(frozen=True)
class CampaignPlan:
    """What a campaign becomes."""

    name: str
    source_id: str
    segment_id: str
    """Pinpoint's, "" for none"""
    text: str
    """With variables as ${name}; "" if the text is not in the file."""
    variables: Mapping[str, str]
    """Variable -> the attribute's short name"""
    purpose: Purpose | None
    schedule: Schedule
    choices: list[Problem] = field(default_factory=list)
    """What a person has to choose, or what does not exist here."""


@dataclass(frozen=True)
class LeftOut:
    """A campaign that becomes no draft, and why."""

    name: str
    reason: Problem


def read(document: Any, zone: str) -> list[CampaignPlan | LeftOut]:
    """Return what the campaigns of a document become; `zone` is the product's. Raises Refusal if it has none."""
    campaigns = _campaigns(document)
    if not campaigns:
        raise Refusal(Problem("pinpoint_no_campaigns", "file"))
    return [_plan(campaign, zone) for campaign in campaigns]


def _campaigns(document: Any) -> list[Mapping[str, Any]]:
    if isinstance(document, list):
        return [campaign for part in document for campaign in _campaigns(part)]
    if not isinstance(document, dict):
        return []
    response = document.get("CampaignResponse") or document.get("CampaignsResponse") or document
    if not isinstance(response, dict):
        return []
    if isinstance(items := response.get("Item"), list):
        return [campaign for item in items for campaign in _campaigns(item)]
    return [response] if "MessageConfiguration" in response or "Schedule" in response else []


def _plan(campaign: Mapping[str, Any], zone: str) -> CampaignPlan | LeftOut:
    name = " ".join(_text(campaign, "Name").split()) or _text(campaign, "Id")
    messages = _object(campaign, "MessageConfiguration")
    sms, template = _object(messages, "SMSMessage"), _object(_object(campaign, "TemplateConfiguration"), "SMSTemplate")
    if not sms and not template:
        kinds = ", ".join(sorted(kind for kind, message in messages.items() if message)) or "–"
        return LeftOut(name, Problem("pinpoint_no_sms", facts={"kinds": kinds}))
    choices: list[Problem] = []
    text, variables = _template_text(_text(sms, "Body"), choices)
    if not text:
        choices.append(Problem("pinpoint_text_elsewhere", facts={"template": _text(template, "Name") or "–"}))
    schedule = _schedule(_object(campaign, "Schedule"), zone, choices)
    _note_unknown(campaign, sms, choices)
    purpose = PURPOSES.get(_text(sms, "MessageType"))
    if purpose is None:
        choices.append(Problem("pinpoint_purpose"))
    source_id, segment_id = _text(campaign, "Id"), _text(campaign, "SegmentId")
    return CampaignPlan(name, source_id, segment_id, text, variables, purpose, schedule, choices)


def _note_unknown(campaign: Mapping[str, Any], sms: Mapping[str, Any], choices: list[Problem]) -> None:
    """Add what a campaign has that does not exist here, or is set elsewhere."""
    treatments = campaign.get("AdditionalTreatments")
    if isinstance(treatments, list) and treatments:
        choices.append(Problem("pinpoint_treatments", facts={"n": len(treatments)}))
    if holdout := campaign.get("HoldoutPercent"):
        choices.append(Problem("pinpoint_holdout", facts={"percent": holdout}))
    if any(_object(campaign, "Limits").values()):
        choices.append(Problem("pinpoint_limits"))
    if any(_object(_object(campaign, "Schedule"), "QuietTime").values()):
        choices.append(Problem("pinpoint_quiet_time"))
    if _object(campaign, "Hook"):
        choices.append(Problem("pinpoint_hook"))
    if _text(sms, "SenderId") or _text(sms, "OriginationNumber"):
        choices.append(Problem("pinpoint_sender"))


def _template_text(body: str, choices: list[Problem]) -> tuple[str, dict[str, str]]:
    """Return the text with our variables, and which attribute each of them is."""
    variables: dict[str, str] = {}

    def ours(match: re.Match[str]) -> str:
        attribute = short_name(match[1])
        variable = re.sub(r"\W", "_", attribute)[:40]
        variables[variable] = attribute
        return f"${{{variable}}}"

    text = _VARIABLE.sub(ours, body).strip()
    if "{{" in text:
        choices.append(Problem("pinpoint_helpers"))
    return text, variables


def _schedule(raw: Mapping[str, Any], zone: str, choices: list[Problem]) -> Schedule:
    begin, frequency = _text(raw, "StartTime"), _text(raw, "Frequency").upper() or "ONCE"
    if raw.get("IsLocalTime"):
        choices.append(Problem("pinpoint_local_time"))
    kind = KINDS.get(frequency)
    if kind is None or (begin.upper() == "IMMEDIATE" and kind is not Kind.ONCE):
        code = "pinpoint_event" if frequency in UNKNOWN_EVENTS else "pinpoint_frequency"
        choices.append(Problem(code, facts={"frequency": frequency}))
        return Schedule(Kind.NOW, zone)
    if begin.upper() in {"", "IMMEDIATE"}:
        return Schedule(Kind.NOW, zone)
    offset = _offset(_text(raw, "Timezone"), choices)
    moment, last = _moment(begin, offset), _moment(_text(raw, "EndTime"), offset)
    if moment is None:
        choices.append(Problem("pinpoint_start_time", facts={"time": begin[:40]}))
        return Schedule(Kind.NOW, zone)
    if kind is not Kind.ONCE:
        hours = offset.utcoffset(None).total_seconds() / 3600
        zone = _whole_zone(hours) if hours.is_integer() else zone
        if not hours.is_integer():
            choices.append(Problem("pinpoint_zone", facts={"zone": _text(raw, "Timezone")}))
    local, end = moment.astimezone(ZoneInfo(zone)), last.astimezone(ZoneInfo(zone)) if last else None
    day = local.day if local.day <= SHORTEST_LAST_DAY else LAST_DAY
    return Schedule(
        kind,
        zone,
        time=local.time().replace(microsecond=0),
        start=local.date(),
        end=end.date() if end and kind is not Kind.ONCE else None,
        weekdays=(local.isoweekday(),) if kind is Kind.WEEKLY else (),
        monthdays=(day,) if kind is Kind.MONTHLY else (),
    )


def _offset(name: str, choices: list[Problem]) -> dt.timezone:
    match = _ZONE.fullmatch(name.strip() or "UTC")
    if match is None:
        choices.append(Problem("pinpoint_zone", facts={"zone": name[:40]}))
        return dt.UTC
    offset = dt.timedelta(hours=int(match[2] or 0), minutes=int(match[3] or 0))
    return dt.timezone(-offset if match[1] == "-" else offset)


def _whole_zone(hours: float) -> str:
    """Return the zone of the IANA database with this offset; its names count the other way round."""
    return "UTC" if not hours else f"Etc/GMT{-int(hours):+d}"


def _moment(text: str, offset: dt.timezone) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=offset)


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value.strip() if isinstance(value, str) else ""


def _object(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}
