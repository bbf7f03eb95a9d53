"""single messages: requests as they came, what became of them, and runs that take people"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "inbox" in parts:
        op.create_table(
            "message_request",
            sa.Column("id", db.BigId, nullable=False),
            sa.Column("key_id", sa.Integer(), nullable=False),
            sa.Column("template_id", sa.Integer(), nullable=False),
            sa.Column("contact_id", sa.BigInteger(), nullable=False),
            sa.Column("at", db.UtcDateTime(), nullable=False),
            sa.Column("token", sa.String(length=64), nullable=True),
            sa.Column("fingerprint", sa.String(length=64), nullable=False),
            sa.Column("given", sa.Text(), nullable=True),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_message_request")),
        )
        _create_index("ix_message_request_waiting", "message_request", ["id"], "given IS NOT NULL")
        _create_index(
            "ix_message_request_token", "message_request", ["key_id", "token"], "token IS NOT NULL", unique=True
        )
    if "main" not in parts:
        return
    op.create_table(
        "api_message",
        sa.Column("id", db.BigId, autoincrement=False, nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("template_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", db.BigId, nullable=False),
        sa.Column("at", db.UtcDateTime(), nullable=False),
        sa.Column("given", sa.Text(), nullable=True),
        sa.Column("run_id", db.BigId, nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_message")),
    )
    waits = "run_id IS NULL AND given IS NOT NULL"
    _create_index("ix_api_message_waiting", "api_message", ["key_id", "template_id", "id"], waits)
    _create_index("ix_api_message_unplanned", "api_message", ["run_id", "contact_id"], "given IS NOT NULL")
    _create_index("ix_api_message_run", "api_message", ["run_id", "contact_id"], "run_id IS NOT NULL", unique=True)
    op.add_column("run", sa.Column("takes_until", db.UtcDateTime(), nullable=True))
    op.add_column("campaign", sa.Column("api_key_id", sa.Integer(), nullable=True))
    # Of the column just added: no row is in it, so it takes no time beside senders.
    _create_index("ix_campaign_api", "campaign", ["api_key_id", "template_id", "id"], "api_key_id IS NOT NULL")


def _create_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def downgrade(parts: list[str]) -> None:
    if "main" in parts:
        op.drop_index("ix_campaign_api", table_name="campaign")
        op.drop_column("campaign", "api_key_id")
        op.drop_column("run", "takes_until")
        op.drop_table("api_message")
    if "inbox" in parts:
        op.drop_table("message_request")
