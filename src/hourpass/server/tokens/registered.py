"""Clients as the commit loop reads them: one row with scopes and credentials folded in.

`clients.store` reads the same in three statements; here one has to do, and its rows come from
a bare driver.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from hourpass.server.audit.events import Actor, ActorType
from hourpass.server.clients.model import Client
from hourpass.server.clients.secrets import ClientCredential
from hourpass.server.tokens.exchange import Registered

# In the order that `registered` unpacks. `{scopes}` and `{credentials}` fold the parts into one
# text each, which the two databases write differently. Of `client c` and `organization o`.
_COLUMNS = """
    c.client_id, c.organization, c.name, c.description, c.created_at,
    c.created_by_type, c.created_by_id, c.created_by_name,
    c.expires_at, c.suspended_at, c.secret_rotated_at, c.token_generation, c.version,
    o.suspended_at IS NOT NULL,
    (SELECT {scopes} FROM client_scope s WHERE s.client_seq = c.seq),
    (SELECT {credentials} FROM client_credential k WHERE k.client_seq = c.seq),
    c.limit_per_minute
"""
SQLITE_COLUMNS = _COLUMNS.format(
    scopes="group_concat(s.scope, ' ')",
    credentials="group_concat(hex(k.digest) || ':' || k.pepper_version, ' ')",
)
POSTGRESQL_COLUMNS = _COLUMNS.format(
    scopes="string_agg(s.scope, ' ')",
    credentials="string_agg(encode(k.digest, 'hex') || ':' || k.pepper_version, ' ')",
)


def registered(row: Sequence[Any], *, moment: Any = None) -> Registered:
    """From a row of these columns; `moment` makes an aware datetime of a time, where it is none."""
    times = [row[4], row[8], row[9], row[10]]
    if moment is not None:
        times = [value if value is None else moment(value) for value in times]
    created_at: datetime = times[0]
    client = Client(
        client_id=row[0],
        organization=row[1],
        name=row[2],
        description=row[3],
        scopes=_scopes(row[14] or ""),
        credentials=tuple(_credential(part) for part in (row[15] or "").split()),
        created_at=created_at,
        created_by=_actor(row[5], row[6], row[7]),
        expires_at=times[1],
        suspended_at=times[2],
        secret_rotated_at=times[3],
        token_generation=row[11],
        version=row[12],
        limit_per_minute=row[16],
    )
    return Registered(client, bool(row[13]))


# Clients are many, sets of scopes and creators few: those remembered share them.
@lru_cache(maxsize=4096)
def _scopes(names: str) -> frozenset[str]:
    return frozenset(names.split())


@lru_cache(maxsize=1024)
def _actor(kind: ActorType, identifier: str, name: str) -> Actor:
    return Actor(kind, identifier, name)


def _credential(part: str) -> ClientCredential:
    """From `<hex digest>:<pepper version>`."""
    digest, _, pepper_version = part.partition(":")
    return ClientCredential(bytes.fromhex(digest), int(pepper_version))
