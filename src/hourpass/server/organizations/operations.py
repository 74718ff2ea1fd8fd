"""The deeds on an organization: create, update, suspend, activate. Each one transaction.

Whoever gives one needs `hourpass.organizations:write`, whatever organization it is about.
"""

from collections.abc import Callable
from datetime import datetime

from hourpass.server.audit import store as audit
from hourpass.server.audit.events import AuditEvent, Detail, Event, Origin, printable
from hourpass.server.db.engine import Database
from hourpass.server.organizations import model, store
from hourpass.server.organizations.model import Organization
from hourpass.server.refused import Conflict, Missing
from hourpass.server.rights import ORGANIZATIONS_WRITE


class UnknownOrganization(Missing):
    """There is no such organization, or none that the caller may see."""

    def __init__(self, organization_id: str) -> None:
        super().__init__(f"there is no organization {printable(organization_id, 40)}")


def create(database: Database, organization_id: str, name: str, by: Origin) -> Organization:
    """A new organization; raises BadInput, Conflict when the ID is taken, Forbidden."""
    by.rights.need(ORGANIZATIONS_WRITE)
    organization_id = model.checked_id(organization_id)
    name = model.checked_name(name)
    with database.write() as connection:
        now = database.now(connection)
        made = Organization(id=organization_id, name=name, created_at=now)
        if not store.add_new(connection, made):
            raise Conflict(f"there is an organization {organization_id} already")
        audit.record(connection, [_event(Event.ORGANIZATION_CREATED, made, by, name=name)], now)
    return made


def update(database: Database, organization_id: str, by: Origin, *, name: str) -> Organization:
    """Give it another name; raises UnknownOrganization, BadInput, Forbidden."""

    def decide(before: Organization, _now: datetime) -> tuple[Organization, Event, dict[str, str]]:
        after = before.updated(name=name)
        return after, Event.ORGANIZATION_UPDATED, {"name_before": before.name, "name": after.name}

    return _change(database, organization_id, by, decide)


def suspend(database: Database, organization_id: str, by: Origin) -> Organization:
    """Its clients get no tokens, and its live tokens fail online checks, until it is activated.

    Raises UnknownOrganization, Forbidden.
    """
    return _change(
        database,
        organization_id,
        by,
        lambda before, now: (before.suspended(now), Event.ORGANIZATION_SUSPENDED, {}),
    )


def activate(database: Database, organization_id: str, by: Origin) -> Organization:
    """Undo `suspend`; raises UnknownOrganization, Forbidden."""
    return _change(
        database,
        organization_id,
        by,
        lambda before, _now: (before.activated(), Event.ORGANIZATION_ACTIVATED, {}),
    )


def _change(
    database: Database,
    organization_id: str,
    by: Origin,
    decide: Callable[[Organization, datetime], tuple[Organization, Event, dict[str, str]]],
) -> Organization:
    """Read under a lock, decide, write; nothing and no event when nothing changed."""
    by.rights.need(ORGANIZATIONS_WRITE)
    if not model.is_organization_id(organization_id):
        raise UnknownOrganization(organization_id)
    with database.write() as connection:
        now = database.now(connection)
        before = store.get(connection, organization_id, for_update=True)
        if before is None:
            raise UnknownOrganization(organization_id)
        after, event, detail = decide(before, now)
        if after != before:
            store.save(connection, after)
            audit.record(connection, [_event(event, after, by, **detail)], now)
    return after


def _event(event: Event, organization: Organization, by: Origin, **detail: str) -> AuditEvent:
    about: Detail = detail
    return AuditEvent(event=event, origin=by, organization=organization.id, detail=about)
