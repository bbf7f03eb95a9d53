"""schema compatibility and the ledger's mark"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    for part in parts:
        globals()[f"upgrade_{part}"]()


def downgrade(parts: list[str]) -> None:
    for part in reversed(parts):
        globals()[f"downgrade_{part}"]()


def upgrade_main() -> None:
    compatibility = op.create_table(
        "schema_compatibility",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("oldest_code", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_compatibility")),
    )
    op.bulk_insert(compatibility, [{"id": 1, "oldest_code": "0001"}])
    mark = op.create_table(
        "ledger_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("journal_id", sa.String(length=32), nullable=False),
        sa.Column("restored_at", db.UtcDateTime(), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("first_run_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_mark")),
    )
    op.bulk_insert(mark, [{"id": 1, "generation": 0, "journal_id": "", "blind": False, "first_run_id": 0}])


def downgrade_main() -> None:
    op.drop_table("ledger_mark")
    op.drop_table("schema_compatibility")


def upgrade_inbox() -> None:
    pass


def downgrade_inbox() -> None:
    pass
