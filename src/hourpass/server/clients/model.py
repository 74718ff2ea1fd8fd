"""What an API client is, and what each deed makes of it. Pure.

    create ─▶ active ⇄ suspended        suspend, activate
                │          │
                └────┬─────┘ the clock passes expires_at
                     ▼
                  expired                final: create a new client

A deleted client is not a value: its row is gone, and only the audit trail remembers it.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from hourpass.limits.rules import MAX_PER_MINUTE, is_limit
from hourpass.server import identifiers
from hourpass.server.audit.events import Actor, printable
from hourpass.server.clients.secrets import ClientCredential
from hourpass.server.refused import BadInput, Conflict

MAX_NAME = 100
MAX_DESCRIPTION = 1000
MAX_EXPIRES_IN_DAYS = 3650
ID_PREFIX = "m2m_"
_CLIENT_ID = re.compile(ID_PREFIX + identifiers.FORM)


class Status(StrEnum):
    """The states of a client that has a row; one that was deleted has none."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"


class Keep(Enum):
    """Stands for what is not to be changed, where None is a value of its own."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered client (RFC 6749 section 2). Times are aware UTC.

    `limit_per_minute` is how many requests it may make at each API, in place of the API's own
    limit; None: the API's.
    """

    client_id: str
    organization: str
    name: str
    description: str
    scopes: frozenset[str]
    credentials: tuple[ClientCredential, ...] = field(repr=False)
    created_at: datetime
    created_by: Actor
    expires_at: datetime | None = None
    suspended_at: datetime | None = None
    secret_rotated_at: datetime | None = None
    leaked_at: datetime | None = None
    """When its secret was reported as leaked; None again once the secret was rotated."""
    limit_per_minute: int | None = None
    token_generation: int = 1
    version: int = 1

    def status(self, now: datetime) -> Status:
        """Worked out, never stored: a stored status would lie once `expires_at` passed."""
        if self.expires_at is not None and now >= self.expires_at:
            return Status.EXPIRED
        return Status.ACTIVE if self.suspended_at is None else Status.SUSPENDED

    def updated(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        limit_per_minute: int | Keep | None = KEEP,
    ) -> "Client":
        """With another name, description or limit; what is not given stays. Raises BadInput."""
        return self._changed(
            limit_per_minute=(
                self.limit_per_minute
                if isinstance(limit_per_minute, Keep)
                else checked_limit(limit_per_minute)
            ),
            name=self.name if name is None else checked_name(name),
            description=(
                self.description if description is None else checked_description(description)
            ),
        )

    def with_scopes(self, scopes: frozenset[str]) -> "Client":
        """The next token has these; tokens already issued keep theirs."""
        return self._changed(scopes=scopes)

    def rotated(
        self, credential: ClientCredential, now: datetime, *, revoke_live_tokens: bool
    ) -> "Client":
        """With one new secret instead of all old ones; a suspended client stays suspended."""
        if self.status(now) is Status.EXPIRED:
            raise Conflict("this API client has expired, which is final; create a new one")
        return self._changed(
            credentials=(credential,),
            secret_rotated_at=now,
            leaked_at=None,
            token_generation=self.token_generation + revoke_live_tokens,
        )

    def suspended(self, now: datetime, *, revoke_live_tokens: bool) -> "Client":
        """Gets no tokens until activated; suspending twice changes nothing."""
        return self._changed(
            suspended_at=self.suspended_at or now,
            token_generation=self.token_generation + revoke_live_tokens,
        )

    def activated(self, now: datetime) -> "Client":
        """Gets tokens again; activating an active client changes nothing."""
        if self.status(now) is Status.EXPIRED:
            raise Conflict("this API client has expired, which is final; create a new one")
        if self.leaked_at is not None:
            raise Conflict("its secret was reported as leaked: rotate the secret first")
        return self._changed(suspended_at=None)

    def with_leaked_secret(self, now: datetime, *, suspend: bool) -> "Client":
        """Not to be activated until the secret was rotated; a second report changes nothing."""
        if self.leaked_at is not None:
            return self
        if not suspend:
            return self._changed(leaked_at=now)
        return self._changed(
            leaked_at=now,
            suspended_at=self.suspended_at or now,
            token_generation=self.token_generation + 1,
        )

    def with_tokens_revoked(self) -> "Client":
        """Online checks refuse every token issued so far."""
        return self._changed(token_generation=self.token_generation + 1)

    def _changed(self, **values: object) -> "Client":
        """Itself when nothing differs, else the next version."""
        changed = replace(self, **values)  # type: ignore[arg-type]  # checked by each caller's signature
        return self if changed == self else replace(changed, version=self.version + 1)


def is_client_id(text: str) -> bool:
    """Whether `text` has the exact form of a client ID."""
    return _CLIENT_ID.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """A name of 1-100 printable characters, without blanks around it; raises BadInput."""
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise BadInput("name", f"give 1 to {MAX_NAME} characters")
    if printable(name, MAX_NAME) != name:
        raise BadInput("name", "control characters and direction marks are not allowed")
    return name


def checked_description(text: str) -> str:
    """Up to 1,000 characters; line ends are kept, other controls refused; raises BadInput."""
    description = text.strip().replace("\r\n", "\n")
    if len(description) > MAX_DESCRIPTION:
        raise BadInput("description", f"give at most {MAX_DESCRIPTION} characters")
    visible = description.replace("\n", " ").replace("\t", " ")
    if printable(visible, MAX_DESCRIPTION) != visible:
        raise BadInput("description", "control characters and direction marks are not allowed")
    return description


def checked_limit(limit: int | None) -> int | None:
    """Requests a minute, or None for the API's own limit; raises BadInput."""
    if limit is not None and not is_limit(limit):
        raise BadInput(
            "limit_per_minute", f"give 1 to {MAX_PER_MINUTE:,} requests a minute, or none"
        )
    return limit


def expiry(days: int | None, now: datetime) -> datetime | None:
    """The moment `days` from now, or None for a client that never expires; raises BadInput."""
    if days is None:
        return None
    if not 1 <= days <= MAX_EXPIRES_IN_DAYS:
        raise BadInput("expires_in_days", f"give 1 to {MAX_EXPIRES_IN_DAYS} days, or none")
    return now + timedelta(days=days)
