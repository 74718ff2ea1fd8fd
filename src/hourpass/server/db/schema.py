"""The tables, once, for both databases. Their history is in `migrations/`."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
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

import hourpass.server.db.operator_schema  # noqa: F401  (its tables are in the same metadata)
from hourpass.server.db.columns import Moment, Number, metadata

__all__ = ["metadata"]

# One row, written by each migration: the oldest schema whose Hourpass may use this database.
schema_version = Table(
    "schema_version",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True),
    Column("oldest_beside", String(32), nullable=False),
)

# One row: counters that tell every process when what it remembers is out of date.
installation = Table(
    "installation",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True),
    Column("catalogue_version", BigInteger, nullable=False),
    Column("keys_version", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
)

organization = Table(
    "organization",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("suspended_at", Moment),
    Index(None, "created_at", "id"),
)

client = Table(
    "client",
    metadata,
    Column("seq", Number, Identity(always=True), primary_key=True),
    Column("client_id", String(24), nullable=False, unique=True),
    Column("organization", ForeignKey("organization.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("description", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by_type", String(10), nullable=False),
    Column("created_by_id", Text, nullable=False),
    Column("created_by_name", Text, nullable=False),
    Column("expires_at", Moment),
    Column("suspended_at", Moment),
    Column("secret_rotated_at", Moment),
    Column("token_generation", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("limit_per_minute", Integer),
    Column("leaked_at", Moment),
    Index(None, "organization", "seq"),
    # Few clients are suspended, fewer expire: each list has an index of its own.
    Index(
        "ix_client_suspended",
        "seq",
        "expires_at",
        sqlite_where=text("suspended_at IS NOT NULL"),
        postgresql_where=text("suspended_at IS NOT NULL"),
    ),
    Index(
        "ix_client_expiring",
        "expires_at",
        "seq",
        sqlite_where=text("expires_at IS NOT NULL"),
        postgresql_where=text("expires_at IS NOT NULL"),
    ),
)

client_credential = Table(
    "client_credential",
    metadata,
    Column("id", Number, Identity(always=True), primary_key=True),
    Column("client_seq", ForeignKey("client.seq", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("pepper_version", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
)

client_scope = Table(
    "client_scope",
    metadata,
    Column("client_seq", ForeignKey("client.seq", ondelete="CASCADE"), primary_key=True),
    Column("scope", Text, primary_key=True),
    Index(None, "scope", "client_seq"),
)

# Single tokens that their own client gave up (RFC 7009); kept until they have expired.
revoked_token = Table(
    "revoked_token",
    metadata,
    Column("jti", String(64), primary_key=True),
    Column("client_id", String(24), nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

# Sums that each process adds every few seconds; no token request ever waits for this table.
usage = Table(
    "usage",
    metadata,
    Column("client_id", String(24), primary_key=True),
    Column("hour", Moment, primary_key=True, index=True),
    Column("issued", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("last_issued_at", Moment),
)

# No foreign keys: what was done outlives what it was done to. On PostgreSQL it is partitioned by
# month of `time` (`audit.partitions`); there its numbers come from a sequence, and `id` is the
# primary key of each partition. It is read in the order of time, then number.
audit_event = Table(
    "audit_event",
    metadata,
    Column("id", Number, primary_key=True),
    Column("time", Moment, nullable=False, index=True),
    Column("event", String(40), nullable=False),
    Column("actor_type", String(10), nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("client_id", String(24)),
    Column("client_name", Text),
    Column("organization", String(40)),
    Column("request_id", Text),
    Column("ip", Text),
    Column("detail", Text, nullable=False),
    Index(None, "client_id", "time"),
    Index(None, "organization", "time"),
    # Issued tokens are nearly all rows: the others have small indexes of their own.
    Index(
        "ix_audit_event_deed",
        "event",
        "time",
        sqlite_where=text("event <> 'token.issued'"),
        postgresql_where=text("event <> 'token.issued'"),
    ),
    Index(
        "ix_audit_event_deed_client",
        "client_id",
        "time",
        sqlite_where=text("event <> 'token.issued'"),
        postgresql_where=text("event <> 'token.issued'"),
    ),
    Index(
        "ix_audit_event_deed_actor",
        "actor_id",
        "time",
        sqlite_where=text("event <> 'token.issued'"),
        postgresql_where=text("event <> 'token.issued'"),
    ),
)

api = Table(
    "api",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("identifier", Text, nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("base_url", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("retired_at", Moment),
    Column("limit_per_minute", Integer),
    Column("organizations", Text),
)

api_scope = Table(
    "api_scope",
    metadata,
    Column("name", Text, primary_key=True),
    Column("api_key", ForeignKey("api.key"), nullable=False),
    Column("description", Text, nullable=False),
    Column("grants", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("retired_at", Moment),
    Column("limit_per_minute", Integer),
)

# Peppers, signing keys and the key for cursors, each encrypted under the master key.
sealed_key = Table(
    "sealed_key",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("algorithm", String(10), nullable=False),
    Column("public_jwk", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("activates_at", Moment, nullable=False),
    Column("retires_at", Moment),
    Column("revoked_at", Moment),
)

# The words that a search finds a thing by, as `words.py` cuts and folds them. In the order of
# their code points on both databases, so that a prefix is a range.
_Word = Text().with_variant(Text(collation="C"), "postgresql")
client_word = Table(
    "client_word",
    metadata,
    Column("client_seq", ForeignKey("client.seq", ondelete="CASCADE"), primary_key=True),
    Column("word", _Word, primary_key=True),
    Index(None, "word", "client_seq"),
)
organization_word = Table(
    "organization_word",
    metadata,
    Column("organization", ForeignKey("organization.id", ondelete="CASCADE"), primary_key=True),
    Column("word", _Word, primary_key=True),
    Index(None, "word", "organization"),
)

# What was answered to a request with an Idempotency-Key, written with the deed itself.
idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("route", String(40), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request", LargeBinary(32), nullable=False),
    Column("client_id", String(24), nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
)
