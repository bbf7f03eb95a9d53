"""secrets of AppKeys, with which uploads are signed"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0010"
down_revision = "0009"
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
    op.add_column("app_key", sa.Column("secrets", sa.LargeBinary(), nullable=True))
    op.add_column("app_key", sa.Column("previous_secret_until", db.UtcDateTime(), nullable=True))
    op.add_column("app_key", sa.Column("signed_only", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade_main() -> None:
    for name in ("signed_only", "previous_secret_until", "secrets"):
        op.drop_column("app_key", name)
