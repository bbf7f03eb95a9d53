"""The page that says what each role may do."""

from __future__ import annotations

from flask import Blueprint, Response

from smsapp.domain.rights import Right, may
from smsapp.domain.roles import RANKS
from smsapp.web.guard import needs
from smsapp.web.render import page

bp = Blueprint("rights", __name__)


@bp.get("/rights")
@needs(Right.ACCOUNT_OWN)
def index() -> Response:
    """Show the table of rights."""
    rows = [(right, [may(role, right) for role in RANKS]) for right in Right]
    return page("users/rights.html", roles=RANKS, rows=rows)
