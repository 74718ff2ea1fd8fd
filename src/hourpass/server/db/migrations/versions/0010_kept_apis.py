"""The organizations that an API is kept to, as a JSON list of IDs."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("api", sa.Column("organizations", sa.Text()))
