"""Giving up a token before its time (RFC 7009): online checks refuse it from then on."""

from datetime import UTC, datetime

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import Actor, AuditEvent, Event, Origin
from hourpass.server.clients.model import Client
from hourpass.server.db.engine import Database
from hourpass.server.tokens import store
from hourpass.server.tokens.claims import Claims


def revoke(database: Database, client: Client, claims: Claims, *, request_id: str, ip: str) -> None:
    """Revoke one of `client`'s own tokens; again changes nothing. Raises DatabaseUnavailable."""
    by = Origin(
        actor=Actor("client", client.client_id, client.name), request_id=request_id, ip=ip or None
    )
    event = AuditEvent(
        event=Event.TOKEN_REVOKED,
        origin=by,
        client_id=client.client_id,
        client_name=client.name,
        organization=client.organization,
        detail={"jti": claims.jti, "scope": claims.scope, "aud": list(claims.audiences)},
    )
    expires_at = datetime.fromtimestamp(claims.expires_at, UTC)
    with database.write() as connection:
        if store.add_revoked(connection, claims.jti, client.client_id, expires_at):
            audit.record(connection, [event], database.now(connection))


def purge(database: Database) -> bool:
    """Delete some revocations of tokens that expired long ago, and are refused for that.

    True: there may be more.
    """
    with database.write() as connection:
        return store.purge_revoked(connection, database.now(connection))
