"""Why a backup cannot be restored, and what to do."""

from __future__ import annotations

from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    "backup_damaged": _l("This file is no whole backup: it is damaged, was changed or is cut off. Use another one."),
    "backup_format": _l("This backup was made by a newer version; restore it with that one."),
    "backup_passphrase": _l("The passphrase does not open this backup."),
    "backup_other_database": _l(
        "This backup is of %(kind)s, and DATABASE_URL names %(present)s; a backup goes back to its own kind only."
    ),
    "backup_newer": _l(
        "This backup has the schema %(found)s of version %(version)s, which this version does not know; "
        "restore it with that one."
    ),
    "backup_tool_missing": _l(
        "%(tool)s is not on PATH. Install the client tools of PostgreSQL, in the server's version."
    ),
    "backup_tool_failed": _l("%(tool)s has failed: %(reason)s"),
    "backup_running": _l("Workers or a scheduler are running. Stop everything first, then try again."),
    "move_not_from_sqlite": _l("The present database is not SQLite. Run this without DATABASE_URL."),
    "move_bad_address": _l("This is no address of a PostgreSQL; write it as postgresql://user:password@host/database."),
    "move_unreachable": _l("PostgreSQL cannot be reached: %(reason)s"),
    "move_target_filled": _l(
        "That database holds an installation already. Make an empty one, or start with DATABASE_URL if an earlier "
        "move has ended there."
    ),
    "move_schema": _l("The tables could not be made in PostgreSQL: %(reason)s"),
    "move_unfit": _l(
        "Some values do not fit into PostgreSQL: too long for their column, or with a NUL. Nothing was moved. "
        "Look at: %(places)s"
    ),
    "move_failed": _l("PostgreSQL has refused the copy (code %(code)s). Nothing was moved."),
}
