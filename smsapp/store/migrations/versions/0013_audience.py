"""campaigns for several segments, without others; where a static segment came from"""

import sqlalchemy as sa
from alembic import op

from smsapp.store import db

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COPY = {
    "sqlite": "UPDATE {} SET audience = json_object('match', 'any', 'include', json_array(segment_id), "
    "'exclude', json_array()) WHERE segment_id IS NOT NULL",
    "postgresql": "UPDATE {} SET audience = jsonb_build_object('match', 'any', 'include', "
    "jsonb_build_array(segment_id), 'exclude', jsonb_build_array()) WHERE segment_id IS NOT NULL",
}


def upgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.add_column("campaign", sa.Column("audience", db.Json, nullable=True))
    op.add_column("run", sa.Column("audience", db.Json, nullable=True))
    op.add_column("segment", sa.Column("source", db.Json, nullable=True))
    for table in ("campaign", "run"):
        op.execute(COPY[op.get_bind().dialect.name].format(table))


def downgrade(parts: list[str]) -> None:
    if "main" not in parts:
        return
    op.drop_column("segment", "source")
    op.drop_column("run", "audience")
    op.drop_column("campaign", "audience")
