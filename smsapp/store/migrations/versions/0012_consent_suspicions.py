"""replies that look like refusals"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.add_column("reply", sa.Column("suspicion", sa.String(length=10), server_default="", nullable=False))
    op.add_column("reply", sa.Column("decided_at", db.UtcDateTime(), nullable=True))
    op.add_column("reply", sa.Column("replaced", db.Json, nullable=True))
    # Beside senders and receipts: PostgreSQL builds it without a lock that they would wait for.
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_reply_suspicion",
            "reply",
            ["suspicion", "id"],
            unique=False,
            sqlite_where=sa.text("suspicion <> ''"),
            postgresql_where=sa.text("suspicion <> ''"),
            postgresql_concurrently=True,
        )


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_index("ix_reply_suspicion", table_name="reply")
    for column in ("replaced", "decided_at", "suspicion"):
        op.drop_column("reply", column)
