"""Which older Hourpass may use the database beside this one."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "schema_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("oldest_beside", sa.String(32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_schema_version_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schema_version")),
    )
