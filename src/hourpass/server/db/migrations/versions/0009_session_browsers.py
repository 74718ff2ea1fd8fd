"""What browser an operator's session is of."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("operator_session", sa.Column("browser", sa.String(40)))
