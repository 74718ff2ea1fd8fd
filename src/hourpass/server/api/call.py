"""One call of the management API: who gives it, what they may do, and what the answer needs.

`needs` makes the dependency that each route names its scope with: there is no other way to a
`Call`, and so none to a deed, but through the online check of an access token. It is also the
only place where an Origin is made here, so the caller's rights are always in it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from hourpass.oauth.errors import InvalidToken
from hourpass.server.api.problems import (
    INSUFFICIENT_SCOPE,
    INVALID_TOKEN,
    UNAUTHENTICATED,
    Problem,
)
from hourpass.server.audit.events import Actor, Origin
from hourpass.server.clients.model import Client
from hourpass.server.context import Context
from hourpass.server.cursors import Cursors
from hourpass.server.db.engine import Database
from hourpass.server.keys.keyring import Keyring
from hourpass.server.organizations import store as organizations
from hourpass.server.organizations.model import is_organization_id
from hourpass.server.organizations.operations import UnknownOrganization
from hourpass.server.rights import Rights, management
from hourpass.server.tokens.check import OnlineCheck

_REALM = 'Bearer realm="hourpass"'


class Installation:
    """What all calls of a process share: the open installation, and its keys once opened."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.check = OnlineCheck(context.database, context.settings.issuer)
        self._cursors: Cursors | None = None
        self._keyring: Keyring | None = None

    @property
    def cursors(self) -> Cursors:
        """The key for cursors never changes: it is opened once."""
        if self._cursors is None:
            self._cursors = self.context.cursors()
        return self._cursors

    def keyring(self, version: int) -> Keyring:
        """The keys as they are at that version; opened anew only when they changed."""
        known = self._keyring
        if known is None or known.version != version:
            known = self._keyring = self.context.keyring()
        return known


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose token was checked and carries the scope that the route needs."""

    installation: Installation = field(repr=False)
    client: Client
    origin: Origin
    keys_version: int

    @property
    def keyring(self) -> Keyring:
        """The keys as they were when the token was checked."""
        return self.installation.keyring(self.keys_version)

    @property
    def database(self) -> Database:
        """The installation's."""
        return self.installation.context.database

    @property
    def rights(self) -> Rights:
        """What the caller may do."""
        return self.origin.rights

    def visible(self, organization: str | None) -> str | None:
        """The one organization to look at, None for every one.

        Raises UnknownOrganization, also for one that the caller may not see.
        """
        if organization is None:
            return None if self.rights.sees_every_organization else self.client.organization
        if is_organization_id(organization) and self.rights.sees(organization):
            with self.database.read() as connection:
                if organizations.get(connection, organization) is not None:
                    return organization
        raise UnknownOrganization(organization)

    def position(self, filters: dict[str, object], cursor: str | None) -> Any:
        """Where the page begins; None: at the beginning."""
        return (
            None if cursor is None else self.installation.cursors.read(self._list(filters), cursor)
        )

    def page(
        self, items: list[dict[str, object]], filters: dict[str, object], position: object
    ) -> JSONResponse:
        """A page, and a cursor when there is more."""
        more = (
            None
            if position is None
            else self.installation.cursors.write(self._list(filters), position)
        )
        return JSONResponse({"items": items, "next_cursor": more})

    def _list(self, filters: dict[str, object]) -> dict[str, object]:
        """A cursor belongs to a list, its filters and what its caller could see then."""
        home = None if self.rights.sees_every_organization else self.client.organization
        text = json.dumps([filters, home], sort_keys=True, default=str)
        return {"list": hashlib.sha256(text.encode("ascii")).hexdigest()}


def whole(items: list[dict[str, object]]) -> JSONResponse:
    """A list that is always answered whole."""
    return JSONResponse({"items": items, "next_cursor": None})


def needs(scope: str) -> Any:
    """The dependency of a route that needs `scope`: gives the Call, or raises Problem."""

    def dependency(request: Request) -> Call:
        installation: Installation = request.app.state.installation
        return _call(installation, request, scope)

    made: Callable[[Request], Call] = dependency
    return Depends(made)


def _call(installation: Installation, request: Request, scope: str) -> Call:
    context = installation.context
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem(
            UNAUTHENTICATED,
            "send `Authorization: Bearer …` with an access token for "
            f"{context.management_identifier}",
            headers={"WWW-Authenticate": _REALM},
        )
    try:
        checked = installation.check.strictly(
            token.strip(" "), audience=context.management_identifier
        )
    except InvalidToken as refused:
        words = f'{_REALM}, error="invalid_token", error_description="{refused.description}"'
        raise Problem(
            INVALID_TOKEN, refused.description, headers={"WWW-Authenticate": words}
        ) from None
    client = checked.client
    if scope not in checked.scopes:
        words = f'{_REALM}, error="insufficient_scope", scope="{scope}"'
        raise Problem(
            INSUFFICIENT_SCOPE,
            f"this needs the scope {scope}",
            headers={"WWW-Authenticate": words},
        )
    rights = Rights(
        scopes=management(checked.scopes),
        organization=client.organization,
        held=management(client.scopes),
    )
    origin = Origin(
        actor=Actor("client", client.client_id, client.name),
        rights=rights,
        request_id=request.scope["hourpass.request_id"],
        ip=request.scope["hourpass.ip"] or None,
    )
    return Call(installation, client, origin, checked.keys_version)
