"""Words of the watch over AppKeys."""

from __future__ import annotations

from smsapp.domain.key_watch import AlarmKind, TextSign
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    AlarmKind.GROWTH: _l("Unusually many new contacts"),
    AlarmKind.COUNTRY: _l("Numbers of unusual countries"),
    AlarmKind.BLOCK: _l("Many new numbers of one block"),
    AlarmKind.TEXT: _l("Names that are no names"),
    TextSign.LINK: _l("link"),
    TextSign.DIGITS: _l("digits"),
    TextSign.BRACKET: _l("brackets"),
    TextSign.LONG: _l("long"),
}

PROBLEMS = {
    "undo_too_early": _l("What this key did can be undone from %(since)s on, not further back. Choose a later hour."),
    "undo_in_future": _l("Choose an hour that has begun."),
    "key_secret_public": _l("Only a server key can have a secret: everybody could read that of an app or a page."),
    "key_secret_missing": _l("Make a secret first, and have your server sign with it."),
    "undo_running": _l("An undo of this key is going on. Wait for its end."),
}
