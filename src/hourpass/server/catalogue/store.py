"""The api and api_scope tables, and the version that tells when they changed."""

import json
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from hourpass.oauth.grants import Grant
from hourpass.server.catalogue.model import Api, Catalogue, Scope, is_scope_name
from hourpass.server.db.schema import api as api_table
from hourpass.server.db.schema import api_scope, client, client_scope, installation
from hourpass.server.refused import BadInput

# An organization with at most so many clients is counted from its clients, all scopes at once;
# one with more, scope by scope, where a count that has a limit soon reaches it.
_FEW = 5000
_HOLD_STILL = select(installation.c.id).with_for_update(read=True)
_GRANTABLE_EVERYWHERE = (
    select(api_scope.c.name)
    .join(api_table)
    .where(
        api_scope.c.name.in_(bindparam("names", expanding=True)),
        api_scope.c.retired_at.is_(None),
        api_table.c.organizations.is_(None),
    )
)


def load(connection: Connection, management_identifier: str) -> Catalogue:
    """The whole catalogue."""
    version = connection.execute(select(installation.c.catalogue_version)).scalar_one()
    scopes: dict[str, list[Scope]] = {}
    for row in connection.execute(select(api_scope).order_by(api_scope.c.position)):
        scope = Scope(
            name=row.name,
            description=row.description,
            grants=tuple(Grant.parse(line) for line in json.loads(row.grants)),
            limit_per_minute=row.limit_per_minute,
            retired=row.retired_at is not None,
        )
        scopes.setdefault(row.api_key, []).append(scope)
    apis = tuple(
        Api(
            key=row.key,
            identifier=row.identifier,
            name=row.name,
            base_url=row.base_url,
            scopes=tuple(scopes.get(row.key, ())),
            limit_per_minute=row.limit_per_minute,
            organizations=_ids(row.organizations),
            retired=row.retired_at is not None,
        )
        for row in connection.execute(select(api_table).order_by(api_table.c.position))
    )
    return Catalogue(version=version, management_identifier=management_identifier, apis=apis)


def _ids(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))


def problem_with(
    connection: Connection,
    wanted: frozenset[str],
    held: frozenset[str],
    organization: str,
    *,
    sees_others: bool,
) -> BadInput | None:
    """`Catalogue.problem_with`, for whoever is about to grant: keeps `apply` out until the commit.

    On SQLite the write lock does that already.
    """
    connection.execute(_HOLD_STILL)
    new = wanted - held
    plain = bool(wanted) and all(map(is_scope_name, new))  # no other text may reach a query
    if plain and new == set(connection.scalars(_GRANTABLE_EVERYWHERE, {"names": sorted(new)})):
        return None  # the usual case, without the whole catalogue
    catalogue = load(connection, "")
    return catalogue.problem_with(wanted, held, organization, sees_others=sees_others)


def held_scopes(connection: Connection) -> frozenset[str]:
    """Every scope that some client holds."""
    return frozenset(connection.execute(select(client_scope.c.scope).distinct()).scalars())


def holders(
    connection: Connection, scopes: Iterable[str], organization: str | None, *, at_most: int
) -> dict[str, int]:
    """How many clients (of an organization) hold each scope; nobody counts beyond `at_most`.

    Without that limit a page would read every client of the installation to be shown.
    """
    if organization is not None:
        few = select(client.c.seq).where(client.c.organization == organization).limit(_FEW + 1)
        seqs = list(connection.scalars(few))
        if len(seqs) <= _FEW:
            query = (
                select(client_scope.c.scope, func.count().label("holders"))
                .join(client, client.c.seq == client_scope.c.client_seq)
                .where(client.c.organization == organization)
                .group_by(client_scope.c.scope)
            )
            counted = {row.scope: row.holders for row in connection.execute(query)}
            return {scope: min(counted.get(scope, 0), at_most) for scope in scopes}
    return {scope: _holders(connection, scope, organization, at_most) for scope in scopes}


def _holders(connection: Connection, scope: str, organization: str | None, at_most: int) -> int:
    found = select(client_scope.c.client_seq).where(client_scope.c.scope == scope)
    if organization is not None:
        found = found.join(client, client.c.seq == client_scope.c.client_seq)
        found = found.where(client.c.organization == organization)
    counted = select(func.count()).select_from(found.limit(at_most).subquery())
    return int(connection.execute(counted).scalar_one())


def take_turn(connection: Connection) -> int:
    """Wait until nobody grants a scope, keep them out, and return the catalogue's version."""
    query = select(installation.c.catalogue_version).with_for_update()
    version: int = connection.execute(query).scalar_one()
    return version


def replace(connection: Connection, apis: tuple[Api, ...], now: datetime) -> None:
    """Make the tables hold exactly `apis`, and raise the version."""
    connection.execute(delete(api_scope))
    connection.execute(delete(api_table))
    for position, api in enumerate(apis):
        connection.execute(
            insert(api_table).values(
                key=api.key,
                identifier=api.identifier,
                name=api.name,
                base_url=api.base_url,
                position=position,
                limit_per_minute=api.limit_per_minute,
                organizations=(
                    None if api.organizations is None else json.dumps(sorted(api.organizations))
                ),
                retired_at=now if api.retired else None,
            )
        )
        for order, scope in enumerate(api.scopes):
            connection.execute(
                insert(api_scope).values(
                    name=scope.name,
                    api_key=api.key,
                    description=scope.description,
                    grants=json.dumps([str(grant) for grant in scope.grants]),
                    position=order,
                    limit_per_minute=scope.limit_per_minute,
                    retired_at=now if scope.retired else None,
                )
            )
    connection.execute(
        update(installation).values(catalogue_version=installation.c.catalogue_version + 1)
    )
