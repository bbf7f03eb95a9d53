"""What is removed after its time: the rules, and what would go now."""

from __future__ import annotations

from flask import Blueprint, Response

from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.labels.privacy import table_name
from smsapp.services.platform import clock
from smsapp.services.privacy import retention
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page

bp = Blueprint("retention", __name__, url_prefix="/settings/retention")
MENU = MenuLine(_l("Retention"), "retention.index", 86, "history", Right.PRIVACY_WRITE, settings=True)


@bp.get("/")
@needs(Right.PRIVACY_WRITE)
def index() -> Response:
    """Show how long each kind of rows is kept, and what would be removed now."""
    rows = [(table_name(line.rule.table), line) for line in retention.preview(clock.now())]
    return page("preferences/retention.html", rows=rows)
