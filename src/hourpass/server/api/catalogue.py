"""`/api/v1/apis` and `/api/v1/scopes`: the catalogue."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response

from hourpass.server.api import shapes
from hourpass.server.api.call import Call, needs, whole
from hourpass.server.api.document import PREFIX, described
from hourpass.server.catalogue.model import MANAGEMENT_KEY, MANAGEMENT_SCOPES, Api, Scope
from hourpass.server.catalogue.wire import api_as_json, organizations_as_json
from hourpass.server.rights import CATALOGUE_READ

router = APIRouter(prefix=PREFIX, tags=["Catalogue"])

Reader = Annotated[Call, needs(CATALOGUE_READ)]


@router.get(
    "/apis",
    operation_id="list_apis",
    summary="List the APIs that tokens can be for",
    response_model=shapes.ApiList,
    **described(CATALOGUE_READ),
)
def list_apis(call: Reader) -> Response:
    """In the order of the catalogue's file, the management API last; without those that are kept
    to organizations that the caller does not see."""
    return whole([api_as_json(api) for api in _apis(call)])


@router.get(
    "/scopes",
    operation_id="list_scopes",
    summary="List the scopes that API clients can hold",
    response_model=shapes.ScopeList,
    **described(CATALOGUE_READ),
)
def list_scopes(call: Reader) -> Response:
    """In the order of the catalogue's file, the management API's last; without those of APIs that
    are kept to organizations that the caller does not see."""
    return whole(
        [
            {
                "name": scope.name,
                "description": scope.description,
                "api": api.key,
                "grants": [str(grant) for grant in scope.grants],
                "limit_per_minute": scope.limit_per_minute,
                "organizations": organizations_as_json(api),
                "retired": scope.retired,
            }
            for api in _apis(call)
            for scope in api.scopes
        ]
    )


def _apis(call: Call) -> tuple[Api, ...]:
    catalogue = call.installation.context.catalogue().within(call.rights.only_organization)
    built_in = Api(
        key=MANAGEMENT_KEY,
        identifier=catalogue.management_identifier,
        name="Hourpass management API",
        base_url=catalogue.management_identifier,
        scopes=tuple(
            Scope(name=name, description=text) for name, text in MANAGEMENT_SCOPES.items()
        ),
    )
    return (*catalogue.apis, built_in)
