"""Operators: people, memberships, links, sessions, credentials."""

import sqlalchemy as sa
from alembic import op

from hourpass.server.db.columns import Moment

revision = "0002"
down_revision = "0001"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTALLATION = sa.text("organization IS NULL")


def upgrade() -> None:
    op.create_table(
        "operator",
        sa.Column("operator_id", sa.String(length=24), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by_type", sa.String(length=10), nullable=False),
        sa.Column("created_by_id", sa.Text(), nullable=False),
        sa.Column("created_by_name", sa.Text(), nullable=False),
        sa.Column("activated_at", Moment()),
        sa.Column("password_hash", sa.Text()),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_operator")),
        sa.UniqueConstraint("email", name=op.f("uq_operator_email")),
    )
    op.create_table(
        "operator_membership",
        sa.Column("id", NUMBER, sa.Identity(always=True), nullable=False),
        sa.Column("operator_id", sa.String(length=24), nullable=False),
        sa.Column("organization", sa.String(length=40)),
        sa.Column("role", sa.String(length=10), nullable=False),
        _of_operator("operator_membership"),
        sa.ForeignKeyConstraint(
            ["organization"],
            ["organization.id"],
            name=op.f("fk_operator_membership_organization"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_membership")),
    )
    op.create_index("ix_operator_membership_organization", "operator_membership", ["organization"])
    op.create_index(
        "ix_operator_membership_once",
        "operator_membership",
        ["operator_id", "organization"],
        unique=True,
    )
    op.create_index(
        "ix_operator_membership_installation",
        "operator_membership",
        ["operator_id"],
        unique=True,
        sqlite_where=INSTALLATION,
        postgresql_where=INSTALLATION,
    )
    op.create_table(
        "operator_link",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("operator_id", sa.String(length=24)),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        _of_operator("operator_link"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_operator_link")),
    )
    op.create_index("ix_operator_link_operator_id", "operator_link", ["operator_id"])
    op.create_table(
        "operator_session",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("operator_id", sa.String(length=24), nullable=False),
        sa.Column("stage", sa.String(length=10), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("last_seen_at", Moment(), nullable=False),
        sa.Column("authenticated_at", Moment(), nullable=False),
        sa.Column("ip", sa.Text()),
        _of_operator("operator_session"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_session")),
        sa.UniqueConstraint("digest", name=op.f("uq_operator_session_digest")),
    )
    op.create_index("ix_operator_session_operator_id", "operator_session", ["operator_id"])
    op.create_index("ix_operator_session_created_at", "operator_session", ["created_at"])
    op.create_table(
        "operator_totp",
        sa.Column("operator_id", sa.String(length=24), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("confirmed_at", Moment()),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        _of_operator("operator_totp"),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_operator_totp")),
    )
    op.create_table(
        "operator_recovery_code",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("operator_id", sa.String(length=24), nullable=False),
        _of_operator("operator_recovery_code"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_operator_recovery_code")),
    )
    op.create_index(
        "ix_operator_recovery_code_operator_id", "operator_recovery_code", ["operator_id"]
    )
    op.create_table(
        "operator_passkey",
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("operator_id", sa.String(length=24), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("last_used_at", Moment()),
        _of_operator("operator_passkey"),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_operator_passkey")),
    )
    op.create_index("ix_operator_passkey_operator_id", "operator_passkey", ["operator_id"])
    op.create_table(
        "operator_challenge",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("operator_id", sa.String(length=24)),
        sa.Column("expires_at", Moment(), nullable=False),
        _of_operator("operator_challenge"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_operator_challenge")),
    )
    op.create_index("ix_operator_challenge_operator_id", "operator_challenge", ["operator_id"])
    op.create_index("ix_operator_challenge_expires_at", "operator_challenge", ["expires_at"])
    op.create_table(
        "sign_in_failure",
        sa.Column("account", sa.String(length=40), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.Column("blocked_until", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_sign_in_failure")),
    )


def _of_operator(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["operator_id"],
        ["operator.operator_id"],
        name=op.f(f"fk_{table}_operator_id"),
        ondelete="CASCADE",
    )
