"""The management API: search by word, lists by keyset, Idempotency-Key."""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

from hourpass.server.db.columns import Moment

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SUSPENDED = sa.text("suspended_at IS NOT NULL")
EXPIRING = sa.text("expires_at IS NOT NULL")
BATCH = 5000


def upgrade() -> None:
    op.create_index(op.f("ix_organization_created_at_id"), "organization", ["created_at", "id"])
    op.create_index(op.f("ix_client_organization_seq"), "client", ["organization", "seq"])
    op.create_index(
        "ix_client_suspended",
        "client",
        ["seq", "expires_at"],
        sqlite_where=SUSPENDED,
        postgresql_where=SUSPENDED,
    )
    op.create_index(
        "ix_client_expiring",
        "client",
        ["expires_at", "seq"],
        sqlite_where=EXPIRING,
        postgresql_where=EXPIRING,
    )
    op.create_table(
        "idempotency_key",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("route", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=24), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "route", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_index(op.f("ix_idempotency_key_created_at"), "idempotency_key", ["created_at"])
    op.create_table(
        "client_word",
        sa.Column("client_seq", NUMBER, nullable=False),
        sa.Column("word", WORD, nullable=False),
        sa.ForeignKeyConstraint(
            ["client_seq"],
            ["client.seq"],
            name=op.f("fk_client_word_client_seq"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("client_seq", "word", name=op.f("pk_client_word")),
    )
    _index_what_is_there()
    op.create_index(op.f("ix_client_word_word_client_seq"), "client_word", ["word", "client_seq"])


def _index_what_is_there() -> None:
    connection = op.get_bind()
    client = sa.table("client", sa.column("seq"), sa.column("client_id"), sa.column("name"))
    client_word = sa.table("client_word", sa.column("client_seq"), sa.column("word"))
    last = 0
    while True:
        query = sa.select(client).where(client.c.seq > last).order_by(client.c.seq).limit(BATCH)
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].seq
        found = [{"client_seq": row.seq, "word": word} for row in rows for word in _words(row)]
        connection.execute(sa.insert(client_word), found)


def _words(row: sa.Row[tuple[object, ...]]) -> set[str]:
    """As `clients.model.words_of` had it when this was written."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", row.name).casefold())
    return {*folded.split(), *re.findall(r"[^\W_]+", folded), row.client_id}
