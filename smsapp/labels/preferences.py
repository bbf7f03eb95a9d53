"""What is wrong with the settings of the whole product."""

from __future__ import annotations

from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "cap_per_day": _l("Write a number from 1 to %(most)s per day, or leave it empty."),
    "cap_per_week": _l("Write a number from 1 to %(most)s per seven days, or leave it empty."),
    "cap_week_below_day": _l("This must be at least as many as per day (%(per_day)s)."),
    "cap_missing": _l("To switch the caps on, write at least one of the two numbers."),
}
