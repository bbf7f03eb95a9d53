"""Which sections the guide has, in reading order, and which page leads to which: the files of docs/guide, as data."""

from __future__ import annotations

from typing import Any

from flask import request, url_for
from flask_login import current_user

from smsapp.labels.locales import lazy_gettext as _l

PARTS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (_l("Begin here"), ("first-message", "home", "demo")),
    (_l("Prepare"), ("contacts", "coming-from", "segments", "channels", "registration", "templates")),
    (
        _l("Plan and confirm"),
        ("message", "audience", "schedules", "sending-times", "review", "rehearsal", "test-group", "approval"),
    ),
    (_l("While it is sent, and afterwards"), ("list", "report", "left-out", "reasons", "runs", "second-channel")),
    (_l("Answers and refusals"), ("unconfirmed", "receipts", "replies", "consent", "limits")),
    (_l("Keeping order"), ("order", "keys", "api", "webhooks", "account", "privacy", "roles")),
)
"""A heading of the table of contents and its sections; each is docs/guide/<language>/<section>.md."""
SECTIONS = tuple(section for _heading, sections in PARTS for section in sections)

AREAS = {
    "api_keys": "api",
    "api_pages": "api",
    "approvals": "approval",
    "archive": "order",
    "audit_log": "roles",
    "budgets": "approval",
    "campaigns": "list",
    "channels": "channels",
    "colleagues": "test-group",
    "consents": "consent",
    "contacts": "contacts",
    "demo": "demo",
    "erasures": "privacy",
    "home": "home",
    "imports": "contacts",
    "key_watch": "keys",
    "keys": "keys",
    "preferences": "limits",
    "properties": "contacts",
    "proposals": "keys",
    "registrations": "registration",
    "replies": "replies",
    "reports": "report",
    "rest_days": "sending-times",
    "retention": "privacy",
    "rights": "roles",
    "runs": "runs",
    "segments": "segments",
    "sms_templates": "templates",
    "tags": "order",
    "unconfirmed": "unconfirmed",
    "unmatched": "receipts",
    "users": "account",
    "webhooks": "webhooks",
}
"""Blueprint -> section."""
PAGES = {
    "campaigns.confirm": "review",
    "campaigns.edit": "message",
    "campaigns.new": "message",
    "campaigns.overlap": "rehearsal",
    "campaigns.rehearsal": "rehearsal",
    "campaigns.review": "review",
    "contacts.data": "privacy",
    "keys.guide": "contacts",
    "runs.ask_to_send_again": "reasons",
    "runs.send_again": "reasons",
    "users.index": "roles",
    "users.invite": "roles",
    "users.show": "roles",
}
"""Endpoint -> section, where it is another one than its blueprint's."""


def section_of(endpoint: str) -> str:
    """Return the section that explains this endpoint's page; empty for one that has none."""
    return PAGES.get(endpoint) or AREAS.get(endpoint.partition(".")[0], "")


def help_url() -> str:
    """Return where the guide explains the page that is shown; empty for readers who are not signed in."""
    section = section_of(request.endpoint or "") if current_user.is_authenticated else ""
    return url_for("help.index", _anchor=section) if section else ""
