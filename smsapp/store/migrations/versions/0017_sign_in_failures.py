"""failed attempts to sign in, counted"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.create_table(
        "sign_in_failures",
        sa.Column("person", sa.String(length=20), nullable=False),
        sa.Column("since", db.UtcDateTime(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_sign_in_failures")),
    )


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_table("sign_in_failures")
