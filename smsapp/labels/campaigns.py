"""Words of campaigns: their statuses, what a draft lacks, and a schedule as a sentence."""

from __future__ import annotations

import datetime as dt

from babel.dates import get_day_names
from flask_babel import format_date, format_decimal, get_locale, ngettext
from flask_babel import gettext as _

from smsapp.domain import message
from smsapp.domain.campaign import Action, Sort, Status, Tab
from smsapp.domain.month_grid import Day
from smsapp.domain.rest_days import DayKind, DaysOff, Rest
from smsapp.domain.schedule import LAST_DAY, Kind, Note, Schedule
from smsapp.domain.writing import Form
from smsapp.labels.dates import written_date
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "date_too_far": _l("Choose a date before the year %(year)s."),
    "name_missing": _l("Give the campaign a name, so that it can be found again."),
    "name_too_long": _l("The name of a campaign has at most %(most)s characters."),
    "segment_missing": _l("Choose whom to write to."),
    "segment_gone": _l("This segment has been deleted. Choose another one."),
    "channel_missing": _l("Choose a channel to send through."),
    "channel_gone": _l("This channel has been deleted. Choose another one."),
    "channel_inactive": _l("This channel is switched off. Choose another one, or switch it on in the settings."),
    "template_missing": _l("Choose an approved template."),
    "template_gone": _l("This template has been deleted. Choose another one."),
    "template_of_another_channel": _l("This template belongs to another channel. Choose one of the chosen channel."),
    "template_not_approved": _l("This template is not approved (any more). Choose another one."),
    "second_channel_same": _l("The second channel is the first one. Choose another one, or none."),
    "second_channel_inactive": _l("The second channel is switched off. Choose another one, or none."),
    "second_template_missing": _l("Choose the template on the second channel that says the same."),
    "second_template_not_approved": _l("The template on the second channel is not approved (any more)."),
    "second_variables_differ": _l(
        "The template on the second channel has other variables, or has them in another order."
    ),
    "second_trusts_less": _l(
        "The second channel takes only numbers from server keys, files and people, and the first one takes all. "
        "Choose another second channel, or set both alike."
    ),
    "second_purpose_differs": _l("The two templates have different purposes. Choose two of the same purpose."),
    "template_changed_since_review": _l("The template's text has changed since you looked at it. Read it again."),
    "variable_unmapped": _l("Say what the variable %(variable)s is filled with."),
    "variable_lacks_values": _l(
        "The variable %(variable)s has no value for %(n)s people. Choose another property, or give a fallback."
    ),
    "variable_values_unfit": _l(
        "%(n)s people have a value that may not fill the variable %(variable)s: it is too long, or holds a link, "
        "a contact detail or a line break. Choose another property, or declare it on the template's page."
    ),
    "variable_value_too_long": _l(
        "The text for the variable %(variable)s is longer than %(longest)s characters, which is all it takes."
    ),
    "variable_value_line_break": _l("The text for the variable %(variable)s must not have line breaks."),
    "variable_value_signature": _l("The text for the variable %(variable)s must not have brackets 【】."),
    "variable_value_link": _l(
        "The text for the variable %(variable)s holds a link. Declare it on the template's page if that is meant."
    ),
    "variable_value_contact": _l(
        "The text for the variable %(variable)s holds a phone number, an email address or a chat account. "
        "Declare it on the template's page if that is meant."
    ),
    "zone_unknown": _l("There is no time zone “%(zone)s”."),
    "date_missing": _l("Choose the date to send on."),
    "date_unreadable": _l("This is not a date. Write it like 2026-12-31."),
    "start_missing": _l("Choose the date from which to send."),
    "time_missing": _l("Choose the time of day to send at."),
    "time_unreadable": _l("This is not a time of day. Write it like 09:30 or 09:30:15."),
    "weekdays_missing": _l("Choose at least one day of the week."),
    "monthdays_missing": _l("Choose at least one day of the month."),
    "end_before_start": _l("The end lies before the start. Choose a later end, or none."),
    "date_in_the_past": _l("This moment has passed already. Choose a later one."),
    "until_before_start": _l("“Not later than” lies before the beginning. Choose a later time, or none."),
    "spread_past_until": _l(
        "“Evenly until” lies after “not later than”: the rest would expire. Choose an earlier time."
    ),
    "schedule_rests": _l("All sends that are left fall on days of rest or are skipped. Choose other days."),
    "all_would_expire": _l("It begins after “not later than”: nothing would be sent."),
    "some_would_expire": _l(
        "It will not be through by “not later than”: what has not left by then expires and is not sent."
    ),
    "skip_not_due": _l("Nothing is sent on %(date)s."),
    "skip_leaves_nothing": _l("No send would be left. Stop the campaign instead."),
    "rest_day_row": _l("Row %(row)s cannot be read: “%(text)s”. Nothing was changed."),
    "rest_day_date": _l("“%(text)s” is no date. Write it like 2026-12-31."),
    "rest_day_kind": _l("“%(text)s” is no kind of day. Write off or working (放假, 上班)."),
    "rest_day_too_many": _l("The file has more than %(most)s rows."),
    "rest_day_none": _l("The file holds no days."),
    "schedule_over": _l("Between start and end no send is left. Choose other days or a later end."),
    "nobody_to_write_to": _l("At present nobody in this segment would get the message."),
    "begins_after_quiet_hours": _l(
        "It is due within the channel's quiet hours for marketing texts: it will begin when they are over."
    ),
    "pauses_in_quiet_hours": _l("It will not be through before the quiet hours: it pauses and goes on afterwards."),
    "same_text_lately": _l("%(n)s of these people were sent this very text within the last %(days)s days, in:"),
    "same_text_lately_about": _l(
        "About %(n)s of these people were sent this very text within the last %(days)s days, in:"
    ),
    "other_for_this_segment": _l("The same segment also gets “%(name)s” within a day of it."),
    "others_for_this_segment": _l(
        "The same segment also gets “%(name)s” within a day of it; in all %(n)s such campaigns are waiting."
    ),
    "draft_overtaken": _l("Somebody saved this draft in the meantime. Nothing was overwritten."),
}

LABELS = {
    Status.DRAFT: _l("Draft"),
    Status.WAITING: _l("Waiting"),
    Status.SENDING: _l("Sending"),
    Status.SENT: _l("Sent"),
    Status.FAILED: _l("Failed"),
    Status.STOPPED: _l("Stopped"),
    Action.EDIT: _l("Edit"),
    Action.STOP: _l("Stop"),
    Action.DELETE: _l("Delete"),
    Tab.ALL: _l("All"),
    Tab.SINGLE: _l("Single campaigns"),
    Tab.RECURRING: _l("Recurring campaigns"),
    Sort.NEWEST: _l("Newest first"),
    Sort.NAME: _l("By name"),
    Sort.DUE: _l("Next due first"),
    Kind.NOW: _l("Immediately"),
    Kind.ONCE: _l("At a set time"),
    Kind.DAILY: _l("Daily"),
    Kind.WEEKLY: _l("Weekly"),
    Kind.MONTHLY: _l("Monthly"),
    Note.MOVED: _l("This local time does not exist: clocks go forward. It is sent at the first moment after."),
    Note.FIRST_OF_TWO: _l("This local time comes twice: clocks go back. It is sent the first time only."),
    Note.WAITED: _l("It was due on a day of rest and waits for this day."),
    Note.RESTS: _l("Day of rest: nothing is sent."),
    Note.SKIPPED: _l("Skipped: nothing is sent."),
    Rest.IGNORED: _l("Send on days of rest, too"),
    Rest.WAIT: _l("Wait for the next day that is none"),
    Rest.SKIP: _l("Leave these sends out"),
    DaysOff.HOLIDAYS: _l("Public holidays"),
    DaysOff.NOT_WORKED: _l("Public holidays and weekends, except weekends that are worked"),
    DayKind.OFF: _l("Day off"),
    DayKind.WORKING: _l("Worked weekend"),
    Note.LAST_DAY: _l("The month has no such day: it is sent on its last day."),
}

FORMS = {
    Form.DATE_AND_TIME: "2026-03-01 09:30",
    Form.DATE: "2026-03-01",
    Form.TIME: "09:30",
    Form.DATE_ZH: "2026年3月1日",
    Form.DAY_ZH: "3月1日",
    Form.DAY_AND_TIME_ZH: "3月1日09:30",
    Form.DATE_EN: "Mar 1, 2026",
    Form.DAY_EN: "Mar 1",
    Form.YES_NO_ZH: "是 / 否",
    Form.HAS_ZH: "有 / 无",
    Form.YES_NO_EN: "yes / no",
    Form.COMMAS_ZH: "甲、乙",
    Form.COMMAS_EN: "A, B",
}
"""Examples of how values are written; they stand in texts, so they are the same in every language of the pages."""

DRAFT_FIELDS = {
    "name": _l("Campaign name"),
    "audience": _l("Target users"),
    "channel_id": _l("Channel"),
    "template_id": _l("SMS template"),
    "mapping": _l("Variables"),
    "schedule": _l("Send time"),
    "second_channel_id": _l("Second channel"),
    "second_template_id": _l("Template on the second channel"),
    "consented_only": _l("Only to those with consent"),
    "leave_out": _l("Left out by choice"),
    "left_out_carriers": _l("Carriers left out"),
    "seeds": _l("One text of each run to the seeds of the test group"),
}
"""The fields of domain/draft.py Draft."""


LOSSES = {
    message.Status.REFUSED: lambda n: ngettext("%(n)s failed", "%(n)s failed", n, n=format_decimal(n)),
    message.Status.UNDELIVERED: lambda n: ngettext(
        "%(n)s not delivered", "%(n)s not delivered", n, n=format_decimal(n)
    ),
    message.Status.UNCONFIRMED: lambda n: _("%(n)s unconfirmed", n=format_decimal(n)),
    message.Status.EXPIRED: lambda n: _("%(n)s expired", n=format_decimal(n)),
}
"""How many messages of a campaign were refused by the channel, not delivered, expired, or are unconfirmed."""


def loss(line: tuple[message.Status, int]) -> str:
    """Return how many messages went no further, and how that is called: 38 failed."""
    state, n = line
    return str(LOSSES[state](n))


def clock_time(time: dt.time) -> str:
    """Return a time of day; its seconds only if there are any."""
    return time.strftime("%H:%M:%S" if time.second else "%H:%M")


def weekday(day: int) -> str:
    """Return the short name of an ISO weekday within a sentence: 一, Mon."""
    if get_locale().language == "zh":
        return str(get_day_names("narrow", "stand-alone", get_locale())[day - 1])
    return weekday_name(day)


def weekday_name(day: int) -> str:
    """Return the name of an ISO weekday as it stands alone: 周一, Mon."""
    return str(get_day_names("abbreviated", "stand-alone", get_locale())[day - 1])


def month_name(date: dt.date) -> str:
    """Return a month with its year: 2026年10月, Oct 2026."""
    return str(format_date(date, "y年M月" if get_locale().language == "zh" else "MMM y", rebase=False))


def day_classes(day: Day) -> str:
    """Return the classes of a day on a calendar page."""
    fire = "" if day.fire is None else "day-sent" if day.is_sent else "day-unsent"
    return " ".join(
        name for name in (fire, "day-off" if day.rests else "", "day-worked" if day.is_worked else "") if name
    )


def day_hint(day: Day) -> str:
    """Return what the colours of a day say, for those who do not see them."""
    parts = [_("sent") if day.is_sent else _("not sent")] if day.fire is not None else []
    if day.special is not None:
        parts.append(day.special.name or _("day off"))
    return str(_(", ").join(parts))


def rate_in_words(rate: float) -> str:
    """Return a rate of messages, by the minute if it is below one a second."""
    if rate >= 1:
        return str(_("at %(rate)s per second", rate=format_decimal(round(rate, 1))))
    return str(_("at %(rate)s per minute", rate=format_decimal(round(rate * 60, 1))))


def in_words(schedule: Schedule, *, start: bool = False) -> str:
    """Return the schedule as a sentence: 每周一、四 09:30，至 2026-12-31. What is not chosen yet is a dash."""
    time = clock_time(schedule.time) if schedule.time else "–"
    if schedule.kind is Kind.NOW:
        sentence = _("Immediately")
    elif schedule.kind is Kind.ONCE and not schedule.start and not schedule.time:
        sentence = _("Time not chosen yet")
    elif schedule.kind is Kind.ONCE:
        sentence = _("%(date)s at %(time)s", date=written_date(schedule.start) if schedule.start else "–", time=time)
    elif schedule.kind is Kind.DAILY:
        sentence = _("Every day at %(time)s", time=time)
    elif schedule.kind is Kind.WEEKLY:
        days = _(", ").join(weekday(day) for day in sorted(schedule.weekdays)) or "–"
        sentence = _("Every %(days)s at %(time)s", days=days, time=time)
    else:
        sentence = _monthly(schedule, time)
    if start and schedule.recurring and schedule.start:
        sentence = _("%(said)s, from %(date)s", said=sentence, date=written_date(schedule.start))
    if schedule.end:
        sentence = _("%(said)s, until %(date)s", said=sentence, date=written_date(schedule.end))
    if schedule.until and schedule.until_date:
        date = written_date(schedule.until_date)
        sentence = _(
            "%(said)s, not later than %(date)s %(time)s", said=sentence, date=date, time=clock_time(schedule.until)
        )
    elif schedule.until:
        sentence = _("%(said)s, not later than %(time)s", said=sentence, time=clock_time(schedule.until))
    if schedule.spread_until:
        sentence = _("%(said)s, evenly until %(time)s", said=sentence, time=clock_time(schedule.spread_until))
    return str(sentence)


def _monthly(schedule: Schedule, time: str) -> str:
    numbers = [str(day) for day in sorted(schedule.monthdays) if day != LAST_DAY]
    days = _(", ").join(numbers)
    if LAST_DAY not in schedule.monthdays:
        sentence = ngettext(
            "Every month on day %(days)s at %(time)s",
            "Every month on days %(days)s at %(time)s",
            len(numbers),
            days=days or "–",
            time=time,
        )
    elif numbers:
        sentence = _("Every month on day %(days)s and the last at %(time)s", days=days, time=time)
    else:
        sentence = _("On the last day of every month at %(time)s", time=time)
    return str(sentence)
