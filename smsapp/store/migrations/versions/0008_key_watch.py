"""hourly tallies and alarms of AppKeys, what they replaced, and undoing it"""

import datetime as dt

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OLD_CODE = dt.timedelta(hours=1)
"""How long processes of the version before may go on applying uploads without keeping what they replace."""


def upgrade(parts: list[str]) -> None:
    for part in parts:
        globals()[f"upgrade_{part}"]()


def downgrade(parts: list[str]) -> None:
    for part in reversed(parts):
        globals()[f"downgrade_{part}"]()


def upgrade_inbox() -> None:
    pass


def downgrade_inbox() -> None:
    pass


def upgrade_main() -> None:
    op.create_table(
        "key_tally",
        sa.Column("app_key_id", sa.Integer(), nullable=False),
        sa.Column("hour", db.UtcDateTime(), nullable=False),
        sa.Column("measure", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=125), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_key_id"], ["app_key.id"], name=op.f("fk_key_tally_app_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("app_key_id", "hour", "measure", "name", name=op.f("pk_key_tally")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "key_journal",
        sa.Column("id", db.BigId, nullable=False),
        sa.Column("app_key_id", sa.Integer(), nullable=False),
        sa.Column("at", db.UtcDateTime(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("replaced", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_key_id"], ["app_key.id"], name=op.f("fk_key_journal_app_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_journal")),
    )
    op.create_index("ix_key_journal_app_key_id_id", "key_journal", ["app_key_id", "id"])
    op.create_index("ix_key_journal_at", "key_journal", ["at"])
    op.create_table(
        "key_undo",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("app_key_id", sa.Integer(), nullable=False),
        sa.Column("since", db.UtcDateTime(), nullable=False),
        sa.Column("until", db.UtcDateTime(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("phase", sa.String(length=10), nullable=False),
        sa.Column("newest", db.BigId, nullable=False),
        sa.Column("position", db.BigId, nullable=False),
        sa.Column("last", db.BigId, nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("all_steps", sa.Integer(), nullable=False),
        sa.Column("counts", db.Json, nullable=False),
        sa.Column("runs_seen", db.Json, nullable=False),
        sa.Column("created_by", sa.Integer(), nullable=True),
        sa.Column("created_at", db.UtcDateTime(), nullable=False),
        sa.Column("finished_at", db.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["app_key_id"], ["app_key.id"], name=op.f("fk_key_undo_app_key_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["created_by"], ["app_user.id"], name=op.f("fk_key_undo_created_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_undo")),
    )
    op.create_index("ix_key_undo_app_key_id", "key_undo", ["app_key_id"])
    op.create_table(
        "key_undo_sent",
        sa.Column("undo_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", db.BigId, nullable=False),
        sa.ForeignKeyConstraint(
            ["undo_id"], ["key_undo.id"], name=op.f("fk_key_undo_sent_undo_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("undo_id", "contact_id", name=op.f("pk_key_undo_sent")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "key_alarm",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("app_key_id", sa.Integer(), nullable=False),
        sa.Column("hour", db.UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("names", db.Json, nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("raised_at", db.UtcDateTime(), nullable=False),
        sa.Column("noted_at", db.UtcDateTime(), nullable=True),
        sa.Column("noted_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_key_id"], ["app_key.id"], name=op.f("fk_key_alarm_app_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_alarm")),
        sa.UniqueConstraint("app_key_id", "hour", "kind", name=op.f("uq_key_alarm_app_key_id_hour_kind")),
    )
    is_open = sa.text("noted_at IS NULL")
    op.create_index("ix_key_alarm_open", "key_alarm", ["id"], sqlite_where=is_open, postgresql_where=is_open)
    op.add_column(
        "app_key", sa.Column("pauses_on_alarm", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("app_key", sa.Column("undo_from", db.UtcDateTime(), nullable=True))
    key = sa.table("app_key", sa.column("undo_from", db.UtcDateTime()))
    op.execute(sa.update(key).values(undo_from=dt.datetime.now(dt.UTC) + OLD_CODE))


def downgrade_main() -> None:
    op.drop_column("app_key", "undo_from")
    op.drop_column("app_key", "pauses_on_alarm")
    op.drop_table("key_alarm")
    op.drop_table("key_undo_sent")
    op.drop_table("key_undo")
    op.drop_table("key_journal")
    op.drop_table("key_tally")
