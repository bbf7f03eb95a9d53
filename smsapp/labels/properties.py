"""Words of properties and their changes."""

from __future__ import annotations

from smsapp.domain.property_change import ChangeKind, ChangeState, Winner
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    ChangeKind.RETYPE: _l("Change of type"),
    ChangeKind.MERGE: _l("Merge"),
    ChangeKind.REMOVE: _l("Removal"),
    ChangeState.QUEUED: _l("Waiting for a worker"),
    ChangeState.RUNNING: _l("Going on"),
    ChangeState.DONE: _l("Done"),
    Winner.TARGET: _l("the property that stays"),
    Winner.SOURCE: _l("the property that goes"),
}

PROBLEMS = {
    "property_label_long": _l("A label has at most %(most)s characters."),
    "property_label_taken": _l("%(name)s has this label already. Merge the two, or choose another label."),
    "property_type_same": _l("It has this type already."),
    "property_merge_itself": _l("Choose another property to merge it into."),
    "property_merge_types": _l("%(name)s has another type. Change the type of one of them first."),
    "property_preset": _l("%(name)s is part of the upload protocol and stays as it is."),
    "property_used": _l("It is used in: %(names)s. Change these first."),
    "property_busy": _l("A change of %(name)s is going on. Wait for its end."),
}
