"""The catalogue as JSON: one shape for management API and command line."""

from hourpass.server.catalogue.model import Api


def api_as_json(api: Api) -> dict[str, object]:
    """An API with its scopes."""
    return {
        "key": api.key,
        "identifier": api.identifier,
        "name": api.name,
        "base_url": api.base_url,
        "limit_per_minute": api.limit_per_minute,
        "organizations": organizations_as_json(api),
        "retired": api.retired,
        "scopes": [
            {
                "name": scope.name,
                "description": scope.description,
                "grants": [str(grant) for grant in scope.grants],
                "limit_per_minute": scope.limit_per_minute,
                "retired": scope.retired,
            }
            for scope in api.scopes
        ],
    }


def organizations_as_json(api: Api) -> list[str] | None:
    """The IDs of the organizations that the API is kept to."""
    return None if api.organizations is None else sorted(api.organizations)
