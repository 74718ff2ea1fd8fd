"""The tables of operators: people who administer the installation.

Nothing here is readable as a secret: passwords are argon2id hashes, links, sessions and recovery
codes are digests of random values, and the secrets of authenticator apps are in sealed_key (kind
`totp`).
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from hourpass.server.db.columns import Moment, Number, metadata

operator = Table(
    "operator",
    metadata,
    Column("operator_id", String(24), primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("created_by_type", String(10), nullable=False),
    Column("created_by_id", Text, nullable=False),
    Column("created_by_name", Text, nullable=False),
    Column("activated_at", Moment),
    Column("password_hash", Text),
)

# An organization that is null stands for the installation.
operator_membership = Table(
    "operator_membership",
    metadata,
    Column("id", Number, Identity(always=True), primary_key=True),
    Column("operator_id", ForeignKey("operator.operator_id", ondelete="CASCADE"), nullable=False),
    Column("organization", ForeignKey("organization.id"), index=True),
    Column("role", String(10), nullable=False),
    Index("ix_operator_membership_once", "operator_id", "organization", unique=True),
    Index(
        "ix_operator_membership_installation",
        "operator_id",
        unique=True,
        sqlite_where=text("organization IS NULL"),
        postgresql_where=text("organization IS NULL"),
    ),
)

operator_link = Table(
    "operator_link",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("purpose", String(10), nullable=False),
    Column("operator_id", ForeignKey("operator.operator_id", ondelete="CASCADE"), index=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

operator_session = Table(
    "operator_session",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column(
        "operator_id",
        ForeignKey("operator.operator_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("stage", String(10), nullable=False),
    Column("method", String(20), nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
    Column("last_seen_at", Moment, nullable=False),
    Column("authenticated_at", Moment, nullable=False),
    Column("ip", Text),
    Column("browser", String(40)),
)

operator_totp = Table(
    "operator_totp",
    metadata,
    Column("operator_id", ForeignKey("operator.operator_id", ondelete="CASCADE"), primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("confirmed_at", Moment),
    Column("last_step", BigInteger, nullable=False),
)

operator_recovery_code = Table(
    "operator_recovery_code",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column(
        "operator_id",
        ForeignKey("operator.operator_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
)

operator_passkey = Table(
    "operator_passkey",
    metadata,
    Column("credential_id", LargeBinary, primary_key=True),
    Column(
        "operator_id",
        ForeignKey("operator.operator_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("name", String(60), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
)

operator_challenge = Table(
    "operator_challenge",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("challenge", LargeBinary, nullable=False),
    Column("operator_id", ForeignKey("operator.operator_id", ondelete="CASCADE"), index=True),
    Column("expires_at", Moment, nullable=False, index=True),
)

# One counter an account, be it an operator's or an address that is nobody's; bounded in number.
sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("account", String(40), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("blocked_until", Moment, nullable=False),
)
