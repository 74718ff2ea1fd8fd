"""`/api/v1/operators`: the people who administer organizations.

Roles in the installation itself are neither shown nor given here: no API client holds anything
for the installation, and nobody gives what they lack.
"""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from hourpass.server.api import given, shapes
from hourpass.server.api.call import Call, needs
from hourpass.server.api.document import PREFIX, described
from hourpass.server.cursors import made_as_json, made_from_json
from hourpass.server.operators import lifecycle, lookup, wire
from hourpass.server.operators.lifecycle import Invited
from hourpass.server.rights import OPERATORS_READ, OPERATORS_WRITE

router = APIRouter(prefix=PREFIX, tags=["Operators"])

Reader = Annotated[Call, needs(OPERATORS_READ)]
Writer = Annotated[Call, needs(OPERATORS_WRITE)]


@router.post(
    "/operators",
    operation_id="invite_operator",
    summary="Give somebody a role, inviting whoever is new",
    status_code=201,
    response_model=shapes.OperatorWithLink,
    **described(OPERATORS_WRITE, 404, 409, 413, 415, 422),
)
def invite(call: Writer, new: given.NewOperator) -> Response:
    """For somebody who has yet to sign up the answer has a link, good once and for 72 hours."""
    organization = call.visible(new.organization) or call.client.organization
    made = lifecycle.set_role(call.database, new.email, organization, new.role, call.origin)
    return _with_link(call, made, status_code=201)


@router.get(
    "/operators",
    operation_id="list_operators",
    summary="List operators, newest first",
    response_model=shapes.OperatorPage,
    **described(OPERATORS_READ, 404, 422),
)
def list_(call: Reader, query: Annotated[given.OperatorsWanted, Query()]) -> Response:
    """The caller's organization's; with `hourpass.organizations:read`, every organization's."""
    filters: dict[str, object] = {"list": "operators", "organization": query.organization}
    before = made_from_json(call.position(filters, query.cursor))
    home = call.visible(query.organization)
    found, more = lookup.page(call.database, call.origin, home, limit=query.limit, before=before)
    return call.page([wire.as_json(each) for each in found], filters, made_as_json(more))


@router.get(
    "/operators/{operator_id}",
    operation_id="get_operator",
    summary="Read an operator",
    response_model=shapes.Operator,
    **described(OPERATORS_READ, 404),
)
def get(call: Reader, operator_id: str) -> Response:
    """With those of the roles that the caller may know of."""
    return JSONResponse(wire.as_json(lookup.read(call.database, operator_id, call.origin)))


@router.delete(
    "/operators/{operator_id}",
    operation_id="remove_operator",
    summary="Remove an operator",
    status_code=204,
    **described(OPERATORS_WRITE, 404, 409),
)
def remove(call: Writer, operator_id: str) -> Response:
    """Every role, session and credential; whoever does it could do all that the person can."""
    operator = lookup.read(call.database, operator_id, call.origin)
    lifecycle.remove(call.database, operator.email, call.origin)
    return Response(status_code=204)


@router.put(
    "/operators/{operator_id}/memberships/{organization_id}",
    operation_id="set_operator_role",
    summary="Give an operator another role in an organization",
    response_model=shapes.OperatorWithLink,
    **described(OPERATORS_WRITE, 404, 409, 413, 415, 422),
)
def set_role(
    call: Writer, operator_id: str, organization_id: str, wanted: given.RoleGiven
) -> Response:
    """The link, when there is one, takes the place of any that was made before."""
    operator = lookup.read(call.database, operator_id, call.origin)
    organization = call.visible(organization_id)
    made = lifecycle.set_role(call.database, operator.email, organization, wanted.role, call.origin)
    return _with_link(call, made)


@router.delete(
    "/operators/{operator_id}/memberships/{organization_id}",
    operation_id="take_operator_role",
    summary="Take an operator's role in an organization away",
    status_code=204,
    **described(OPERATORS_WRITE, 404, 409),
)
def take_role(call: Writer, operator_id: str, organization_id: str) -> Response:
    """Whoever has no role left is removed."""
    operator = lookup.read(call.database, operator_id, call.origin)
    organization = call.visible(organization_id)
    lifecycle.take_role(call.database, operator.email, organization, call.origin)
    return Response(status_code=204)


@router.post(
    "/operators/{operator_id}/reset",
    operation_id="reset_operator",
    summary="Make a link that lets an operator back in",
    response_model=shapes.OperatorWithLink,
    **described(OPERATORS_WRITE, 404, 409),
)
def reset(call: Writer, operator_id: str) -> Response:
    """Using it sets a new password and ends every session and other credential of the person."""
    operator = lookup.read(call.database, operator_id, call.origin)
    return _with_link(call, lifecycle.reset(call.database, operator.email, call.origin))


def _with_link(call: Call, made: Invited, *, status_code: int = 200) -> JSONResponse:
    """Read again: a deed knows of roles that its caller may not."""
    operator = lookup.read(call.database, made.operator.operator_id, call.origin)
    link = wire.link_as_json(made.link, call.installation.context.settings.issuer)
    return JSONResponse({**wire.as_json(operator), **link}, status_code=status_code)
