"""The field for tags on the forms of campaigns, segments and templates; and the form that holds nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext as _
from wtforms import HiddenField, StringField

from smsapp.domain import tags as rules
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web.forms import PageForm


class TagFields:
    """Tags as text, and those that the form began from, so that what others add meanwhile stays."""

    tags = StringField(_l("Tags"))
    tags_seen = HiddenField("")

    def put_tags(self, names: Sequence[str]) -> None:
        """Show these tags, and begin from them."""
        text = _(", ").join(names)
        for field in (self.tags, self.tags_seen):
            field.data, field.raw_data = text, None

    @property
    def tag_names(self) -> list[str]:
        return rules.split(self.tags.data or "")

    @property
    def tag_names_seen(self) -> list[str]:
        return rules.split(self.tags_seen.data or "")


class TagsForm(TagFields, PageForm):
    """Only the tags."""


class TagForm(PageForm):
    """The name of one tag."""

    name = StringField(_l("Name"))
