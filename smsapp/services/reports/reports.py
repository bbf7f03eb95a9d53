"""What became of a campaign: the four numbers, why people are missing from them, and the people themselves.

Every number comes from the tallies; list, report, export and command line ask the same queries.
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
from smsapp.domain.sms_template import compile_text, full_text
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
    """An Outcome for refused and undelivered messages; else who or what decided."""
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
    """Receipts that came in a stretch of time beginning at `at`."""

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


@dataclass(frozen=True)
class ChannelLine:
    """What one channel took, and what that costs."""

    name: str
    accepted: int
    costs: Sequence[Cost]


@dataclass(frozen=True)
class Progress:
    """How far a run that goes on has come."""

    done: int
    planned: int
    pace: float | None
    """Messages per second lately."""
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
    """Newest first; all of the campaign's, or the one that was asked for."""
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
    """Seconds until it is worth looking again; None when nothing can change any more."""
    of_runs: int = field(default=0)
    """How many runs the campaign has."""
    retriable: Mapping[int, int] = field(default_factory=dict)
    """Run -> failed messages of it that can be sent again, for runs that are over and may be repeated now."""
    difference: Difference | None = None
    """What has changed under the latest run, if it is held for that."""

    @property
    def steps(self) -> list[Step]:
        return steps(self.funnel)

    @property
    def latest(self) -> Run | None:
        """The run that goes on, or else the newest one."""
        going = next((line.run for line in self.runs if line.run.finished_at is None), None)
        return going or (self.runs[0].run if self.runs else None)

    @property
    def headline(self) -> Headline:
        """What to say first."""
        run = self.latest
        of_run = next((line.funnel for line in self.runs if run is not None and line.run.id == run.id), Funnel())
        only_run = not self.whole or self.of_runs < 2
        return headlines.headline(self.campaign, run, of_run, self.funnel, only_run=only_run)

    @property
    def offers(self) -> list[Offer]:
        """What a person may do to the run that goes on."""
        return headlines.offers(self.campaign, self.latest, self.difference)

    @property
    def drift(self) -> drift.DriftHold | None:
        """How the latest run's people differ from those reviewed, if it is held for that."""
        return drift.held(self.latest) if self.latest else None

    @property
    def sendings(self) -> int:
        """How many sendings the numbers add up: with several they count a person once for each."""
        return sum(line.run.repeats is None and line.run.state != RunState.MISSED for line in self.runs)

    @property
    def forgotten(self) -> bool:
        """Whether single messages of these runs have been removed."""
        return any(line.run.forgotten_at for line in self.runs)

    @property
    def switches(self) -> list[Run]:
        """The runs that took over from another one because of its channel, oldest first."""
        return [line.run for line in reversed(self.runs) if line.run.routed]

    @property
    def by_channel(self) -> list[ChannelLine]:
        """What each channel that was used took, the first one first."""
        found: dict[str, list[RunLine]] = {}
        for line in reversed(self.runs):
            found.setdefault(line.run.template.get("channel", ""), []).append(line)
        return [
            ChannelLine(name, sum(line.funnel.accepted for line in lines), _added_up([line.cost for line in lines]))
            for name, lines in found.items()
        ]

    @property
    def unconfirmed(self) -> int:
        """Messages about which nobody has decided yet."""
        return sum(
            line.n for line in self.reasons if line.state is Status.UNCONFIRMED and line.code != KEPT_UNCONFIRMED
        )


def report(campaign_id: int, run_id: int | None, now: dt.datetime) -> Report:
    """Return the report of a campaign over all its runs, or of one run; raises NotFound."""
    campaign = campaigns.get(campaign_id)
    known = runs.of_campaign(current_session(), campaign_id)
    chosen = [run for run in known if run_id in (None, run.id)]
    if run_id is not None and not chosen:
        raise NotFound("run")
    run_ids = [run.id for run in chosen]
    funnels = run_funnels(current_session(), run_ids)
    lines = [RunLine(run, funnels[run.id], _cost(run, funnels[run.id].parts)) for run in chosen]
    added_up = campaign_funnels(current_session(), [campaign_id]) if run_id is None else funnels
    funnel = added_up.get(campaign_id if run_id is None else run_id, Funnel())
    channel_id = chosen[0].channel_id if chosen else campaign.channel_id
    channel = current_session().get(ChannelRow, channel_id) if channel_id else None
    rate = channel.rate if channel else None
    bars, bar_seconds = _bars(run_ids, ZoneInfo(campaign.zone))
    return Report(
        campaign=campaign,
        channel=channel.name if channel else "",
        rate=rate,
        segment=_name(Segment, chosen[0].segment_id if chosen else campaign.segment_id),
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
        of_runs=len(known),
        retriable=_retriable(campaign, chosen),
        difference=approvals.difference(chosen[0]) if chosen else None,
    )


def _retriable(campaign: Campaign, chosen: Sequence[Run]) -> dict[int, int]:
    over = [run.id for run in chosen if run.finished_at is not None]
    return (
        retries.remaining(current_session(), over)
        if over and may(Action.RETRY, CampaignStatus(campaign.status))
        else {}
    )


def _name(table: type[ChannelRow | Segment], row_id: int | None) -> str:
    return current_session().scalar(sa.select(table.name).where(table.id == row_id)) or ""


def _cost(run: Run, parts: int) -> Cost:
    price = run.template.get("price")
    known = Decimal(str(price)) if price not in (None, "") else None
    return cost_of(parts, known, run.template.get("currency") or "")


def _added_up(costs: Sequence[Cost]) -> list[Cost]:
    """Return one line per currency; runs without a price are a line of their own."""
    found: dict[tuple[bool, str], Cost] = {}
    for cost in costs:
        key = (cost.amount is None, cost.currency if cost.amount is not None else "")
        before = found.get(key, Cost(0, None if cost.amount is None else Decimal(0), key[1]))
        amount = None if before.amount is None or cost.amount is None else before.amount + cost.amount
        found[key] = Cost(before.parts + cost.parts, amount, key[1])
    return [cost for cost in found.values() if cost.parts]


def _reasons(run_ids: Sequence[int], funnel: Funnel, *, merged: bool) -> list[Reason]:
    """Return why messages went no further, the commonest first within each state."""
    found = [
        Reason(Status[state.upper()], reason, n, n / max(1, funnel.count(Status[state.upper()])))
        for state, reason, n in reasons(current_session(), run_ids, merged=merged)
        if state != runs.EXCLUDED and n > 0
    ]
    return sorted(
        (line for line in found if line.state in EXPLAINED), key=lambda line: (-line.state, -line.n, line.code)
    )


def _bars(run_ids: Sequence[int], zone: dt.tzinfo) -> tuple[list[Bar], int]:
    """Return receipts over time in bars of equal width, gaps included, and that width in seconds.

    The ledger counts a minute at a time; over a longer span several of them become one bar.
    """
    counted = recipients.receipts_over_time(current_session(), run_ids)
    if not counted:
        return [], BUCKET_SECONDS
    first, last = counted[0][0], counted[-1][0]
    width = next((wide for wide in BAR_WIDTHS if (last - first) // wide < MOST_BARS), 30 * 86_400)
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
    left = line.funnel.open
    pace = recipients.pace(current_session(), line.run.id) if line.run.state == RunState.SENDING else None
    if pace and rate:
        # Moments are kept in whole seconds: over the first few of a run they would say more than can be.
        pace = min(pace, rate)
    seconds = left / pace if pace else None
    ends_at = None if seconds is None else now + dt.timedelta(seconds=seconds)
    return Progress(line.funnel.planned - left, line.funnel.planned, pace, seconds, ends_at)


def _refresh(
    campaign: Campaign, lines: Sequence[RunLine], funnel: Funnel, now: dt.datetime, *, whole: bool
) -> int | None:
    going = [line.run for line in lines if line.run.finished_at is None]
    if any(run.state in (RunState.OPEN, RunState.SENDING) for run in going):
        return 2
    if going or campaign.status == CampaignStatus.SENDING:
        return 10
    if funnel.awaiting or funnel.unconfirmed:
        ended = max((line.run.finished_at for line in lines if line.run.finished_at), default=now)
        return 5 if now - ended < dt.timedelta(minutes=15) else 60
    return 60 if whole and campaign.status == CampaignStatus.WAITING else None


def parse_phone_query(raw: str, *, sees_full_numbers: bool = False) -> PhoneQuery:
    """Return what to look for: a whole number, at least four last digits, or anybody if blank; raises Refusal.

    Without the right to see whole numbers these are exactly four digits: with more a number could be found out.
    """
    if not raw.strip():
        return recipients.ANYBODY
    digits = "".join(letter for letter in raw if letter.isascii() and letter.isdigit())
    if whole := normalise(raw, settings().DEFAULT_REGION):
        return PhoneQuery(phone=whole)
    if len(digits) < FEWEST_DIGITS:
        raise Refusal(Problem("phone_search_short", "phone", {"fewest": FEWEST_DIGITS}))
    if len(digits) > SHOWN and not sees_full_numbers:
        raise Refusal(Problem("phone_search_hidden", "phone", {"most": SHOWN}))
    return PhoneQuery(ending=digits)


def people(
    campaign_id: int, run_id: int | None, group: Group, sought: PhoneQuery, after: Place | None
) -> tuple[list[Recipient], Place | None]:
    """Return one page of the people behind a number, and the place to go on from; None if that was the last.

    Runs in which the tally counts nobody of the group are not read.
    """
    chosen = _runs_with(campaign_id, run_id, group)
    found = recipients.page(current_session(), chosen, group, sought, after, PAGE + 1, merged=run_id is None)
    return found[:PAGE], found[PAGE - 1].place if len(found) > PAGE else None


def _runs_with(campaign_id: int, run_id: int | None, group: Group) -> list[int]:
    campaigns.get(campaign_id)
    known = [run.id for run in runs.of_campaign(current_session(), campaign_id) if run_id in (None, run.id)]
    if run_id is not None and not known:
        raise NotFound("run")
    funnels = run_funnels(current_session(), known)
    return [run for run in known if group.size(funnels.get(run, Funnel())) > 0]


@dataclass(frozen=True)
class MessageStory:
    """One person's message: what was sent and what became of it."""

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
    found = recipients.message(current_session(), run_id, seq)
    if run is None or run.campaign_id != campaign_id or found is None:
        raise NotFound("message")
    frozen = run.template
    values = audience.filled(frozen["variables"], frozen["mapping"], found.params)
    text = full_text(frozen["signature"], compile_text(frozen["text"])(values))
    decided = unconfirmed.decisions(current_session(), run_id, seq)
    return MessageStory(campaign, run, found, text, _name(ChannelRow, run.channel_id), decided)


def export(
    campaign_id: int, run_id: int | None, group: Group, actor: Actor, now: dt.datetime, *, masked: bool
) -> Iterator[list[Recipient]]:
    """Leave a line in the audit log and return the people of the group in chunks, read one after the other.

    No transaction is open between two chunks: a slow download holds nothing up.
    """
    chosen = _runs_with(campaign_id, run_id, group)
    with writing() as session:
        facts = {"run": run_id, "group": group.name, "masked": masked}
        log_action(session, actor, "export", "campaign", campaign_id, now, **facts)
    return _chunks(chosen, group, merged=run_id is None)


def _chunks(run_ids: Sequence[int], group: Group, *, merged: bool) -> Iterator[list[Recipient]]:
    after: Place | None = None
    while chunk := recipients.page(current_session(), run_ids, group, after=after, limit=CHUNK, merged=merged):
        current_session().commit()
        yield chunk
        after = chunk[-1].place
