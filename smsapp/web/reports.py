"""The report of a campaign: its numbers, the people behind each of them, one message, and the export."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any

from flask import Blueprint, Response, abort, request, stream_with_context, url_for
from flask_babel import format_currency, get_timezone
from flask_babel import gettext as _
from markupsafe import Markup, escape

from smsapp.domain import csv_text, phone
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.errors import Refusal
from smsapp.domain.headline import Sentence
from smsapp.domain.message import Status
from smsapp.domain.recipients import GROUPS, Group, Place, Recipient, group
from smsapp.domain.rights import Right
from smsapp.labels import comparisons, headlines, label, outcomes, sentence
from smsapp.labels import reports as words
from smsapp.services.campaigns import campaigns
from smsapp.services.contacts import number_searches
from smsapp.services.platform import clock
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.services.reports import message_story, recipient_list, reports
from smsapp.services.reports.reports import Report
from smsapp.services.sending import seeds
from smsapp.web import guard, run_buttons
from smsapp.web.filters import ago, mask_numbers_in, number, sees_full_numbers, when
from smsapp.web.guard import needs
from smsapp.web.render import as_file, page, page_or_piece

bp = Blueprint("reports", __name__, url_prefix="/campaigns/<int:campaign_id>")
bp.add_app_template_filter(format_currency, "money")
bp.add_app_template_filter(words.state, "message_state")
bp.add_app_template_filter(words.reason, "message_reason")
bp.add_app_template_filter(words.hold, "hold_reason")
bp.add_app_template_filter(words.standing, "standing")
bp.add_app_template_filter(words.standing_colour, "standing_colour")
bp.add_app_template_filter(outcomes.explanation, "explanation")
bp.add_app_template_filter(comparisons.cause, "cause")

CSV = "text/csv; charset=utf-8"
NOT_IN_NAMES = re.compile(r'[\x00-\x1f\\/:*?"<>|]+')
"""What file systems refuse in a name."""


@bp.app_template_filter("headline_sentence")
def _sentence_markup(sentence: Sentence, zone: str) -> Markup:
    """Return a sentence of a headline, its numbers and moments (of dates to come: in `zone`) as the reader has them."""
    params: dict[str, Any] = {}
    for name, value in sentence.facts.items():
        if isinstance(value, dt.datetime):
            params[name] = ago(value) if name == "ago" else when(value, zone)
        elif isinstance(value, int):
            params[name] = number(value)
        else:
            params[name] = words.pinned(value) if name == "pinned" else words.hold(value)
    return escape(str(headlines.SENTENCES[sentence.code])) % params


Address = Callable[..., str]


def address(name: str, campaign_id: int, run_id: int | None) -> Address:
    """Return a function that builds addresses of this report: of the campaign, or of one run."""
    if run_id is None:
        return partial(url_for, f"reports.{name}", campaign_id=campaign_id)
    return partial(url_for, f"reports.run_{name}", campaign_id=campaign_id, run_id=run_id)


def group_or_404(name: str, reason: str = "") -> Group:
    """Return this group of people, everybody if the name is empty; abort with 404 if it is unknown."""
    people_group = group(name or "target", reason)
    if people_group is None:
        abort(404)
    return people_group


def group_word(group: Group, reason: str) -> str:
    """Return how a group is called, with its reason."""
    word = str(words.GROUPS[group.name])
    if not reason:
        return word
    is_left_out = bool(group.left) and not group.states
    why = label(reason, "ExclusionReason") if is_left_out else words.reason(next(iter(group.states)), reason)
    return f"{word} · {why}"


def _summary(report: Report, campaign_id: int, run_id: int | None) -> dict[str, Any]:
    return {
        "report": report,
        "buttons": run_buttons.of(report),
        "waits_for_approver": run_buttons.waits_for_approver(report),
        "words": words,
        "here": address("effect", campaign_id, run_id),
        "seed_stories": seeds.of_runs([line.run.id for line in report.runs]),
        "may_act": guard.may(Right.RUNS_CONTROL),
        "may_export": guard.may(Right.RESULTS_EXPORT),
        "numbers_url": address("numbers", campaign_id, run_id)(),
    }


def _people(campaign_id: int, run_id: int | None, phone_text: str, problem: str, after: Place | None) -> dict[str, Any]:
    """Return the page's context; `phone_text` is the number searched for, `problem` what is wrong with it."""
    report = reports.report(campaign_id, run_id, clock.now())
    group = group_or_404(request.values.get("group", ""))
    reasons = _reasons(report, group)
    reason = request.values.get("reason", "")
    count = group.size(report.funnel)
    for code, _word, n in reasons:
        # A reason of the group that was shown before means nothing in this one.
        if code == reason:
            group, count = group_or_404(group.name, reason), n
    people = KeysetPage[Recipient, Place]([])
    if not problem:
        people = recipient_list.page(
            campaign_id,
            run_id,
            group,
            recipient_list.parse_phone_query(phone_text, sees_full_numbers=sees_full_numbers()),
            after,
        )
    return _summary(report, campaign_id, run_id) | {
        "people": people.rows,
        "following": people.next,
        "first": after is None,
        "group": group,
        "groups": GROUPS,
        "reason": reason if reason in {code for code, _word, _n in reasons} else "",
        "reasons": reasons,
        "count": count,
        "slots": {line.run.id: line.run.slot for line in report.runs},
        "typed": phone_text,
        "problem": problem,
        "search_url": address("search", campaign_id, run_id)(),
        "export_url": address("export", campaign_id, run_id)(),
        "segment_url": address("segment", campaign_id, run_id),
        "may_save_segment": guard.may(Right.SEGMENTS_WRITE),
    }


def _reasons(report: Report, group: Group) -> list[tuple[str, str, int]]:
    """Return (code, word, people) of every reason in this group, for a group that is one state or those left out."""
    if group.states and len(group.states) == 1:
        (state,) = group.states
        return [(line.code, words.reason(state, line.code), line.n) for line in report.reasons if line.state is state]
    if group.name == "left_out":
        return [
            (reason, label(reason), n) for reason in ExclusionReason if (n := report.funnel.excluded.get(reason, 0))
        ]
    return []


@bp.get("/effect", defaults={"run_id": None}, endpoint="effect")
@bp.get("/runs/<int:run_id>", endpoint="run_effect")
@needs(Right.WORK_VIEW)
def effect(campaign_id: int, run_id: int | None) -> Response:
    """Show the report; the piece is the table of people."""
    after = Place.read(request.args.get("after", ""))
    return page_or_piece("reports/effect.html", "reports/_people.html", **_people(campaign_id, run_id, "", "", after))


@bp.get("/effect/numbers", defaults={"run_id": None}, endpoint="numbers")
@bp.get("/runs/<int:run_id>/numbers", endpoint="run_numbers")
@needs(Right.WORK_VIEW)
def numbers(campaign_id: int, run_id: int | None) -> Response:
    """Show the numbers alone: the piece that refreshes by itself while something can change."""
    report = reports.report(campaign_id, run_id, clock.now())
    shown_count = request.args.get("shown", type=int)
    count = _count(report, request.args.get("group", ""), request.args.get("reason", ""))
    behind = count if shown_count not in (None, count) else None
    return page("reports/_refreshed.html", people_now=behind, **_summary(report, campaign_id, run_id))


def _count(report: Report, name: str, reason: str) -> int:
    """Return how many people are in this group, or have this reason in it, by now."""
    group = group_or_404(name)
    return next((n for code, _word, n in _reasons(report, group) if code == reason), group.size(report.funnel))


@bp.post("/effect/search", defaults={"run_id": None}, endpoint="search")
@bp.post("/runs/<int:run_id>/search", endpoint="run_search")
@needs(Right.WORK_VIEW)
def search(campaign_id: int, run_id: int | None) -> Response:
    """Search people by number, which is sent in the form and so never in an address or a log."""
    phone_text = request.form.get("phone", "").strip()[:40]
    problem = ""
    try:
        recipient_list.parse_phone_query(phone_text, sees_full_numbers=sees_full_numbers())
        if not sees_full_numbers() and not request.form.get("after"):
            number_searches.note_search(phone_text, guard.actor(), clock.now())
    except Refusal as refusal:
        problem = sentence(refusal.problems[0])
    context = _people(campaign_id, run_id, phone_text, problem, Place.read(request.form.get("after", "")))
    return page_or_piece("reports/effect.html", "reports/_people.html", 422 if problem else 200, **context)


@bp.get("/runs/<int:run_id>/messages/<int:seq>")
@needs(Right.WORK_VIEW)
def message(campaign_id: int, run_id: int, seq: int) -> Response:
    """Show one message: its text and what became of it."""
    story = message_story.story(campaign_id, run_id, seq)
    return page_or_piece(
        "reports/message.html",
        "reports/_message.html",
        story=story,
        text=mask_numbers_in(story.text),
        words=words,
    )


@bp.post("/effect/export", defaults={"run_id": None}, endpoint="export")
@bp.post("/runs/<int:run_id>/export", endpoint="run_export")
@needs(Right.RESULTS_EXPORT)
@guard.long
def export(campaign_id: int, run_id: int | None) -> Response:
    """Stream the people of a group as CSV: memory does not grow with the campaign."""
    group, now = group_or_404(request.form.get("group", ""), request.form.get("reason", "")), clock.now()
    masked = not sees_full_numbers()
    chunks = recipient_list.export(campaign_id, run_id, group, guard.actor(), now, masked=masked)
    response = Response(stream_with_context(csv_lines(chunks, masked, get_timezone())), content_type=CSV)
    response.headers["Cache-Control"] = "no-store"
    return as_file(response, _file_name(campaign_id, run_id, group, now))


def _file_name(campaign_id: int, run_id: int | None, group: Group, now: dt.datetime) -> str:
    """Return the name of the exported file: campaign, run, group and the reader's time."""
    campaign = mask_numbers_in(campaigns.get(campaign_id).name or _("Unnamed campaign"))
    run = [f"{_('Run')} {run_id}"] if run_id else []
    parts = [
        campaign[:60],
        *run,
        str(words.GROUPS[group.name]),
        f"{now.astimezone(get_timezone()):%Y%m%d-%H%M%S}",
    ]
    return NOT_IN_NAMES.sub("_", "-".join(parts)) + ".csv"


def csv_lines(chunks: Iterable[list[Recipient]], masked: bool, zone: dt.tzinfo) -> Iterator[str]:
    heads = (
        _("User id"), _("Phone number"), _("State"), _("Reason"), _("Provider's code"), _("Billed parts"),
        _("Answered at"), _("Receipt at"), _("Provider's message id"), _("Run"), _("Message"),
    )  # fmt: skip
    yield csv_text.MARK + csv_text.lines([heads])
    states = {status: words.state(status) for status in Status}
    left_out = str(words.GROUPS["left_out"])
    reasons: dict[tuple[Status | None, str], str] = {}

    def why(recipient: Recipient) -> str:
        key = (recipient.state, recipient.reason or recipient.left)
        if key not in reasons:
            reasons[key] = (
                label(recipient.left, "ExclusionReason")
                if recipient.left
                else words.reason(recipient.state, recipient.reason)
            )
        return reasons[key]

    for chunk in chunks:
        yield csv_text.lines(
            (
                phone.mask_inside(recipient.xwho) if masked else recipient.xwho,
                phone.mask(recipient.phone) if masked else recipient.phone.removeprefix("+86"),
                left_out if recipient.state is None else states[recipient.state],
                why(recipient),
                phone.mask_inside(recipient.code) if masked and recipient.code else recipient.code,
                recipient.parts,
                _moment(recipient.answered_at, zone),
                _moment(recipient.receipt_at, zone),
                phone.mask_inside(recipient.provider_ref)
                if masked and recipient.provider_ref
                else recipient.provider_ref,
                recipient.run_id,
                recipient.position if recipient.state is not None else "",
            )
            for recipient in chunk
        )


@lru_cache(maxsize=4096)
def _moment(seconds: int | None, zone: dt.tzinfo) -> str:
    """Return a moment as spreadsheets read it; cached, because neighbouring rows share their seconds."""
    return dt.datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M:%S") if seconds is not None else ""
