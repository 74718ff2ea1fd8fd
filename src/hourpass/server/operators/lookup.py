"""Looking operators up: each caller sees those, and those roles, that it may know of."""

from datetime import datetime

from sqlalchemy import Connection

from hourpass.server.audit.events import Origin
from hourpass.server.db.engine import Database
from hourpass.server.operators import model, store
from hourpass.server.operators.model import NotFound, Operator, Powers
from hourpass.server.rights import OPERATORS_READ


def page(
    database: Database,
    by: Origin,
    organization: str | None,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
    search: str = "",
) -> tuple[list[Operator], tuple[datetime, str] | None]:
    """Up to `limit` of them, newest first, and after whom the next page begins (None: no more).

    `organization` None: of every one; `search` as in the store. Whose role the caller may not
    know of is left out, so a page may have fewer.
    """
    with database.read() as connection:
        powers = powers_of(connection, by)
        found = store.page(
            connection,
            limit=limit + 1,
            organization=organization,
            before=before,
            search=search,
            of_installation=powers.everything or OPERATORS_READ in powers.installation,
        )
    shown = found[:limit]
    seen = (model.seen_by(powers, operator) for operator in shown)
    more = (shown[-1].created_at, shown[-1].operator_id) if len(found) > limit else None
    return [operator for operator in seen if operator is not None], more


def read(database: Database, operator_id: str, by: Origin) -> Operator:
    """The operator with the roles that the caller may know of; raises NotFound."""
    if not model.is_operator_id(operator_id):
        raise NotFound
    with database.read() as connection:
        powers = powers_of(connection, by)
        operator = store.get(connection, operator_id)
    seen = None if operator is None else model.seen_by(powers, operator)
    if seen is None:
        raise NotFound
    return seen


def powers_of(connection: Connection, by: Origin) -> Powers:
    """What the caller holds: an operator, what the row says now, not what a page was made for."""
    if by.actor.type != "operator":
        return Powers.of_rights(by.rights)
    operator = store.get(connection, by.actor.id)
    return Powers() if operator is None else Powers.of(operator)
