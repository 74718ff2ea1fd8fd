"""Overview: how things stand where the visitor looks, and the first steps where all is new."""

import logging
from collections import Counter
from datetime import datetime, timedelta

from starlette.responses import Response

from hourpass.server.admin.pages.clients import SOON
from hourpass.server.admin.routing import Pages
from hourpass.server.admin.sentences import reason
from hourpass.server.admin.visit import Visit
from hourpass.server.audit import store as audit
from hourpass.server.audit.events import Event
from hourpass.server.clients import overview_store as figures
from hourpass.server.clients.model import Status
from hourpass.server.clients.usage import Per, Period
from hourpass.server.db.engine import DatabaseUnavailable
from hourpass.server.rights import AUDIT_READ, CLIENTS_READ

router = Pages()
_HOURS = 24
_SHORT = 5
_REFUSALS = 10_000  # the newest of them: a flood is not read to its end
_LATE = timedelta(minutes=1)  # sums of an hour may come so long after its end
_MAX_REMEMBERED = 2400
_log = logging.getLogger(__name__)


@router.get("/")
def overview(visit: Visit) -> Response:
    """What matters now; of what the visitor may see."""
    sees_clients, sees_audit = visit.rights.may(CLIENTS_READ), visit.rights.may(AUDIT_READ)
    values: dict[str, object] = {"counts": None, "reasons": None, "periods": None, "steps": None}
    if sees_clients:
        values |= _clients(visit)
        values["periods"] = _periods(visit)
    if sees_audit:
        values |= _refusals(visit)
    values |= {"short": _SHORT, "looked_at": figures.LOOKED_AT}
    return visit.page("overview.html", status=200, **values)


def _clients(visit: Visit) -> dict[str, object]:
    organization, now = visit.organization, visit.now
    with visit.database.read() as connection:
        counts = figures.count_by_status(connection, organization, now)
        expiring = figures.about_to_expire(
            connection, organization, now, now + SOON, limit=_SHORT + 1
        )
        unused = figures.never_used(connection, organization, now, limit=_SHORT + 1)
    total = sum(counts.values())
    is_new = total <= _SHORT and len(unused) == total - counts[Status.EXPIRED]
    return {
        "counts": {status.value: number for status, number in counts.items()},
        "total": total,
        "expiring": expiring,
        "unused": unused,
        "steps": _steps(visit, total) if is_new else None,
    }


def _steps(visit: Visit, total: int) -> dict[str, bool]:
    """Which of the first steps are done, while no client has had a token yet."""
    management = visit.context.management_identifier
    apis = [api for api in visit.catalogue.apis if api.identifier != management]
    return {"catalogue": bool(apis), "client": bool(total)}


def _periods(visit: Visit) -> list[Period] | None:
    """The last 24 hours; None when so many clients are in use that summing takes too long."""
    this_hour = Per.HOUR.beginning(visit.now)
    hours = [this_hour - number * Per.HOUR.length for number in reversed(range(_HOURS))]
    try:
        return [_period(visit, hour) for hour in hours]
    except DatabaseUnavailable as fault:  # what is remembered by now is a head start for the next
        _log.warning("the tokens of an hour could not be summed: %s", fault)
        return None


def _period(visit: Visit, hour: datetime) -> Period:
    remembered = visit.site.hours
    known = remembered.get((visit.organization, hour))
    if known is not None:
        return known
    with visit.database.read() as connection:
        issued, refused = figures.sums_of_hour(connection, visit.organization, hour)
    period = Period(begins_at=hour, issued=issued, refused=refused)
    if visit.now > hour + Per.HOUR.length + _LATE:
        if len(remembered) >= _MAX_REMEMBERED:
            remembered.clear()
        remembered[visit.organization, hour] = period
    return period


def _refusals(visit: Visit) -> dict[str, object]:
    since = visit.now - timedelta(hours=24)
    with visit.database.read() as connection:
        found = audit.newest_details(
            connection, Event.TOKEN_REFUSED.value, visit.organization, since, limit=_REFUSALS
        )
    sums = Counter[str]()
    for detail in found:
        count = detail.get("count", 1)
        sums[str(detail.get("reason", ""))] += count if isinstance(count, int) else 1
    reasons = [(reason(code), number) for code, number in sums.most_common()]
    return {"reasons": reasons, "is_cut": len(found) == _REFUSALS, "since": since}
