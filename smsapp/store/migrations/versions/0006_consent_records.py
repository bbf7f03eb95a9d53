"""consent records, and campaigns that ask for them"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.create_table(
        "consent",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("contact_id", db.BigId, nullable=True),
        sa.Column("phone", sa.String(length=16), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("signatures", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("at", db.UtcDateTime(), nullable=False),
        sa.Column("recorded_at", db.UtcDateTime(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
    )
    op.create_index("ix_consent_contact_id", "consent", ["contact_id", "id"], unique=False)
    op.create_index("ix_consent_phone", "consent", ["phone", "id"], unique=False)
    for table in ("campaign", "run"):
        op.add_column(table, sa.Column("consented_only", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    for table in ("run", "campaign"):
        op.drop_column(table, "consented_only")
    op.drop_table("consent")
