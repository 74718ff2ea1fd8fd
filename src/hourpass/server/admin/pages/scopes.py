"""Settings > Scopes: the catalogue, and how many clients hold what."""

from starlette.responses import Response

from hourpass.server.admin.routing import Pages
from hourpass.server.admin.visit import Visit
from hourpass.server.catalogue import store
from hourpass.server.catalogue.model import INTROSPECT_PREFIX, MANAGEMENT_SCOPES
from hourpass.server.rights import CATALOGUE_READ

router = Pages()
_COUNTED = 1000


@router.get("/scopes", needs=CATALOGUE_READ)
def list_(visit: Visit) -> Response:
    """Every API with its scopes, those of the management API at the end."""
    catalogue = visit.catalogue
    introspection = {
        INTROSPECT_PREFIX + api.key: f"Ask whether a token of the {api.name} is live (/introspect)"
        for api in catalogue.apis
        if not api.retired
    }
    built_in = {**MANAGEMENT_SCOPES, **introspection}
    names = [scope.name for api in catalogue.apis for scope in api.scopes] + [*built_in]
    with visit.database.read() as connection:
        holders = store.holders(connection, names, visit.organization, at_most=_COUNTED)
    return visit.page(
        "scopes/list.html", catalogue=catalogue, built_in=built_in, holders=holders, most=_COUNTED
    )
