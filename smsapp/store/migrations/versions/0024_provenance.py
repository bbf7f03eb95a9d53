"""which parts of a draft a program has set last"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.add_column("campaign", sa.Column("provenance", db.Json, server_default="{}", nullable=False))


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_column("campaign", "provenance")
