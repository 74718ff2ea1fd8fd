"""The admin UI: what all clients did in an hour, and what was done to one client."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

DEED = sa.text("event <> 'token.issued'")


def upgrade() -> None:
    op.create_index(op.f("ix_usage_hour"), "usage", ["hour"])
    op.create_index(
        "ix_audit_event_deed_client",
        "audit_event",
        ["client_id", "id"],
        sqlite_where=DEED,
        postgresql_where=DEED,
    )
