"""The pages, one file a noun."""

from hourpass.server.admin.pages import (
    account,
    audit,
    authenticator,
    client,
    client_deeds,
    clients,
    keys,
    new_client,
    operator_deeds,
    operators,
    organizations,
    overview,
    passkeys,
    places,
    scopes,
    sign_in,
)

# The first that fits answers: `/clients/new` before `/clients/{client_id}`.
_PARTS = (
    sign_in,
    overview,
    account,
    authenticator,
    passkeys,
    clients,
    new_client,
    client,
    client_deeds,
    scopes,
    keys,
    operator_deeds,
    operators,
    organizations,
    places,
    audit,
)
ALL = [page for part in _PARTS for page in part.router.pages]
