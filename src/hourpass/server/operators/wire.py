"""An operator as JSON: one shape for management API and command line."""

from hourpass.server.audit.events import rfc3339
from hourpass.server.operators.lifecycle import OneTimeLink
from hourpass.server.operators.model import Operator


def as_json(operator: Operator) -> dict[str, object]:
    """The person and the roles; an `organization` that is null is the installation."""
    by = operator.created_by
    roles = sorted(operator.roles.items(), key=lambda item: item[0] or "")
    return {
        "operator_id": operator.operator_id,
        "email": operator.email,
        "status": "active" if operator.activated_at else "invited",
        "memberships": [
            {"organization": organization, "role": role.value} for organization, role in roles
        ],
        "created_at": rfc3339(operator.created_at),
        "created_by": {"type": by.type, "id": by.id, "name": by.name},
        "activated_at": rfc3339(operator.activated_at) if operator.activated_at else None,
    }


def link_as_json(link: OneTimeLink | None, issuer: str) -> dict[str, object]:
    """The link, for the one answer that shows it; both null when there is none to show."""
    return {
        "link": link.url(issuer) if link else None,
        "link_expires_at": rfc3339(link.expires_at) if link else None,
    }
