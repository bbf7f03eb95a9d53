"""limits in time, own rates of runs, and days of rest"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.add_column("run", sa.Column("valid_until", db.UtcDateTime(), nullable=True))
    op.add_column("run", sa.Column("own_rate", sa.Double(), nullable=True))
    op.add_column("run", sa.Column("rated_at", db.UtcDateTime(), nullable=True))
    op.create_table(
        "rest_day",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("date", name=op.f("pk_rest_day")),
    )


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_table("rest_day")
    for column in ("rated_at", "own_rate", "valid_until"):
        op.drop_column("run", column)
