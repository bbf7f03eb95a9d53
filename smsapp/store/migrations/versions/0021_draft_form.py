"""which draft a form that was never saved has made"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.create_table(
        "draft_form",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
            name=op.f("fk_draft_form_campaign_id_campaign"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_draft_form")),
    )
    op.create_index(op.f("ix_draft_form_campaign_id"), "draft_form", ["campaign_id"])


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_table("draft_form")
