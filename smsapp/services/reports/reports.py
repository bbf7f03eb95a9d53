"""The report of a campaign: its four numbers, why people are missing from them, and the people themselves.

Every number comes from the tallies; list, report, export and command line use the same queries.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from smsapp.domain.campaign import Action, may
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.funnel import Funnel
from smsapp.domain.headline import Headline, Offer
from smsapp.domain.message import FAILED_STATES, Status
from smsapp.domain.outcome import MEANING, Meaning, Outcome
from smsapp.domain.phone import SHOWN, normalise
from smsapp.domain.recipients import Group, Place, Recipient, Step, steps
from smsapp.domain.run import RunStanding, RunState, RunVerdict
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.domain.sms_template import full_text
from smsapp.services.campaigns import campaigns
from smsapp.services.contacts import audience
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.reports import headlines
from smsapp.services.sending import drift
from smsapp.services.templates import approvals
from smsapp.services.templates.approvals import Difference
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unconfirmed
from smsapp.store.receipts.state_changes import BUCKET_SECONDS
from smsapp.store.receipts.unconfirmed import KEPT_UNCONFIRMED, Decision
from smsapp.store.runs import recipients, retries, runs
from smsapp.store.runs.funnels import campaign_funnels, reasons, run_funnels
from smsapp.store.runs.recipients import PhoneQuery
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings

PAGE = 50
CHUNK = 5000
"""Rows an export reads at a time."""
FEWEST_DIGITS = 4
MOST_BARS = 96
BAR_WIDTHS = (BUCKET_SECONDS, 600, 3600, 6 * 3600, 86_400, 7 * 86_400)
EXPLAINED = FAILED_STATES | {Status.UNCONFIRMED, Status.CANCELLED}


@dataclass(frozen=True)
class Reason:
    """Why messages were refused, not delivered, unconfirmed or cancelled."""

    state: Status
    code: str
    """An Outcome for refused and undelivered messages; else the cause or the person's decision."""
    n: int
    share: float
    """Of all messages in this state, 0..1."""

    @property
    def meaning(self) -> Meaning | None:
        return _meaning(self.state, self.code)


def _meaning(state: Status | None, code: str) -> Meaning | None:
    """Return what a failure means; None where nothing failed."""
    if state not in FAILED_STATES:
        return None
    return MEANING[Outcome(code)] if code in MEANING else MEANING[Outcome.UNKNOWN]


@dataclass(frozen=True)
class Bar:
    """Receipts that came in one interval, which begins at `at`."""

    at: dt.datetime
    delivered: int
    undelivered: int


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
    segment: str
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
    def sendings(self) -> int:
        """How many sendings the numbers add up; a person counts once in each."""
        return sum(line.run.repeats is None and line.run.state != RunState.MISSED for line in self.runs)

    @property
    def forgotten(self) -> bool:
        """Whether the single messages of any of these runs have been removed."""
        return any(line.run.forgotten_at for line in self.runs)

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
    bars, bar_seconds = _bars(run_ids, ZoneInfo(campaign.zone))
    return Report(
        campaign=campaign,
        channel=channel.name if channel else "",
        rate=rate,
        segment=_name(Segment, selection[0].segment_id if selection else campaign.segment_id),
        runs=lines,
        whole=run_id is None,
        funnel=funnel,
        reasons=_reasons(run_ids, funnel, merged=run_id is None),
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


def _name(table: type[ChannelRow | Segment], row_id: int | None) -> str:
    return current_session().scalar(sa.select(table.name).where(table.id == row_id)) or ""


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


def _reasons(run_ids: Sequence[int], funnel: Funnel, *, merged: bool) -> list[Reason]:
    """Return why messages failed, are unconfirmed or cancelled, the most frequent reason of each state first."""
    lines = [
        Reason(Status[state.upper()], reason, n, n / max(1, funnel.count(Status[state.upper()])))
        for state, reason, n in reasons(current_session(), run_ids, merged=merged)
        if state != runs.EXCLUDED and n > 0
    ]
    return sorted(
        (line for line in lines if line.state in EXPLAINED), key=lambda line: (-line.state, -line.n, line.code)
    )


def _bars(run_ids: Sequence[int], zone: dt.tzinfo) -> tuple[list[Bar], int]:
    """Return receipts over time in bars of equal width, gaps included, and that width in seconds.

    The ledger counts in buckets of BUCKET_SECONDS; over a longer span one bar adds up several of them.
    """
    counted = recipients.receipts_over_time(current_session(), run_ids)
    if not counted:
        return [], BUCKET_SECONDS
    first, last = counted[0][0], counted[-1][0]
    width = next((seconds for seconds in BAR_WIDTHS if (last - first) // seconds < MOST_BARS), 30 * 86_400)
    # Days begin at midnight where the campaign is.
    offset = int((dt.datetime.fromtimestamp(first, zone).utcoffset() or dt.timedelta()).total_seconds())
    sums: dict[tuple[int, str], int] = {}
    for bucket, state, n in counted:
        at = bucket - (bucket + offset) % width
        sums[at, state] = sums.get((at, state), 0) + n
    return [
        Bar(dt.datetime.fromtimestamp(at, dt.UTC), sums.get((at, "delivered"), 0), sums.get((at, "undelivered"), 0))
        for at in range(first - (first + offset) % width, last + 1, width)
    ], width


def _progress(line: RunLine, rate: int | None, now: dt.datetime) -> Progress | None:
    if line.run.finished_at is not None or line.run.state not in (RunState.SENDING, RunState.HELD):
        return None
    remaining = line.funnel.open
    pace = recipients.pace(current_session(), line.run.id) if line.run.state == RunState.SENDING else None
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


def people(
    campaign_id: int, run_id: int | None, group: Group, query: PhoneQuery, after: Place | None
) -> tuple[list[Recipient], Place | None]:
    """Return one page of the people of a group, and the place at which the next page begins; None after the last page.

    Runs in which the tally counts nobody of the group are not read.
    """
    run_ids = _runs_with(campaign_id, run_id, group)
    page = recipients.page(current_session(), run_ids, group, query, after, PAGE + 1, merged=run_id is None)
    return page[:PAGE], page[PAGE - 1].place if len(page) > PAGE else None


def _runs_with(campaign_id: int, run_id: int | None, group: Group) -> list[int]:
    campaigns.get(campaign_id)
    run_ids = [run.id for run in runs.of_campaign(current_session(), campaign_id) if run_id in (None, run.id)]
    if run_id is not None and not run_ids:
        raise NotFound("run")
    funnels = run_funnels(current_session(), run_ids)
    return [run for run in run_ids if group.size(funnels.get(run, Funnel())) > 0]


@dataclass(frozen=True)
class MessageStory:
    """One person's message: its text, its state and its history."""

    campaign: Campaign
    run: Run
    recipient: Recipient
    text: str = field(repr=False)
    channel: str
    decisions: Sequence[Decision]
    """What people decided about it while it was unconfirmed, newest first."""

    @property
    def meaning(self) -> Meaning | None:
        return _meaning(self.recipient.state, self.recipient.reason)


def message(campaign_id: int, run_id: int, seq: int) -> MessageStory:
    """Return one message with its finished text; raises NotFound."""
    campaign = campaigns.get(campaign_id)
    run = current_session().get(Run, run_id)
    recipient = recipients.message(current_session(), run_id, seq)
    if run is None or run.campaign_id != campaign_id or recipient is None:
        raise NotFound("message")
    values = audience.filled(run.snapshot.variables, run.snapshot.mapping, recipient.params)
    text = run.snapshot.template.renderer()(values)
    decisions = unconfirmed.decisions(current_session(), run_id, seq)
    return MessageStory(campaign, run, recipient, text, _name(ChannelRow, run.channel_id), decisions)


def export(
    campaign_id: int, run_id: int | None, group: Group, actor: Actor, now: dt.datetime, *, masked: bool
) -> Iterator[list[Recipient]]:
    """Add a line to the audit log and return the people of the group in chunks, read one after the other.

    No transaction is open between two chunks, so a slow download blocks nothing.
    """
    run_ids = _runs_with(campaign_id, run_id, group)
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
