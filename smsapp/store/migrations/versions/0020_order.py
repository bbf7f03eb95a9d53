"""tags and the archive"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

LINKS = {"campaign_tag": "campaign", "segment_tag": "segment", "template_tag": "sms_template"}
CURRENT = {
    "newest": ["created_at", "id", "status", "recurring", "channel_id", "name_key"],
    "status": ["status", "created_at", "id", "recurring", "channel_id", "name_key"],
    "name": ["name_key", "id", "status", "recurring", "channel_id", "created_at"],
    "counts": ["recurring", "status", "channel_id"],
    "counts_found": ["recurring", "status", "channel_id", "created_at", "name_key"],
    "due": ["next_due_at", "id", "status", "recurring", "channel_id", "created_at", "name_key"],
}


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.create_table(
        "tag",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("key", name=op.f("uq_tag_key")),
    )
    for table, target in LINKS.items():
        column = table.replace("_tag", "_id")
        op.create_table(
            table,
            sa.Column("tag_id", sa.Integer(), nullable=False),
            sa.Column(column, sa.Integer(), nullable=False),
            sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE"),
            sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f(f"fk_{table}_tag_id"), ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("tag_id", column, name=op.f(f"pk_{table}")),
            sqlite_with_rowid=False,
        )
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)
    for table in ("campaign", "segment", "sms_template"):
        op.add_column(table, sa.Column("archived_at", db.UtcDateTime(), nullable=True))
    condition = sa.text("deleted_at IS NULL AND archived_at IS NULL")
    for name, columns in CURRENT.items():
        op.create_index(
            f"ix_campaign_current_{name}",
            "campaign",
            [*columns, "deleted_at", "archived_at"],
            unique=False,
            sqlite_where=condition,
            postgresql_where=condition,
        )
    is_archived = sa.text("archived_at IS NOT NULL")
    op.create_index(
        "ix_campaign_archived",
        "campaign",
        ["created_at", "id"],
        unique=False,
        sqlite_where=is_archived,
        postgresql_where=is_archived,
    )


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_index("ix_campaign_archived", table_name="campaign")
    for name in CURRENT:
        op.drop_index(f"ix_campaign_current_{name}", table_name="campaign")
    for table in ("sms_template", "segment", "campaign"):
        op.drop_column(table, "archived_at")
    for table in LINKS:
        op.drop_table(table)
    op.drop_table("tag")
