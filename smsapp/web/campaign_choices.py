"""What the campaign's form offers to choose: searched on the server, so that a page never holds thousands of rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from flask import Response, request
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.exceptions import NotFound

from smsapp.domain.draft import Draft
from smsapp.domain.rights import Right
from smsapp.labels import label
from smsapp.services.campaigns import choices
from smsapp.services.campaigns.choices import Choice, Choosable
from smsapp.web import filters, inputs
from smsapp.web.campaigns import bp
from smsapp.web.forms.campaigns import CampaignForm
from smsapp.web.forms.picking import Option
from smsapp.web.guard import needs
from smsapp.web.render import page

KINDS = {
    "segment": Choosable.SEGMENT,
    "more_segments": Choosable.SEGMENT,
    "but_not": Choosable.SEGMENT,
    "channel": Choosable.CHANNEL,
    "second_channel": Choosable.CHANNEL,
    "template": Choosable.TEMPLATE,
    "second_template": Choosable.TEMPLATE,
}
"""What each field of the form chooses."""
AMONG = {"template": "channel", "second_template": "second_channel"}
"""The field whose choice says among which templates."""
TITLES = {Choosable.SEGMENT: "Kind", Choosable.TEMPLATE: "Purpose"}
"""The enum of a choice's kind."""
MOST = 20
"""Rows of one search; who looks for another one types more of its name."""
EXCERPT = 40
"""Characters of a template's text."""
FIND = "find-"
"""A field's search box; the button beside it, which works without JavaScript, says `do=find-<field>`."""


@bp.get("/choices/<field>")
@needs(Right.CAMPAIGNS_WRITE)
def choices_of(field: str) -> Response:
    """Return the list of a search box: what the words in `find` are in the name of."""
    if field not in KINDS:
        raise NotFound
    channel_id = request.args.get(AMONG.get(field, ""), type=inputs.id_)
    form = CampaignForm(formdata=None)
    words = request.args.get("find", "").strip()
    matches, more = _search(KINDS[field], words, channel_id)
    nothing = "" if words or form[field].is_many else form[field].nothing
    return page("campaigns/_choices.html", field=form[field], matches=matches, more=more, nothing=nothing)


def offer(form: CampaignForm, draft: Draft, stored: Draft) -> None:
    """Fill the fields that choose rows: with what is chosen, and with what the pressed search button found.

    A stored choice that is no longer available stays, labelled so.
    """
    before = {**{name: [id_] for name, id_ in stored.choices.items() if id_}, "segment": [*stored.audience.ids]}
    pressed = request.form.get("do", "").removeprefix(FIND)
    for name, kind in KINDS.items():
        field = form[name]
        field.rows = choices.chosen(kind, field.ids)
        field.known = _known(kind, field.rows, field.ids, before.get(name, ()))
        if name == pressed:
            field.searched, field.words = True, request.form.get(FIND + name, "").strip()[:120]
            channel_id = getattr(draft, f"{AMONG[name]}_id") if name in AMONG else None
            field.matches, field.more = _search(kind, field.words, channel_id)


def named_choices(draft: Draft) -> dict[str, str]:
    """Return {field of the draft: the name of what it chooses}."""
    named = {}
    for name, id_ in draft.choices.items():
        choice = choices.chosen(KINDS[name], [id_]).get(id_) if id_ else None
        named[f"{name}_id"] = choice.name if choice else "–"
    return named


def lacks_any(kind: Choosable, channel_id: int | None = None) -> bool:
    """Return whether there is nothing of this kind to be chosen."""
    return not choices.search(kind, "", channel_id, 1)


def _search(kind: Choosable, words: str, channel_id: int | None) -> tuple[list[Option], bool]:
    rows = choices.search(kind, words, channel_id, MOST + 1)
    return [_option(kind, row) for row in rows[:MOST]], len(rows) > MOST


def _known(kind: Choosable, rows: Mapping[int, Choice], ids: Sequence[int], before: Collection[int]) -> list[Option]:
    """Return the options of the chosen rows, in the order of choosing."""
    options = []
    for row in (rows[id_] for id_ in ids if id_ in rows):
        if row.available:
            options.append(_option(kind, row))
        elif row.id in before:
            options.append(Option(row.id, _("No longer available: %(name)s", name=row.name)))
    return options


def _option(kind: Choosable, row: Choice) -> Option:
    """Return a row as it is offered, with what tells it apart."""
    notes = [_(row.kind)] if kind is Choosable.CHANNEL else [label(row.kind, TITLES[kind])]
    if kind is Choosable.SEGMENT and row.size is not None:
        notes.append(ngettext("%(n)s user", "%(n)s users", row.size, n=filters.number(row.size)))
    if kind is Choosable.TEMPLATE:
        begins = row.text if len(row.text) <= EXCERPT else row.text[:EXCERPT] + "…"
        notes += [ngettext("%(num)s part", "%(num)s parts", row.size or 0), begins]
    return Option(row.id, row.name, " · ".join(notes))
