"""Why this code cannot run with the database it finds, and what to do."""

from __future__ import annotations

from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "schema_empty": _l("The database is empty; run: flask db upgrade"),
    "schema_half": _l("An upgrade of the database was cut off half way; run: flask db upgrade"),
    "schema_older": _l(
        "The database's schema is %(found)s, older than this version, which needs %(known)s; run: flask db upgrade"
    ),
    "schema_newer": _l(
        "The database's schema is %(found)s, which this version (%(known)s) does not know and may not use. "
        "Start the version that upgraded it, or restore the backup made before."
    ),
}
