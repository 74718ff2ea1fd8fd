"""A client whose secret was reported as leaked."""

import sqlalchemy as sa
from alembic import op

from hourpass.server.db.columns import Moment

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("client", sa.Column("leaked_at", Moment))
