"""Tags: all of them, renamed and merged; those of one campaign, segment or template; the field on their forms."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain import tags as rules
from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.domain.tags import Item
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.campaigns import archiving
from smsapp.services.platform import clock, tags
from smsapp.web import guard, refill
from smsapp.web.forms import put_problems
from smsapp.web.forms.tags import TagFields, TagForm, TagsForm
from smsapp.web.guard import needs
from smsapp.web.render import page, see_other

bp = Blueprint("tags", __name__, url_prefix="/tags")
LISTS = {
    # kind: (the words for its list, the list, the page of one, the name of its id there)
    Item.CAMPAIGN: (_l("Campaigns"), "campaigns.index", "campaigns.show", "campaign_id"),
    Item.SEGMENT: (_l("Segments"), "segments.index", "segments.show", "segment_id"),
    Item.TEMPLATE: (_l("SMS templates"), "sms_templates.index", "sms_templates.show", "template_id"),
}
KINDS = "/<any(campaign, segment, sms_template):item>"

bp.add_app_template_global(tags.suggestions, "known_tags")


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    lines = [
        (tag, [(LISTS[item][0], url_for(LISTS[item][1], tag=tag.name)) for item in items])
        for tag, items in tags.listing()
    ]
    return page("tags/index.html", lines=lines, may_write=guard.may(Right.CAMPAIGNS_WRITE))


@bp.route("/<int:tag_id>/rename", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
def rename(tag_id: int) -> Response:
    """Rename a tag; if another one has this name, a second button merges the two."""
    tag = tags.get(tag_id)
    form = TagForm(name=tag.name)
    problems: list[str] = []
    exists = False
    if form.validate_on_submit():
        try:
            tags.rename(tag_id, form.name.data or "", guard.actor(), clock.now(), merge="merge" in request.form)
        except Refusal as refusal:
            exists = any(problem.code == "tag_exists" for problem in refusal.problems)
            problems = put_problems(form, refusal)
        else:
            flash(_("The tag is called “%(name)s” now.", name=rules.tidy(form.name.data or "")), "success")
            return see_other(url_for(".index"))
    status = 422 if form.is_submitted() else 200
    return page("tags/rename.html", status, tag=tag, form=form, problems=problems, exists=exists)


@bp.route("/<int:tag_id>/remove", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
def remove(tag_id: int) -> Response:
    """Ask, then take a tag from everything that has it."""
    tag = tags.get(tag_id)
    if request.method == "POST":
        flash(_("The tag “%(name)s” was removed.", name=tags.remove(tag_id, guard.actor(), clock.now())), "success")
        return see_other(url_for(".index"))
    return page("tags/remove.html", tag=tag)


@bp.route(f"{KINDS}/<int:item_id>", methods=["GET", "POST"])
@needs(Right.CAMPAIGNS_WRITE)
def edit(item: str, item_id: int) -> Response:
    """Change the tags of one campaign, segment or template, also of what was sent already."""
    kind = Item(item)
    name = archiving.name_of(kind, item_id)
    form = TagsForm()
    fill_tags(form, kind, item_id)
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            store_tags(form, kind, item_id)
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The tags were saved."), "success")
            return see_other(item_url(kind, item_id))
    status = 422 if form.is_submitted() else 200
    crumbs = [(LISTS[kind][0], url_for(LISTS[kind][1])), (name or _("Without a name"), item_url(kind, item_id))]
    return page("tags/edit.html", status, form=form, problems=problems, crumbs=crumbs, back=item_url(kind, item_id))


def item_url(item: Item, item_id: int) -> str:
    """Return the address of a campaign's, segment's or template's page."""
    _words, _list, endpoint, name = LISTS[item]
    address: dict[str, Any] = {name: item_id}
    return url_for(endpoint, **address)


def fill_tags(form: TagFields, item: Item, item_id: int) -> None:
    """Put the stored tags into a form that is opened; what was typed before stays."""
    if request.method == "GET" and not refill.is_refill():
        form.put_tags(tags.of(item, item_id))


def check_tags(form: TagFields) -> None:
    """Raise Refusal for typed tags that cannot be stored, before anything else of the form is."""
    problems = rules.problems(form.tag_names)
    if problems:
        raise Refusal(*problems)


def store_tags(form: TagFields, item: Item, item_id: int) -> None:
    """Store the tags of a form whose other fields were stored; it begins from them afterwards."""
    names = form.tag_names
    tags.change(item, item_id, names, guard.actor(), clock.now(), seen=form.tag_names_seen)
    form.put_tags(names)
