"""Many clients in a moment: rows as the lifecycle writes them, without an audit event each."""

import base64
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import insert, select, text

from hourpass.server import identifiers
from hourpass.server.audit.events import SYSTEM
from hourpass.server.clients import secrets
from hourpass.server.clients.model import ID_PREFIX
from hourpass.server.context import Context
from hourpass.server.db.engine import Dialect
from hourpass.server.db.schema import client, client_credential, client_scope, client_word
from hourpass.server.words import words_of

_CHUNK = 20_000
SCOPES = ("bookings:read", "customers:read")


def populate(context: Context, count: int, credentials: Path, *, keep: int) -> None:
    """Add `count` clients; write `keep` of them, spread evenly, as base64 `id:secret` lines."""
    keyring = context.keyring()
    version = keyring.pepper_version
    pepper = keyring.peppers[version]
    every = max(1, count // keep)
    with context.database.read() as connection:
        now = context.database.now(connection)
    kept: list[str] = []

    def clients() -> Iterator[tuple[dict[str, object], bytes]]:
        for number in range(count):
            client_id = identifiers.new_id(ID_PREFIX)
            secret = secrets.new()
            if number % every == 0 and len(kept) < keep:
                pair = f"{client_id}:{secret.reveal()}".encode()
                kept.append(base64.b64encode(pair).decode())
            yield (
                {
                    "client_id": client_id,
                    "organization": "default",
                    "name": f"Integration {number}",
                    "description": "",
                    "created_at": now,
                    "created_by_type": SYSTEM.type,
                    "created_by_id": SYSTEM.id,
                    "created_by_name": SYSTEM.name,
                    "token_generation": 1,
                    "version": 1,
                },
                secrets.digest(secret, pepper),
            )

    source = clients()
    while chunk := list(islice(source, _CHUNK)):
        with context.database.write() as connection:
            connection.execute(insert(client), [row for row, _ in chunk])
            ids = [row["client_id"] for row, _ in chunk]
            seqs = dict(
                connection.execute(
                    select(client.c.client_id, client.c.seq)
                    .order_by(client.c.seq.desc())
                    .limit(len(chunk))
                ).all()
            )
            connection.execute(
                insert(client_credential),
                [
                    {
                        "client_seq": seqs[client_id],
                        "digest": digest,
                        "pepper_version": version,
                        "created_at": now,
                    }
                    for client_id, (_, digest) in zip(ids, chunk, strict=True)
                ],
            )
            connection.execute(
                insert(client_scope),
                [{"client_seq": seqs[i], "scope": name} for i in ids for name in SCOPES],
            )
            connection.execute(
                insert(client_word),
                [
                    {"client_seq": seqs[str(row["client_id"])], "word": word}
                    for row, _ in chunk
                    for word in words_of(str(row["name"]), str(row["client_id"]))
                ],
            )
    if context.database.dialect is Dialect.POSTGRESQL:
        with context.database.engine.connect() as connection:
            free = connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in (client, client_credential, client_scope, client_word):
                free.execute(text(f"VACUUM ANALYZE {table.name}"))
    credentials.write_text("\n".join(kept) + "\n")
