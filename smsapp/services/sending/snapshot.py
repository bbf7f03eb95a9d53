"""The snapshot of a run: a copy of what may change while it goes on, or be deleted afterwards."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

from smsapp.channels.contract import Channel
from smsapp.domain import quiet
from smsapp.domain.quiet import QuietHours
from smsapp.domain.run_snapshot import NO_HOURS, RunSnapshot
from smsapp.domain.schedule import Schedule
from smsapp.domain.sms_template import Purpose, variables
from smsapp.services.channels import registry
from smsapp.services.platform import calendar
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.sms_templates import SmsTemplate

REST_AHEAD = 60
"""Days for which a run knows the days of rest; no run takes longer."""
LARGE_BATCH, SMALL_BATCH = 1000, 400
"""Messages per batch if a request carries many, or one (of a small batch fewer are unconfirmed after a kill)."""


def take(
    campaign: Campaign, template: SmsTemplate, channel: ChannelRow, segment: str, adapter: Channel, now: dt.datetime
) -> RunSnapshot:
    """Return the snapshot of a run whose audience is frozen now; `segment` names the segments."""
    rest = _resting(Schedule.from_json({"zone": campaign.zone} | campaign.schedule), now)
    begun = RunSnapshot(segment=segment, mapping=campaign.mapping, zone=campaign.zone, rest=rest)
    return _over(begun, template, channel, adapter)


def elsewhere(previous: RunSnapshot, template: SmsTemplate, channel: ChannelRow, adapter: Channel) -> RunSnapshot:
    """Return the snapshot of a run that continues another one over another channel: the same values, in order."""
    pairs = zip(previous.variables, variables(template.text), strict=True)
    mapping = {target: previous.mapping.get(source, {}) for source, target in pairs}
    return _over(replace(previous, mapping=mapping), template, channel, adapter)


def _over(previous: RunSnapshot, template: SmsTemplate, channel: ChannelRow, adapter: Channel) -> RunSnapshot:
    """Return the snapshot with this template over this channel."""
    return replace(
        previous,
        code=template.code,
        name=template.name,
        text=template.text,
        signature=template.signature,
        variables=variables(template.text),
        marketing=template.purpose == Purpose.MARKETING,
        channel=channel.name,
        price=channel.price,
        currency=channel.currency,
        quiet=_quiet_between(template, channel, adapter),
    )


def quiet_hours(
    template: SmsTemplate, channel: ChannelRow, schedule: Schedule, start: dt.datetime
) -> QuietHours | None:
    """Return the quiet hours in which a run that starts then would wait; None if its texts may leave at any time."""
    between = _quiet_between(template, channel, registry.kinds()[channel.kind])
    rest = _resting(schedule, start)
    return quiet.read(*(between or NO_HOURS), schedule.zone, rest) if between or rest else None


def _resting(schedule: Schedule, start: dt.datetime) -> tuple[str, ...]:
    """Return the dates on which a run that starts then would rest, if it takes that long."""
    if not schedule.rest:
        return ()
    today = start.astimezone(ZoneInfo(schedule.zone)).date()
    return tuple(map(str, calendar.rest_days().resting(today, REST_AHEAD, schedule.days_off)))


def _quiet_between(template: SmsTemplate, channel: ChannelRow, kind: Channel | type[Channel]) -> tuple[str, str] | None:
    if template.purpose != Purpose.MARKETING or kind.quiet_hours_exempt:
        return None
    return channel.quiet_from, channel.quiet_until


def batch_size(adapter: Channel, rate: int | None) -> int:
    """Return the messages of one batch: those of about a second on a slow channel, at least those of a request."""
    size = LARGE_BATCH if adapter.per_request > 1 else SMALL_BATCH
    return max(adapter.per_request, min(size, rate)) if rate else size
