"""Old usage, summed: in place of up to 24 rows a client and day, one.

It stands at the first hour of its day (UTC) and has the sums of all its hours, and the latest
`last_issued_at`: so by the day, and in all, every figure stays what it was. Hours that are added
later to a day that is summed already are summed with the next look.
"""

import time
from datetime import datetime, timedelta

from hourpass.server.clients import usage_store
from hourpass.server.clients.usage import HOURS_KEPT, Per
from hourpass.server.db.engine import Database
from hourpass.server.db.steps import Pace

# A day later than anybody can ask for them: nobody sees a day that is half summed.
_ROLLED_UP_AFTER = HOURS_KEPT + timedelta(days=1)
_WITHIN_S = 0.5
_FEWEST, _MOST = 10, 1000  # clients in a step


def roll_up(database: Database) -> bool:
    """Sum days whose hours nobody can ask for any more, for about half a second; True: go on.

    A step sums one day of some clients, in a transaction of its own; of several nodes at once one
    does it. Raises DatabaseUnavailable.
    """
    with database.read() as connection:
        before = Per.DAY.beginning(database.now(connection)) - _ROLLED_UP_AFTER
    end = time.monotonic() + _WITHIN_S
    pace = Pace(_FEWEST, _MOST)
    day = _next_day(database, None, before)
    while day is not None:
        with database.write() as connection:
            if not usage_store.take_turn(connection):
                return False
            began_at = time.monotonic()
            rolled_up = usage_store.roll_up(connection, day, limit=pace.size)
        took = time.monotonic() - began_at
        if not rolled_up:
            day = _next_day(database, day, before)
        else:
            pace.took(took)
        if day is not None and time.monotonic() > end:
            return True
        time.sleep(took)  # tokens go first
    return False


def _next_day(database: Database, after: datetime | None, before: datetime) -> datetime | None:
    """The first day after `after` that has more than its one row a client."""
    with database.read() as connection:
        while (hour := usage_store.next_hour(connection, after, before)) is not None:
            day = Per.DAY.beginning(hour)
            if hour != day:
                return day
            after = hour
    return None
