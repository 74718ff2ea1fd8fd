"""How much a client was used: tokens issued and refused in each hour or day.

The sums are added every few seconds by each serving process, so they may lag ten seconds.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from hourpass.server.audit.events import rfc3339
from hourpass.server.clients import store
from hourpass.server.db.engine import Database
from hourpass.server.refused import BadInput


class Per(StrEnum):
    """How long a period is."""

    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        """As a duration."""
        return timedelta(hours=1) if self is Per.HOUR else timedelta(days=1)

    def beginning(self, moment: datetime) -> datetime:
        """The period that `moment` is in, by its first moment; days are days of UTC."""
        hour = moment.replace(minute=0, second=0, microsecond=0)
        return hour if self is Per.HOUR else hour.replace(hour=0)


HOURS_KEPT = timedelta(days=35)
"""So long, before today, figures are kept by the hour; what is older is kept by the day alone."""
MAX_PERIODS = {Per.HOUR: 24 * 31, Per.DAY: 366}
_DEFAULT_PERIODS = {Per.HOUR: 24, Per.DAY: 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What one client did in one hour or day; `begins_at` is its first moment."""

    begins_at: datetime
    issued: int
    refused: int

    def as_json(self) -> dict[str, object]:
        """The management API's shape."""
        return {
            "begins_at": rfc3339(self.begins_at),
            "issued": self.issued,
            "refused": self.refused,
        }


def of(
    database: Database,
    client_id: str,
    per: Per,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Period]:
    """Every period that touches `since` to `until` (exclusive), oldest first, empty ones too.

    Left out they are the last 24 hours or 30 days, the one under way included. Of more than 744
    hours or 366 days only the last ones are told. Each is told in full, also where `since` or
    `until` is in the middle of it.

    Raises BadInput for hours of which only the sum of their day may be left.
    """
    sums: dict[datetime, tuple[int, int]] = {}
    with database.read() as connection:
        now = database.now(connection)
        until = until or now
        asked = per.beginning(since or until - (_DEFAULT_PERIODS[per] - 1) * per.length)
        earliest = per.beginning(until) - (MAX_PERIODS[per] - 1) * per.length
        first = max(asked, earliest)
        if per is Per.HOUR and first < (kept := Per.DAY.beginning(now) - HOURS_KEPT):
            raise BadInput(
                "until" if since is None or asked < earliest else "since",
                f"figures by the hour go back to {rfc3339(kept)}; ask for later ones, "
                "or by the day (per=day)",
            )
        begins_at = first
        while begins_at < until:
            sums[begins_at] = (0, 0)
            begins_at += per.length
        hours = store.usage_between(connection, client_id, first, begins_at)
    for hour, issued, refused in hours:
        period = per.beginning(hour)
        before = sums[period]
        sums[period] = (before[0] + issued, before[1] + refused)
    return [
        Period(begins_at=begins_at, issued=issued, refused=refused)
        for begins_at, (issued, refused) in sums.items()
    ]
