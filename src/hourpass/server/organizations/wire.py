"""An organization as JSON: one shape for management API and command line."""

from hourpass.server.audit.events import rfc3339
from hourpass.server.organizations.model import Organization


def as_json(organization: Organization) -> dict[str, object]:
    """An organization and whether its clients get tokens."""
    suspended_at = organization.suspended_at
    return {
        "id": organization.id,
        "name": organization.name,
        "status": organization.status,
        "created_at": rfc3339(organization.created_at),
        "suspended_at": rfc3339(suspended_at) if suspended_at else None,
    }
