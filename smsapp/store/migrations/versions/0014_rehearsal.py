"""rehearsals, and whom a campaign leaves out by choice"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.add_column("campaign", sa.Column("leave_out", db.Json, server_default="[]", nullable=False))
    op.create_table(
        "rehearsal",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("asked_at", db.UtcDateTime(), nullable=False),
        sa.Column("lease_until", db.UtcDateTime(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("whole", sa.Integer(), nullable=False),
        sa.Column("computed_at", db.UtcDateTime(), nullable=True),
        sa.Column("contact_id", db.BigId, nullable=True),
        sa.Column("result", db.Json, nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_rehearsal_campaign_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_rehearsal")),
    )


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_table("rehearsal")
    op.drop_column("campaign", "leave_out")
