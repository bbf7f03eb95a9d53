"""Words of tags and of the archive."""

from __future__ import annotations

from smsapp.domain.campaign import Action
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "tag_too_long": _l("“%(name)s” is too long for a tag; at most %(most)s characters fit. Separate tags by commas."),
    "too_many_tags": _l("At most %(most)s tags fit. Take some out."),
    "tag_missing": _l("Give the tag a name."),
    "tag_exists": _l("There is a tag “%(name)s” already. Merge the two, or choose another name."),
    "archive_draft": _l("“%(name)s” is a draft. Delete it, or send it first; only what has ended is archived."),
    "archive_waiting": _l("“%(name)s” waits for its time. Stop it first, then archive it."),
    "archive_sending": _l("“%(name)s” is being sent. Wait for its end, or end it on its report, then archive it."),
    "archive_segment_in_use": _l(
        "Campaigns that wait or are being sent use this segment: %(names)s. Stop them, or wait for their end."
    ),
    "archive_sms_template_in_use": _l(
        "Campaigns that wait or are being sent use this template: %(names)s. Stop them, or wait for their end."
    ),
    "archive_template_confirms": _l(
        "The channel “%(channel)s” confirms opt-outs with this template. Choose another one there first."
    ),
    "segment_was_sent": _l("Campaigns were sent to this segment, so reports name it. Archive it instead."),
    "template_was_sent": _l("Campaigns were sent with this template, so reports name it. Archive it instead."),
    "segment_archived": _l("The segment “%(name)s” is archived. Bring it back, or choose another one."),
    "template_archived": _l("This template is archived. Bring it back, or choose another one."),
    "second_template_archived": _l(
        "The template on the second channel is archived. Bring it back, or choose another one."
    ),
}

LABELS = {
    Action.ARCHIVE: _l("Archive"),
}
