"""${message}"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    for part in parts:
        globals()[f"upgrade_{part}"]()


def downgrade(parts: list[str]) -> None:
    for part in reversed(parts):
        globals()[f"downgrade_{part}"]()


def upgrade_main() -> None:
    ${context.get("main_upgrades", "pass")}


def downgrade_main() -> None:
    ${context.get("main_downgrades", "pass")}


def upgrade_inbox() -> None:
    ${context.get("inbox_upgrades", "pass")}


def downgrade_inbox() -> None:
    ${context.get("inbox_downgrades", "pass")}
