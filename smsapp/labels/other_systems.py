"""Files of other systems in words: why rows and campaigns of theirs do not fit, and what a person has to choose."""

from __future__ import annotations

from smsapp.domain.other_systems import System
from smsapp.domain.rejection import Reason
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    System.PINPOINT: _l("endpoints or a segment, CSV or JSON"),
    System.LISTMONK: _l("subscribers, CSV"),
    System.NOTIFY: _l("a list with the column “phone number”"),
    Reason.MERGED: _l("Merged"),
    Reason.OTHER_CHANNEL: _l("Not an SMS endpoint"),
    Reason.INACTIVE: _l("Inactive endpoint"),
    Reason.UNCLEAR_OPT_OUT: _l("Unknown OptOut value"),
    Reason.UNCLEAR_NUMBER: _l("Ambiguous phone number"),
    Reason.BAD_ADDRESS: _l("Unreadable address"),
    Reason.OPTED_OUT_UNREADABLE: _l("Opted out, unreadable number"),
    Reason.OPTED_OUT_UNCLEAR: _l("Opted out, ambiguous number"),
    Reason.BROKEN_LINE: _l("Broken line"),
    Reason.LONG_LINE: _l("Line too long"),
    Reason.MISFIT: _l("Row does not fit the headings"),
    Reason.DISABLED: _l("Disabled subscriber"),
    Reason.BLOCKED_WITHOUT_NUMBER: _l("Blocklisted without a number"),
    Reason.UNKNOWN_STATUS: _l("Unknown status"),
    Reason.BROKEN_ATTRIBUTES: _l("Broken attributes"),
}

PROBLEMS = {
    "record_merged": _l(
        "Another row of the same person came in: the one with the newest date whose number can be read. Nothing to do."
    ),
    "record_other_channel": _l("ChannelType is not SMS, so there is no phone number here. Nothing to do."),
    "record_inactive": _l("EndpointStatus is not ACTIVE: Amazon Pinpoint would not have sent to this endpoint either."),
    "record_unclear_opt_out": _l(
        "OptOut is neither ALL nor NONE, so nobody knows whether this person may be written to. Write one of them."
    ),
    "record_unclear_number": _l(
        "Without its + this number is one of two: of this country, or with a country code. Write + and the code."
    ),
    "record_bad_address": _l("No phone number can be read from Address. Write it with + and the country code."),
    "record_opted_out_unreadable": _l(
        "This person opted out, and no phone number can be read, so the opt-out list cannot keep texts from them. "
        "Correct the number in the export and import that again."
    ),
    "record_opted_out_unclear": _l(
        "This person opted out, and without its + the number is one of two. Both are on the opt-out list now; the row "
        "did not come in. Write + and the country code in the export and import that again."
    ),
    "record_broken_line": _l("This line is no JSON object. The lines around it were read."),
    "record_long_line": _l(
        "This line is longer than a million characters and was skipped. The lines around it were read."
    ),
    "record_misfit": _l(
        "The row does not fit the headings: a quotation mark is not closed, or there are more than %(limit)s cells."
    ),
    "record_disabled": _l("The subscriber is disabled in listmonk, which would not have sent anything either."),
    "record_blocked_without_number": _l(
        "The subscriber is on the blocklist, and without a phone number the opt-out list cannot keep texts from them."
    ),
    "record_unknown_status": _l("The status is none of enabled, disabled and blocklisted. Write one of them."),
    "record_broken_attributes": _l("The attributes are no JSON object. Correct them and import the row again."),
    "gzip_broken": _l(
        "This packed file (.gz) breaks off or is damaged, so rows at its end would be missing. Nothing was imported. "
        "Download it again."
    ),
    "gzip_too_large": _l("This packed file unpacks to more than %(limit)s GiB. Split it."),
    "json_no_lines": _l(
        "This JSON file is one list. Write one object per line, as exports of Amazon Pinpoint are "
        "(for example with jq -c '.[]')."
    ),
    "json_no_endpoints": _l(
        "This is JSON, but its first lines are no endpoints of Amazon Pinpoint: each line must be one object with "
        "ChannelType and Address."
    ),
    "system_not_json": _l("Files of this system are CSV, and this is JSON. Choose where the file really comes from."),
    "system_headings": _l(
        "This is no file of %(system)s: there is no column %(missing)s. The file has: %(headings)s. "
        "Choose where it really comes from, or correct the headings."
    ),
    "pinpoint_ids_only": _l(
        "This file lists user ids only, and contacts need numbers. Import the endpoints first; then upload this file "
        "under Segments, Upload a list, by the user id."
    ),
    "opt_outs_not_json": _l(
        "This begins like JSON and is none. Save what describe-opted-out-numbers prints, or one number per line."
    ),
    "pinpoint_no_campaigns": _l(
        "There is no campaign of Amazon Pinpoint in this file. It must be JSON as aws pinpoint get-campaigns prints it."
    ),
    "pinpoint_no_sms": _l("It sends no SMS but: %(kinds)s. Nothing here can send that."),
    "pinpoint_segment": _l("Choose the segment: Pinpoint names it by the id %(segment)s only."),
    "pinpoint_channel": _l("Choose the channel and the template; with --channel its text becomes a template there."),
    "pinpoint_before": _l("It became draft %(draft)s when it was imported before; nothing was changed."),
    "pinpoint_template_pending": _l("Have the template approved: its text is there and counts as pending."),
    "pinpoint_text_elsewhere": _l(
        "The text is in the message template “%(template)s” of Pinpoint and not in this file. Type it in as a template."
    ),
    "pinpoint_purpose": _l("Say the purpose of the text: Pinpoint does not. It counts as marketing until then."),
    "pinpoint_variable": _l("Choose what fills the variable “%(variable)s”: no property has this name."),
    "pinpoint_helpers": _l(
        "The text computes something between {{ and }}, which templates here do not. Rewrite that part."
    ),
    "pinpoint_local_time": _l("It was sent by each person's local time; here it has one time zone. Check the time."),
    "pinpoint_event": _l("It was sent when something happened (%(frequency)s); here it has a time. Choose one."),
    "pinpoint_frequency": _l("There is no schedule %(frequency)s here. Choose another one."),
    "pinpoint_start_time": _l("The start “%(time)s” is no time that can be read. Choose one."),
    "pinpoint_zone": _l("The time zone %(zone)s has no equal here. Check zone and time."),
    "pinpoint_treatments": _l("%(n)s further variants of the message do not come in: a draft has one text."),
    "pinpoint_holdout": _l("%(percent)s percent of the people were held out; here everybody of the segment gets it."),
    "pinpoint_limits": _l("Its limits do not come in. Set the rate of the channel, and the frequency caps."),
    "pinpoint_quiet_time": _l("Its quiet time does not come in. Set the quiet hours of the channel."),
    "pinpoint_hook": _l("Its Lambda function does not come in: segments are computed here."),
    "pinpoint_sender": _l("The sender id or number does not come in: it belongs to the channel."),
}
