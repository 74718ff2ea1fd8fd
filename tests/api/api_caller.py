"""A program that calls the management API of a running server with a token of its own."""

from typing import Any
from uuid import uuid4

import httpx

from hourpass.server.catalogue.model import MANAGEMENT_SCOPES
from hourpass.server.organizations import operations
from support.installation import TESTER, Credentials, Installation, Server

EVERY_SCOPE = tuple(MANAGEMENT_SCOPES)
ORGANIZATION_SCOPES = ("hourpass.organizations:read", "hourpass.organizations:write")
WITHIN_ONE = tuple(name for name in EVERY_SCOPE if name not in ORGANIZATION_SCOPES)
PROBLEM = "application/problem+json"


def new_organization(installation: Installation) -> str:
    """A new organization's ID."""
    organization_id = f"org-{uuid4().hex[:12]}"
    operations.create(installation.context.database, organization_id, "An organization", TESTER)
    return organization_id


def identifier(server: Server) -> str:
    """What a management token is for."""
    return f"{server.url}/api/v1"


class Caller:
    """A client that holds management scopes, and its token."""

    def __init__(
        self, server: Server, *scopes: str, organization: str = "default", **more: Any
    ) -> None:
        self.server = server
        self.organization = organization
        self.credentials = server.installation.create_client(
            *scopes, name="Back office", organization=organization, **more
        )
        self.token = self.new_token()

    def new_token(self, **parameters: str) -> str:
        """A token for the management API."""
        answer = self.server.token(
            self.credentials, **{"resource": identifier(self.server), **parameters}
        )
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def __call__(
        self, method: str, path: str, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        """One request; `path` begins behind `/api/v1`."""
        bearer = {"Authorization": f"Bearer {token or self.token}"}
        headers = {**bearer, **more.pop("headers", {})}
        return self.server.http.request(method, f"/api/v1{path}", headers=headers, **more)

    def create(self, *scopes: str, name: str = "CRM sync", **more: Any) -> Credentials:
        """A new client."""
        answer = self("POST", "/clients", json={"name": name, "scopes": list(scopes), **more})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        return Credentials(made["client_id"], made["client_secret"])

    def every(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self("GET", path, params={**query, **cursor})
            assert answer.status_code == 200, answer.text
            page = answer.json()
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and type of a refusal, which is a whole problem document."""
    assert answer.headers["content-type"] == PROBLEM, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["title"]
    assert body["detail"]
    return answer.status_code, body["type"].removeprefix("urn:hourpass:problem:")
