"""The page of a campaign's draft: its form, redrawn part by part while a person fills it in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.campaign import Action, Status, may
from smsapp.domain.draft import CHOICES, Draft
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.roles import Role
from smsapp.domain.sms_template import variables
from smsapp.labels import campaigns as words
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.campaigns import variables as variable_choices
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.campaigns.drafts import EditConflict
from smsapp.services.channels import accounts
from smsapp.services.contacts import contacts, segments
from smsapp.services.platform import clock
from smsapp.services.templates import sms_templates as templates
from smsapp.web import guard, refill
from smsapp.web.campaigns import bp, conflict_sentence
from smsapp.web.forms.campaigns import COMMON_ZONES, CampaignForm, offer, put_draft_problems, read_mapping
from smsapp.web.guard import needs
from smsapp.web.render import page_or_piece, see_other

if TYPE_CHECKING:
    from smsapp.store.sms_templates import SmsTemplate

PARTS = ("audience", "text", "preview", "timing")
"""The parts of the form that htmx redraws while a person fills it in."""


@bp.route("/new", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def new() -> Response:
    return _form_page(None, drafts.blank(), 0)


@bp.route("/<int:campaign_id>/edit", methods=["GET", "POST"])
@needs(Role.OPERATOR)
def edit(campaign_id: int) -> Response:
    campaign = campaigns.get(campaign_id)
    if not may(Action.EDIT, Status(campaign.status)):
        flash(conflict_sentence(Conflict(status=campaign.status)), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    return _form_page(campaign_id, drafts.draft_of(campaign), campaign.version)


def _form_page(campaign_id: int | None, stored: Draft, version: int) -> Response:
    """Show the form, redraw a part of it, or store what was typed; `do` says which."""
    form = CampaignForm()
    if request.method == "GET" and not refill.is_refill():
        form.show(stored, version)
        _offer_choices(form, stored, stored)
        problems = drafts.problems(stored, clock.now()) if "check" in request.args else ()
        return _draw(form, campaign_id, stored, problems)
    draft = _read_draft(form, stored)
    _offer_choices(form, draft, stored)
    if request.method == "GET" or request.form.get("do") not in {"save", "review"}:
        return _draw(form, campaign_id, draft)
    return _save(form, campaign_id, draft) if form.validate() else _draw(form, campaign_id, draft, status=422)


def _save(form: CampaignForm, campaign_id: int | None, draft: Draft) -> Response:
    """Store the draft and go on to the form or the review; draw the form again with what keeps it from being stored."""
    try:
        if campaign_id is None:
            campaign_id = drafts.create(draft, guard.actor(), clock.now())
        else:
            drafts.save(campaign_id, form.version.data or 0, draft, guard.actor(), clock.now())
    except EditConflict as conflict:
        form.version.data, form.version.raw_data = conflict.version, None
        return _draw(form, campaign_id, draft, status=409, saved=conflict.saved)
    except Conflict as conflict:
        flash(conflict_sentence(conflict), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    except Refusal as refusal:
        return _draw(form, campaign_id, draft, refusal.problems, status=422)
    if request.form["do"] == "save":
        flash(_("The draft was saved."), "success")
        return see_other(url_for("campaigns.edit", campaign_id=campaign_id))
    if drafts.problems(draft, clock.now()):
        return see_other(url_for("campaigns.edit", campaign_id=campaign_id, check=1))
    return see_other(url_for("campaigns.review", campaign_id=campaign_id))


def _read_draft(form: CampaignForm, stored: Draft) -> Draft:
    """Return the draft as typed; the mapping is read for the variables of the chosen template."""
    template = _settle_templates(form)
    names = variables(template.text) if template else ()
    mapping = stored.mapping if form.template.data == stored.template_id else {}
    segment_id = form.segment.data

    def likely(name: str) -> str | None:
        return variable_choices.likely(name, segment_id, clock.now())

    return form.draft(read_mapping(request.form, names, mapping, _property_names(), likely))


def _settle_templates(form: CampaignForm) -> SmsTemplate | None:
    """Make the form's templates fit its channels, and return the first one.

    A template of another channel is taken out; on the second channel the counterpart is chosen instead, if there is
    one.
    """
    template = templates.get(form.template.data) if form.template.data else None
    if template is not None and template.channel_id != form.channel.data:
        template = form.template.data = None
    if form.second_channel.data and not _belongs_to(form.second_template.data, form.second_channel.data):
        form.second_template.data = drafts.counterpart(form.template.data, form.second_channel.data)
    return template


def _belongs_to(template_id: int | None, channel_id: int) -> bool:
    return template_id is not None and templates.get(template_id).channel_id == channel_id


def _offer_choices(form: CampaignForm, draft: Draft, stored: Draft) -> None:
    approved = templates.choices(draft.channel_id) if draft.channel_id else []
    counterparts = templates.choices(draft.second_channel_id) if draft.second_channel_id else []
    offer(form, segments.choices(), accounts.choices(), approved, counterparts, stored)


def _property_names() -> list[str]:
    return [row.name for row in contacts.catalogue()]


def _draw(
    form: CampaignForm,
    campaign_id: int | None,
    draft: Draft,
    problems: Sequence[Problem] = (),
    *,
    status: int = 200,
    saved: Draft | None = None,
) -> Response:
    """Return the form filled with this draft, or the part of it that htmx asks for."""
    now = clock.now()
    person = request.form.get("person", "")
    look = DraftPreview(draft, now, int(person) if person.isascii() and person.isdigit() and len(person) < 19 else 0)
    coverage = look.coverage if look.variables else None
    part = request.form.get("part", "")
    missing = put_draft_problems(form, problems)
    return page_or_piece(
        "campaigns/form.html",
        f"campaigns/_{part}.html" if part in PARTS else "campaigns/form.html",
        status,
        form=form,
        campaign_id=campaign_id,
        draft=draft,
        checked=bool(problems) and status == 200,
        missing=missing,
        unmapped=[(f"variable-{name}", sentence) for name, sentence in missing.items()],
        saved=saved,
        differing=draft.differences(saved) if saved else (),
        words=words,
        zones=COMMON_ZONES,
        coverage=coverage,
        properties=variable_choices.choices(coverage),
        purposeless=templates.purposeless(draft.channel_id) if draft.channel_id else [],
        choice_labels={f"{name}_id": dict(form[name].choices) for name in CHOICES},
        looked=look,
        may_administer=guard.may(Role.ADMINISTRATOR),
    )
