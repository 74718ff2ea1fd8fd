"""Revoked tokens, and limits on the requests that a client may make."""

import sqlalchemy as sa
from alembic import op

from hourpass.server.db.columns import Moment

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "revoked_token",
        sa.Column("jti", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(24), nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_revoked_token")),
    )
    op.create_index(op.f("ix_revoked_token_expires_at"), "revoked_token", ["expires_at"])
    for table in ("client", "api", "api_scope"):
        op.add_column(table, sa.Column("limit_per_minute", sa.Integer))
