"""opt-outs by scope"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.add_column("opt_out", sa.Column("scope", sa.String(length=12), server_default="everything", nullable=False))
    op.add_column("opt_out", sa.Column("signatures", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "channel", sa.Column("refusal_scope", sa.String(length=12), server_default="everything", nullable=False)
    )


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_column("channel", "refusal_scope")
    op.drop_column("opt_out", "signatures")
    op.drop_column("opt_out", "scope")
