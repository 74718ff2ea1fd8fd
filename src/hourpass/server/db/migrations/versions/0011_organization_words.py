"""The words that a search finds an organization by.

A version before, beside this schema, writes none: an organization that it makes is found once it
is renamed by this one.
"""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BATCH = 5000


def upgrade() -> None:
    op.create_table(
        "organization_word",
        sa.Column("organization", sa.String(length=40), nullable=False),
        sa.Column("word", WORD, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization"],
            ["organization.id"],
            name=op.f("fk_organization_word_organization"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organization", "word", name=op.f("pk_organization_word")),
    )
    _index_what_is_there()
    op.create_index(
        op.f("ix_organization_word_word_organization"),
        "organization_word",
        ["word", "organization"],
    )


def _index_what_is_there() -> None:
    connection = op.get_bind()
    organization = sa.table("organization", sa.column("id"), sa.column("name"))
    organization_word = sa.table("organization_word", sa.column("organization"), sa.column("word"))
    last = ""
    while True:
        query = (
            sa.select(organization)
            .where(organization.c.id > last)
            .order_by(organization.c.id)
            .limit(BATCH)
        )
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        found = [{"organization": row.id, "word": word} for row in rows for word in _words(row)]
        connection.execute(sa.insert(organization_word), found)


def _words(row: sa.Row[tuple[object, ...]]) -> set[str]:
    """As `words.words_of` had it when this was written."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", row.name).casefold())
    return {*folded.split(), *re.findall(r"[^\W_]+", folded), row.id}
