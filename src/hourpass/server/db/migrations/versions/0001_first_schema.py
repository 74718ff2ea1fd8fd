"""First schema."""

import sqlalchemy as sa
from alembic import op

from hourpass.server.db.columns import Moment

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TOKENS_APART = sa.text("event <> 'token.issued'")


def upgrade() -> None:
    op.create_table(
        "api",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("retired_at", Moment()),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_api")),
        sa.UniqueConstraint("identifier", name=op.f("uq_api_identifier")),
    )
    op.create_table(
        "audit_event",
        sa.Column("id", NUMBER, sa.Identity(always=True), nullable=False),
        sa.Column("time", Moment(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("actor_type", sa.String(length=10), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("client_id", sa.String(length=24)),
        sa.Column("client_name", sa.Text()),
        sa.Column("organization", sa.String(length=40)),
        sa.Column("request_id", sa.Text()),
        sa.Column("ip", sa.Text()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
    )
    op.create_index("ix_audit_event_client_id_id", "audit_event", ["client_id", "id"])
    op.create_index(
        "ix_audit_event_deed",
        "audit_event",
        ["event", "id"],
        sqlite_where=TOKENS_APART,
        postgresql_where=TOKENS_APART,
    )
    op.create_index(
        "ix_audit_event_deed_actor",
        "audit_event",
        ["actor_id", "id"],
        sqlite_where=TOKENS_APART,
        postgresql_where=TOKENS_APART,
    )
    op.create_index("ix_audit_event_time", "audit_event", ["time"])

    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("catalogue_version", sa.BigInteger(), nullable=False),
        sa.Column("keys_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "organization",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("suspended_at", Moment()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organization")),
    )
    op.create_table(
        "sealed_key",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_sealed_key")),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.String(length=10), nullable=False),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("activates_at", Moment(), nullable=False),
        sa.Column("retires_at", Moment()),
        sa.Column("revoked_at", Moment()),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "usage",
        sa.Column("client_id", sa.String(length=24), nullable=False),
        sa.Column("hour", Moment(), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("last_issued_at", Moment()),
        sa.PrimaryKeyConstraint("client_id", "hour", name=op.f("pk_usage")),
    )
    op.create_table(
        "api_scope",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("api_key", sa.String(length=40), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("grants", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("retired_at", Moment()),
        sa.ForeignKeyConstraint(["api_key"], ["api.key"], name=op.f("fk_api_scope_api_key")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_scope")),
    )
    op.create_table(
        "client",
        sa.Column("seq", NUMBER, sa.Identity(always=True), nullable=False),
        sa.Column("client_id", sa.String(length=24), nullable=False),
        sa.Column("organization", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by_type", sa.String(length=10), nullable=False),
        sa.Column("created_by_id", sa.Text(), nullable=False),
        sa.Column("created_by_name", sa.Text(), nullable=False),
        sa.Column("expires_at", Moment()),
        sa.Column("suspended_at", Moment()),
        sa.Column("secret_rotated_at", Moment()),
        sa.Column("token_generation", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization"], ["organization.id"], name=op.f("fk_client_organization")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_client")),
        sa.UniqueConstraint("client_id", name=op.f("uq_client_client_id")),
    )
    op.create_table(
        "client_credential",
        sa.Column("id", NUMBER, sa.Identity(always=True), nullable=False),
        sa.Column("client_seq", NUMBER, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("pepper_version", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_seq"],
            ["client.seq"],
            name=op.f("fk_client_credential_client_seq"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_credential")),
        sa.UniqueConstraint("digest", name=op.f("uq_client_credential_digest")),
    )
    op.create_index("ix_client_credential_client_seq", "client_credential", ["client_seq"])

    op.create_table(
        "client_scope",
        sa.Column("client_seq", NUMBER, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_seq"],
            ["client.seq"],
            name=op.f("fk_client_scope_client_seq"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("client_seq", "scope", name=op.f("pk_client_scope")),
    )
    op.create_index("ix_client_scope_scope_client_seq", "client_scope", ["scope", "client_seq"])
