"""imports of files from other systems"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.add_column("import", sa.Column("system", sa.String(length=20), nullable=False, server_default=""))
    op.add_column("import", sa.Column("marks", sa.LargeBinary(), nullable=True))
    op.add_column("import", sa.Column("merged", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("import", sa.Column("opted_out", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("import", sa.Column("segment_name", sa.String(length=120), nullable=False, server_default=""))


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    for name in ("segment_name", "opted_out", "merged", "marks", "system"):
        op.drop_column("import", name)
