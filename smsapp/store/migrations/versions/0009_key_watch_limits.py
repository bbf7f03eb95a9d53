"""limits of a channel by prefix"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    for part in parts:
        globals()[f"upgrade_{part}"]()


def downgrade(parts: list[str]) -> None:
    for part in reversed(parts):
        globals()[f"downgrade_{part}"]()


def upgrade_inbox() -> None:
    pass


def downgrade_inbox() -> None:
    pass


def upgrade_main() -> None:
    op.add_column("channel", sa.Column("number_limits", db.Json, server_default="[]", nullable=False))


def downgrade_main() -> None:
    op.drop_column("channel", "number_limits")
