"""accounts of people at an OpenID provider"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    for part in parts:
        globals()[f"upgrade_{part}"]()


def downgrade(parts: list[str]) -> None:
    for part in reversed(parts):
        globals()[f"downgrade_{part}"]()


def upgrade_main() -> None:
    op.create_table(
        "provider_identity",
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", db.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["app_user.id"], name=op.f("fk_provider_identity_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_provider_identity")),
    )
    op.create_index(op.f("ix_provider_identity_user_id"), "provider_identity", ["user_id"])


def downgrade_main() -> None:
    op.drop_table("provider_identity")


def upgrade_inbox() -> None:
    pass


def downgrade_inbox() -> None:
    pass
