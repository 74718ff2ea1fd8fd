"""`/api/v1/keys`: signing keys."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from hourpass.server.api import shapes
from hourpass.server.api.call import Call, needs, whole
from hourpass.server.api.document import PREFIX, described
from hourpass.server.keys import operations, store
from hourpass.server.keys.wire import key_as_json
from hourpass.server.rights import KEYS_READ, KEYS_WRITE

router = APIRouter(prefix=PREFIX, tags=["Signing keys"])


@router.get(
    "/keys",
    operation_id="list_keys",
    summary="List signing keys",
    response_model=shapes.KeyList,
    **described(KEYS_READ),
)
def list_(call: Annotated[Call, needs(KEYS_READ)]) -> Response:
    """Oldest first; those long gone, too. Private halves never leave the server."""
    with call.database.read() as connection:
        keys = store.signing_keys(connection)
        now = call.database.now(connection)
    return whole([key_as_json(key, now) for key in keys])


@router.post(
    "/keys/rotate",
    operation_id="rotate_keys",
    summary="Let the next signing key sign",
    response_model=shapes.SigningKey,
    **described(KEYS_WRITE),
)
def rotate(call: Annotated[Call, needs(KEYS_WRITE)]) -> Response:
    """As soon as every verifier can know it: `activates_at` says when."""
    key = operations.rotate(call.database, call.installation.context.policy, call.origin)
    with call.database.read() as connection:
        now = call.database.now(connection)
    return JSONResponse(key_as_json(key, now))
