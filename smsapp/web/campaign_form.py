"""The page of a campaign's draft: its form, redrawn part by part while a person fills it in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from flask import Response, flash, request, url_for
from flask_babel import format_time
from flask_babel import gettext as _

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import Action, Status, may
from smsapp.domain.draft import Draft
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.sms_template import variables
from smsapp.domain.tags import Item
from smsapp.labels import campaigns as words
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.campaigns import variables as variable_choices
from smsapp.services.campaigns.choices import Choosable
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.campaigns.drafts import EditConflict
from smsapp.services.contacts import audience, contacts, number_searches
from smsapp.services.contacts.contacts import Person
from smsapp.services.platform import clock
from smsapp.services.templates import sms_templates as templates
from smsapp.web import campaign_choices, guard, inputs, refill
from smsapp.web.campaign_proofs import proofs_of
from smsapp.web.campaigns import bp, conflict_sentence
from smsapp.web.filters import sees_full_numbers
from smsapp.web.forms.campaigns import CampaignForm, ScheduleFields, put_draft_problems, read_mapping
from smsapp.web.guard import needs
from smsapp.web.render import announcing, moved, page, page_or_piece, see_other, wants_piece
from smsapp.web.tags import check_tags, fill_tags, store_tags

if TYPE_CHECKING:
    from smsapp.store.sms_templates import SmsTemplate

PARTS = ("numbers", "text", "form_registration", "preview", "timing")
"""The parts of the form that htmx redraws while a person fills it in."""


@bp.route("/new", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
def new() -> Response:
    """Begin a draft; with `?segment=` for this segment."""
    segment_id = request.args.get("segment", type=inputs.id_)
    return _form_page(None, replace(drafts.blank(), audience=AudienceRule.of(segment_id)), 0)


@bp.route("/<int:campaign_id>/edit", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
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
        if campaign_id is not None:
            fill_tags(form, Item.CAMPAIGN, campaign_id)
        campaign_choices.offer(form, stored, stored)
        problems = drafts.problems(stored, clock.now()) if "check" in request.args else ()
        return _draw(form, campaign_id, stored, problems)
    draft = _read_draft(form, stored)
    campaign_choices.offer(form, draft, stored)
    if request.form.get("do") == "autosave":
        return _autosave(form, campaign_id, draft)
    if request.method == "GET" or request.form.get("do") not in {"save", "review"}:
        return _draw(form, campaign_id, draft)
    return _save(form, campaign_id, draft) if form.validate() else _draw(form, campaign_id, draft, status=422)


def _save(form: CampaignForm, campaign_id: int | None, draft: Draft) -> Response:
    """Store the draft and go on to the form or the review; draw the form again with what keeps it from being stored."""
    try:
        check_tags(form)
        campaign_id = campaign_id or drafts.made_by_form(form.form_key.data)
        if campaign_id is None:
            campaign_id = drafts.create(draft, guard.actor(), clock.now(), form.form_key.data)
        else:
            drafts.save(campaign_id, form.version.data or drafts.FIRST_VERSION, draft, guard.actor(), clock.now())
        store_tags(form, Item.CAMPAIGN, campaign_id)
    except EditConflict as conflict:
        form.version.data, form.version.raw_data = conflict.version, None
        campaign_id = campaign_id or drafts.made_by_form(form.form_key.data)
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


def _people_called(who: str) -> list[Person]:
    """Return the people with this number, user id or name; raises Refusal as the search of contacts does."""
    if not who:
        return []
    if not sees_full_numbers():
        number_searches.note_search(who, guard.actor(), clock.now())
    return contacts.people_called(who, sees_full_numbers=sees_full_numbers())


def _autosave(form: CampaignForm, campaign_id: int | None, draft: Draft) -> Response:
    """Store the draft as it is so far, and return the line that says so, with the version the form now begins from.

    A new campaign is stored as soon as it has a name; the page then has the draft's address. Nothing is overwritten:
    after a conflict the form keeps its version, so that saving it shows what differs.
    """
    is_overtaken = is_saved = False
    campaign_id = campaign_id or drafts.made_by_form(form.form_key.data)
    is_nameless = campaign_id is None and not draft.name
    if not is_nameless and form.validate():
        try:
            check_tags(form)
            version = drafts.FIRST_VERSION
            if campaign_id is None:
                campaign_id = drafts.create(draft, guard.actor(), clock.now(), form.form_key.data)
            else:
                version = drafts.save(campaign_id, form.version.data or version, draft, guard.actor(), clock.now())
            store_tags(form, Item.CAMPAIGN, campaign_id)
            form.version.data, form.version.raw_data = version, None
            is_saved = True
        except (Conflict, EditConflict):
            is_overtaken = True
        except Refusal:
            is_saved = False
    answer = page(
        "campaigns/_autosave.html",
        form=form,
        saved_at=format_time(clock.now(), "HH:mm") if is_saved else "",
        is_overtaken=is_overtaken,
        is_unsaved=not is_saved and not is_nameless,
    )
    if not is_saved:
        return answer
    return announcing(moved(answer, url_for("campaigns.edit", campaign_id=campaign_id)), "draft-saved")


def _read_draft(form: CampaignForm, stored: Draft) -> Draft:
    """Return the draft as typed; the mapping is read for the variables of the chosen template."""
    template = _settle_templates(form)
    names = variables(template.text) if template else ()
    mapping = stored.mapping if form.template.data == stored.template_id else {}
    rule = audience.readable(form.audience(), clock.now())

    def likely(name: str) -> str | None:
        return variable_choices.likely(name, rule, clock.now())

    typed = read_mapping(request.form, names, mapping, _property_names(), likely)
    return form.draft(typed, stored.leave_out)


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


def _property_names() -> list[str]:
    return [row.name for row in contacts.catalogue()]


def _is_counted(part: str) -> bool:
    """Return whether this answer holds the audience's numbers; of many people they follow the page as a part of it."""
    if wants_piece():
        return part == "numbers"
    return request.method == "POST" or audience.is_soon_counted()


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
    who = request.form.get("who", "").strip()[:254] if request.form.get("do") == "find" else ""
    people = _people_called(who)
    wanted = people[0].id if len(people) == 1 else request.form.get("wanted", 0, type=inputs.long_id)
    person = wanted or request.form.get("person", 0, type=inputs.long_id)
    part = request.form.get("part", "")
    look = DraftPreview(draft, now, person, campaign_id or 0, _is_counted(part))
    coverage = look.coverage if look.variables else None
    missing = put_draft_problems(form, problems)
    return page_or_piece(
        "campaigns/form.html",
        f"campaigns/_{part}.html" if part in PARTS else "campaigns/form.html",
        status,
        form=form,
        campaign_id=campaign_id,
        is_new=request.endpoint == "campaigns.new",
        draft=draft,
        checked=bool(problems) and status == 200,
        missing=missing,
        unmapped=[(f"variable-{name}", sentence) for name, sentence in missing.items()],
        saved=saved,
        differing=draft.differences(saved) if saved else (),
        words=words,
        schedule_fields=ScheduleFields(form),
        coverage=coverage,
        properties=variable_choices.choices(coverage),
        purposeless=templates.purposeless(draft.channel_id) if draft.channel_id else [],
        named=audience.named,
        excluded=look.excluded_people(request.form.get("excluded", "")),
        names=campaign_choices.named_choices,
        lacks_channel=not draft.channel_id and campaign_choices.lacks_any(Choosable.CHANNEL),
        lacks_template=bool(draft.channel_id)
        and not draft.template_id
        and campaign_choices.lacks_any(Choosable.TEMPLATE, draft.channel_id),
        looked=look,
        who=who,
        people=people if len(people) > 1 else (),
        most_people=contacts.MOST_CALLED,
        is_unknown=bool(who) and not people,
        is_another=bool(wanted) and not look.shows_person,
        may_administer=guard.may(Right.CHANNELS_WRITE),
        proofs=proofs_of(campaign_id) if campaign_id is not None else None,
    )
