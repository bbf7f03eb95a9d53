"""what carriers have registered"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.create_table(
        "registration",
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("value", sa.String(length=300), nullable=False),
        sa.Column("carrier", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reasons", db.Json, nullable=False),
        sa.Column("since", db.UtcDateTime(), nullable=True),
        sa.Column("at", db.UtcDateTime(), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("expires_at", db.UtcDateTime(), nullable=True),
        sa.Column("remind_days", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channel.id"], name=op.f("fk_registration_channel_id_channel"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("channel_id", "kind", "value", "carrier", name=op.f("pk_registration")),
    )
    op.add_column("campaign", sa.Column("left_out_carriers", db.Json, server_default="[]", nullable=False))
    op.add_column("campaign", sa.Column("confirmed_registrations", db.Json, nullable=True))
    op.add_column("channel", sa.Column("registrations_at", db.UtcDateTime(), nullable=True))
    op.add_column("channel", sa.Column("registrations_trouble", db.Json, nullable=True))


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_column("channel", "registrations_trouble")
    op.drop_column("channel", "registrations_at")
    op.drop_column("campaign", "confirmed_registrations")
    op.drop_column("campaign", "left_out_carriers")
    op.drop_table("registration")
