"""The home page: what needs a person, what goes on, what will happen, what was sent; and the switch of the language."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request, url_for
from flask_babel import get_timezone
from flask_login import current_user

from smsapp.domain.rights import Right
from smsapp.labels import campaigns, dates
from smsapp.labels import home as words
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.monitoring import home, needs
from smsapp.services.monitoring.needs import Need
from smsapp.services.platform import clock, setup, users
from smsapp.web import guard, language, render
from smsapp.web.menu import MenuLine

bp = Blueprint("home", __name__)
bp.add_app_template_filter(dates.written_date, "date")
bp.add_app_template_filter(dates.written_month, "month")
MENU = MenuLine(_l("Home"), "home.start", 0, "home")

PAGES = {
    "approval": "approvals.index",
    "late": "campaigns.index",
    "held": "reports.effect",
    "template": "sms_templates.show",
    "unconfirmed": "unconfirmed.index",
    "suspected": "replies.suspected",
    "lapsing": "registrations.index",
    "balance": "channels.show",
    "budget": "budgets.index",
    "key_alarm": "key_watch.show",
    "webhook": "webhooks.show",
}
"""Endpoint of the page on which somebody can act; what is done on the server has none."""
REFRESH, REFRESH_AT_REST = 5, 60
"""Seconds until the first part of the page reloads: while texts leave, and otherwise."""


@bp.app_template_filter("weekday")
def _weekday(date: dt.date) -> str:
    return campaigns.weekday_name(date.isoweekday())


@bp.app_template_filter("clock_time")
def _clock_time(moment: dt.datetime) -> str:
    return campaigns.clock_time(moment.astimezone(get_timezone()).time())


@bp.app_template_filter("moment_text")
def _moment_text(moment: dt.datetime) -> str:
    """Return a moment in the reader's zone for an attribute."""
    return dates.written(moment.astimezone(get_timezone()))


@bp.get("/")
@guard.needs(Right.WORK_VIEW)
def start() -> Response:
    now = clock.now()
    may_write, may_administer = guard.may(Right.CAMPAIGNS_WRITE), guard.may(Right.CHANNELS_WRITE)
    if home.is_blank():
        return render.page("home/first.html", setup=setup.setup(), may_write=may_write, may_administer=may_administer)
    every = needs.needs(guard.actor(), guard.may, now)
    context = {
        "needs": [(need, words.need(need.code, need.facts), _page_of(need)) for need in every],
        "now": now,
    }
    if render.wants_piece():
        going_on = home.going_on()
        return render.page("home/_now.html", going_on=going_on, refresh=_refresh(going_on), **context)
    zone = ZoneInfo(str(get_timezone()))
    today = now.astimezone(zone).date()
    month = _month(request.args.get("month", ""), today)
    overview = home.overview(now, zone)
    return render.page(
        "home/index.html",
        going_on=overview.going_on,
        refresh=_refresh(overview.going_on),
        overview=overview,
        month=month,
        today=today,
        weeks=_weeks(home.month_plan(month, now, zone)),
        earlier=url_for("home.start", month=f"{month - dt.timedelta(days=1):%Y-%m}"),
        later=url_for("home.start", month=f"{month + dt.timedelta(days=31):%Y-%m}"),
        may_write=may_write,
        **context,
    )


def _refresh(going_on: object) -> int:
    return REFRESH if going_on else REFRESH_AT_REST


def _page_of(need: Need) -> str:
    """Return the address of the page on which somebody can act; "" if it is not done in a page."""
    endpoint = PAGES.get(need.code)
    return url_for(endpoint, **need.place) if endpoint else ""


def _month(raw: str, today: dt.date) -> dt.date:
    """Return the first day of the month that is asked for, within ten years; of this month if it cannot be read."""
    try:
        month = dt.date.fromisoformat(f"{raw}-01")
    except ValueError:
        return today.replace(day=1)
    return month if abs(month.year - today.year) <= 10 else today.replace(day=1)


def _weeks(days: list[home.CalendarDay]) -> list[list[home.CalendarDay]]:
    return [days[n : n + 7] for n in range(0, len(days), 7)]


@bp.post("/language")
@guard.public
def speak() -> Response:
    """Change the language, for the person if signed in, else for this browser."""
    locale = request.form.get("locale", "")
    if locale in language.LANGUAGES:
        language.remember(locale)
        if current_user.is_authenticated:
            users.speak(guard.reader().id, locale)
    return render.see_other(guard.own_path(request.form.get("back", "/")))
