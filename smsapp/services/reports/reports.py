"""The report of a campaign: its four numbers, its runs, its costs, and why people are missing from its numbers.

Every number comes from the tallies; list, report, export and command line use the same queries.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from smsapp.domain.audience_rule import NamedAudience
from smsapp.domain.campaign import Action, may
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.comparison import Compared, compare
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.errors import NotFound
from smsapp.domain.funnel import Funnel
from smsapp.domain.headline import Headline, Offer
from smsapp.domain.message import Status
from smsapp.domain.recipients import Step, steps
from smsapp.domain.run import RunStanding, RunState, RunVerdict
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.domain.sms_template import full_text
from smsapp.services.campaigns import campaigns, rehearsals
from smsapp.services.contacts import audience
from smsapp.services.reports import failure_reasons, headlines, receipt_chart
from smsapp.services.reports.failure_reasons import Reason
from smsapp.services.reports.receipt_chart import Bar
from smsapp.services.sending import drift
from smsapp.services.templates import approvals, registration_guard
from smsapp.services.templates.approvals import Difference
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.receipts.unconfirmed import KEPT_UNCONFIRMED
from smsapp.store.runs import recipients, retries, runs
from smsapp.store.runs.funnels import campaign_funnels, run_funnels
from smsapp.store.runs.runs import Run


@dataclass(frozen=True)
class RunLine:
    """One sending of the campaign with its numbers."""

    run: Run
    funnel: Funnel
    cost: Cost

    @property
    def steps(self) -> list[Step]:
        return steps(self.funnel)

    @property
    def standing(self) -> RunStanding | RunVerdict:
        return headlines.standing_of(self.run)

    @property
    def channel(self) -> str:
        """The name its channel had when the audience was frozen."""
        return self.run.snapshot.channel


@dataclass(frozen=True)
class ChannelLine:
    """How many messages one channel accepted, and what they cost."""

    name: str
    accepted: int
    costs: Sequence[Cost]


@dataclass(frozen=True)
class Progress:
    """The progress of an unfinished run."""

    done: int
    planned: int
    pace: float | None
    """Messages per second recently."""
    seconds_left: float | None
    ends_at: dt.datetime | None


@dataclass(frozen=True)
class Report:
    """One campaign, or one of its runs, as of a moment."""

    campaign: Campaign
    channel: str
    rate: int | None
    """Messages per second the channel allows."""
    audience: NamedAudience
    runs: Sequence[RunLine]
    """Newest first; all of the campaign's, or the requested one."""
    whole: bool
    """True for the campaign, False for one run of it."""
    funnel: Funnel
    reasons: Sequence[Reason]
    bars: Sequence[Bar]
    bar_seconds: int
    costs: Sequence[Cost]
    progress: Progress | None
    as_of: dt.datetime
    refresh: int | None
    """Seconds until the page reloads; None when nothing can change any more."""
    of_runs: int = field(default=0)
    """How many runs the campaign has."""
    retriable: Mapping[int, int] = field(default_factory=dict)
    """Run -> its failed messages that can be sent again, for runs that are over and may be repeated now."""
    difference: Difference | None = None
    """How the template differs from the confirmed one, if the latest run is held for that."""

    @property
    def steps(self) -> list[Step]:
        return steps(self.funnel)

    @property
    def latest(self) -> Run | None:
        """The unfinished run, or else the newest one."""
        unfinished = next((line.run for line in self.runs if line.run.finished_at is None), None)
        return unfinished or (self.runs[0].run if self.runs else None)

    @property
    def headline(self) -> Headline:
        """The headline of the report."""
        run = self.latest
        of_run = next((line.funnel for line in self.runs if run is not None and line.run.id == run.id), Funnel())
        only_run = not self.whole or self.of_runs < 2
        return headlines.headline(self.campaign, run, of_run, self.funnel, only_run=only_run)

    @property
    def offers(self) -> list[Offer]:
        """What a person may do to the latest run."""
        return headlines.offers(self.campaign, self.latest, self.difference)

    @property
    def drift(self) -> drift.DriftHold | None:
        """How the latest run's people differ from those reviewed, if it is held for that."""
        return drift.held(self.latest) if self.latest else None

    @property
    def registration(self) -> registration_guard.RegistrationHold | None:
        """What carriers let through no more, if the latest run is held for that."""
        return registration_guard.held(self.latest, self.as_of) if self.latest else None

    @property
    def sendings(self) -> int:
        """How many sendings the numbers add up; a person counts once in each."""
        return sum(line.run.repeats is None and line.run.state != RunState.MISSED for line in self.runs)

    @property
    def forgotten(self) -> bool:
        """Whether the single messages of any of these runs have been removed."""
        return any(line.run.forgotten_at for line in self.runs)

    @property
    def rehearsed(self) -> list[Compared]:
        """The numbers of the only sending beside those of its rehearsal; nothing if there was none before it."""
        sent = [line for line in self.runs if line.run.repeats is None and line.run.started_at is not None]
        if len(sent) != 1:
            return []
        (line,) = sent
        rehearsal = rehearsals.of_run(self.campaign.id, self.campaign.version, line.run.started_at)
        if rehearsal is None:
            return []
        return compare(rehearsal, line.funnel, line.cost, line.run.started_at, line.run.finished_at)

    @property
    def switches(self) -> list[RunLine]:
        """The runs that failed over from another run's channel, oldest first."""
        return [line for line in reversed(self.runs) if line.run.routed]

    @property
    def text(self) -> str:
        """The text of the latest run with its signature, as it was frozen; "" before that."""
        snapshot = self.latest.snapshot if self.latest else RunSnapshot()
        return full_text(snapshot.signature, snapshot.text) if snapshot.text else ""

    @property
    def by_channel(self) -> list[ChannelLine]:
        """A line per channel that was used, in the order of first use."""
        lines_by_channel: dict[str, list[RunLine]] = {}
        for line in reversed(self.runs):
            lines_by_channel.setdefault(line.channel, []).append(line)
        return [
            ChannelLine(name, sum(line.funnel.accepted for line in lines), _added_up([line.cost for line in lines]))
            for name, lines in lines_by_channel.items()
        ]

    @property
    def unconfirmed(self) -> int:
        """Unconfirmed messages about which nobody has decided yet."""
        return sum(
            line.n for line in self.reasons if line.state is Status.UNCONFIRMED and line.code != KEPT_UNCONFIRMED
        )


def report(campaign_id: int, run_id: int | None, now: dt.datetime) -> Report:
    """Return the report of a campaign over all its runs, or of one run; raises NotFound."""
    campaign = campaigns.get(campaign_id)
    all_runs = runs.of_campaign(current_session(), campaign_id)
    selection = [run for run in all_runs if run_id in (None, run.id)]
    if run_id is not None and not selection:
        raise NotFound("run")
    run_ids = [run.id for run in selection]
    funnels = run_funnels(current_session(), run_ids)
    lines = [RunLine(run, funnels[run.id], _cost(run, funnels[run.id].parts)) for run in selection]
    added_up = campaign_funnels(current_session(), [campaign_id]) if run_id is None else funnels
    funnel = added_up.get(campaign_id if run_id is None else run_id, Funnel())
    channel_id = selection[0].channel_id if selection else campaign.channel_id
    channel = current_session().get(ChannelRow, channel_id) if channel_id else None
    rate = channel.rate if channel else None
    bars, bar_seconds = receipt_chart.bars(run_ids, ZoneInfo(campaign.zone))
    return Report(
        campaign=campaign,
        channel=channel.name if channel else "",
        rate=rate,
        audience=audience.named(audience_of(selection[0] if selection else campaign)),
        runs=lines,
        whole=run_id is None,
        funnel=funnel,
        reasons=failure_reasons.reasons(run_ids, funnel, merged=run_id is None),
        bars=bars,
        bar_seconds=bar_seconds,
        costs=_added_up([line.cost for line in lines]),
        progress=next((_progress(line, rate, now) for line in lines if line.run.finished_at is None), None),
        as_of=now,
        refresh=_refresh(campaign, lines, funnel, now, whole=run_id is None),
        of_runs=len(all_runs),
        retriable=_retriable(campaign, selection),
        difference=approvals.difference(selection[0]) if selection else None,
    )


def _retriable(campaign: Campaign, selection: Sequence[Run]) -> dict[int, int]:
    finished_ids = [run.id for run in selection if run.finished_at is not None]
    return (
        retries.remaining(current_session(), finished_ids)
        if finished_ids and may(Action.RETRY, CampaignStatus(campaign.status))
        else {}
    )


def _cost(run: Run, parts: int) -> Cost:
    return cost_of(parts, run.snapshot.price, run.snapshot.currency)


def _added_up(costs: Sequence[Cost]) -> list[Cost]:
    """Return one line per currency; runs without a price are a line of their own."""
    totals: dict[tuple[bool, str], Cost] = {}
    for cost in costs:
        key = (cost.amount is None, cost.currency if cost.amount is not None else "")
        total = totals.get(key, Cost(0, None if cost.amount is None else Decimal(0), key[1]))
        amount = None if total.amount is None or cost.amount is None else total.amount + cost.amount
        totals[key] = Cost(total.parts + cost.parts, amount, key[1])
    return [cost for cost in totals.values() if cost.parts]


def _progress(line: RunLine, rate: int | None, now: dt.datetime) -> Progress | None:
    if line.run.finished_at is not None or line.run.state not in (RunState.SENDING, RunState.HELD):
        return None
    remaining = line.funnel.open
    is_sending = line.run.state == RunState.SENDING
    pace = recipients.paces(current_session(), [line.run.id]).get(line.run.id) if is_sending else None
    if pace and rate:
        # Moments are stored in whole seconds, so a pace computed over the first few of them can exceed the rate.
        pace = min(pace, rate)
    seconds = remaining / pace if pace else None
    ends_at = None if seconds is None else now + dt.timedelta(seconds=seconds)
    return Progress(line.funnel.planned - remaining, line.funnel.planned, pace, seconds, ends_at)


def _refresh(
    campaign: Campaign, lines: Sequence[RunLine], funnel: Funnel, now: dt.datetime, *, whole: bool
) -> int | None:
    unfinished = [line.run for line in lines if line.run.finished_at is None]
    if any(run.state in (RunState.OPEN, RunState.SENDING) for run in unfinished):
        return 2
    if unfinished or campaign.status == CampaignStatus.SENDING:
        return 10
    if funnel.awaiting or funnel.unconfirmed:
        ended = max((line.run.finished_at for line in lines if line.run.finished_at), default=now)
        return 5 if now - ended < dt.timedelta(minutes=15) else 60
    return 60 if whole and campaign.status == CampaignStatus.WAITING else None
