"""the test group, and the ledger of what it gets: proofs and seeds"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.add_column("campaign", sa.Column("seeds", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_table(
        "colleague",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("phone", sa.String(length=16), nullable=False),
        sa.Column("is_seed", sa.Boolean(), nullable=False),
        sa.Column("created_at", db.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_colleague")),
        sa.UniqueConstraint("phone", name=op.f("uq_colleague_phone")),
    )
    op.create_table(
        "proof",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("run_id", db.BigId, nullable=True),
        sa.Column("click", sa.String(length=40), nullable=True),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", db.BigId, nullable=True),
        sa.Column("snapshot", db.Json, nullable=False),
        sa.Column("values", db.Json, nullable=False),
        sa.Column("not_before", db.UtcDateTime(), nullable=True),
        sa.Column("valid_until", db.UtcDateTime(), nullable=True),
        sa.Column("made_by", sa.Integer(), nullable=True),
        sa.Column("made_at", db.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("fk_proof_campaign_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_proof_channel_id")),
        sa.ForeignKeyConstraint(["made_by"], ["app_user.id"], name=op.f("fk_proof_made_by"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_proof_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof")),
        sa.UniqueConstraint("click", name=op.f("uq_proof_click")),
        sa.UniqueConstraint("run_id", name=op.f("uq_proof_run_id")),
    )
    op.create_index("ix_proof_campaign", "proof", ["campaign_id", "id"], unique=False)
    op.create_table(
        "proof_message",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("proof_id", db.BigId, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("phone", sa.String(length=16), nullable=False),
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("provider_ref", sa.String(length=80), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("parts", sa.SmallInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("lease_until", db.UtcDateTime(), nullable=True),
        sa.Column("handed_at", db.UtcDateTime(), nullable=True),
        sa.Column("receipt_at", db.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["proof_id"], ["proof.id"], name=op.f("fk_proof_message_proof_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof_message")),
        sa.UniqueConstraint("proof_id", "phone", name=op.f("uq_proof_message_proof_id_phone")),
        sa.UniqueConstraint("ref", name=op.f("uq_proof_message_ref")),
    )
    op.create_index(
        "ix_proof_message_waiting",
        "proof_message",
        ["id"],
        unique=False,
        sqlite_where=sa.text("status <= 1"),
        postgresql_where=sa.text("status <= 1"),
    )
    op.create_index(
        "ix_proof_message_provider_ref",
        "proof_message",
        ["provider_ref"],
        unique=False,
        sqlite_where=sa.text("provider_ref <> ''"),
        postgresql_where=sa.text("provider_ref <> ''"),
    )


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    for table in ("proof_message", "proof", "colleague"):
        op.drop_table(table)
    op.drop_column("campaign", "seeds")
